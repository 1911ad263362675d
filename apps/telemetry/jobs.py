"""What a worker does for the event store."""

from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from apps.telemetry.models import Segment

GRACE = timedelta(hours=1)
"""A file that the catalogue does not name yet may belong to a writer at work, but not for an hour."""


SWEPT = ".swept"


def sweep(*, now: datetime) -> None:
    """Do what is due: the orphans once an hour (the file `.swept` remembers when)."""
    root = Path(settings.EVENTS_DIR)
    mark = root / SWEPT
    if root.is_dir() and not (mark.exists() and mark.stat().st_mtime > (now - GRACE).timestamp()):
        mark.touch()
        sweep_orphans(now=now)


def sweep_orphans(*, now: datetime) -> int:
    """Remove files that a killed writer left behind and the catalogue never named; return how many."""
    root = Path(settings.EVENTS_DIR)
    limit = (now - GRACE).timestamp()
    removed = 0
    for folder in sorted(root.glob("dt=*/hh=*")):
        old = [p for p in folder.iterdir() if p.stat().st_mtime < limit]
        names = {str(p.relative_to(root)): p for p in old}
        known = set(Segment.objects.filter(path__in=list(names)).values_list("path", flat=True))
        for name, path in names.items():
            if name not in known:
                path.unlink(missing_ok=True)
                removed += 1
    return removed
