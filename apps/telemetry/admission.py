"""How many deliveries over HTTP one process works on at once, and how many wait for their turn.

More than that are refused at once with 503 and Retry-After: a sender that is told to wait loses nothing, while one
that is kept waiting times out and sends the same again on top. Pages of the portal are served meanwhile.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from apps.telemetry.space import refuse_when_full

PATIENCE = 5.0
"""Seconds that a delivery waits for its turn."""


class Busy(Exception):
    """So much is being taken in that this delivery has to come again; nothing of it was stored."""


class _Gate:
    """Lets so many through at once, and so many more wait. Sizes are read each time: tests change them."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._inside = self._waiting = 0

    def enter(self) -> None:
        with self._turn:
            if self._inside >= settings.EVENTS_AT_ONCE:
                if self._waiting >= settings.EVENTS_WAITING:
                    raise Busy
                self._waiting += 1
                # Whoever waits holds no connection: pages need one of the few that a process has.
                if not connection.in_atomic_block:
                    connection.close()
                try:
                    free = self._turn.wait_for(
                        lambda: self._inside < settings.EVENTS_AT_ONCE, PATIENCE
                    )
                finally:
                    self._waiting -= 1
                if not free:
                    raise Busy
            self._inside += 1

    def leave(self) -> None:
        with self._turn:
            self._inside -= 1
            self._turn.notify()


_GATE = _Gate()


@contextmanager
def admitted() -> Iterator[None]:
    """Work on a delivery. Raises StoreFull or Busy before anything is done."""
    refuse_when_full()
    _GATE.enter()
    try:
        yield
    finally:
        _GATE.leave()
