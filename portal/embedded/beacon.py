"""Imported by the worker that `up` starts: it says one line when it takes work, whatever the level of its log."""

import os

from celery.signals import worker_ready

READY = "worker takes work"


@worker_ready.connect
def say_ready(**_: object) -> None:
    """Say so to whoever reads our output; past the worker's own redirection of it."""
    os.write(2, f"{READY}\n".encode())
