"""Room for events: how much the disk has left, and the least that is never used up.

Every door that takes events in asks `refuse_when_full` before it writes. What is kept free lets compaction, erasure
and PostgreSQL go on working, so that nothing breaks while somebody makes room.
"""

import os
from pathlib import Path

from django.conf import settings


class StoreFull(OSError):
    """The disk has less room left than EVENTS_LEAST_FREE; nothing was written."""

    def __init__(self, free: int) -> None:
        super().__init__(
            f"the disk of the event store has {free / 1e9:.1f} GB left, and below"
            f" {settings.EVENTS_LEAST_FREE / 1e9:.1f} GB (EVENTS_LEAST_FREE) nothing is taken in;"
            " make room, or keep less (EVENTS_KEEP_DAYS, EVENTS_KEEP_BYTES)"
        )
        self.free = free


def free_bytes() -> int:
    """Return what an ordinary user may still write on the disk that holds the events."""
    place = Path(settings.EVENTS_DIR)
    while not place.exists():
        place = place.parent
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def refuse_when_full() -> None:
    """Raise StoreFull when too little room is left to take anything in."""
    if (free := free_bytes()) < settings.EVENTS_LEAST_FREE:
        raise StoreFull(free)
