"""The frame of the house: settings, addresses, the worker's application and the commands that run everything."""
