"""What customers read: pages rendered on write to files, which outlive the database.

A worker renders every page from one reading of the published facts (`queries.facts`, `jobs`) into a
generation of files that replaces the one before in a single rename (`store`). A WSGI middleware ahead
of Django (`front`) serves the current generation from memory; a signed cookie (`cookie`) says whose
page *For you* is. So the pages answer with the database and the worker stopped, and say how old they
are when nobody renews them.
"""
