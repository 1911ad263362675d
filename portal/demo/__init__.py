"""The demo: one honest story on real traffic, from a log file to a customer's page."""
