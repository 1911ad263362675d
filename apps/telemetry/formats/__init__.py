"""Readers of what senders write. Pure: bytes in, columns out; no Django, no clock, no settings."""
