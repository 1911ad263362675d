"""What is stored: the files of a window, how far the data goes, and from whom it came."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import Max, Min, Sum

from apps.telemetry.models import Batch, Segment


@dataclass(frozen=True)
class Coverage:
    """How much the store holds of a window; times in epoch ms."""

    segments: int
    rows: int  # of the files that overlap; the window itself may hold fewer
    bytes: int
    first_ms: int | None
    last_ms: int | None


def segments(start_ms: int, end_ms: int) -> list[Path]:
    """Return the files that hold the events of [start, end): those that the catalogue names, no others."""
    found = Segment.objects.live().overlapping(start_ms=start_ms, end_ms=end_ms)
    root = Path(settings.EVENTS_DIR)
    return [root / path for path in found.order_by("min_ts", "pk").values_list("path", flat=True)]


def watermark() -> int | None:
    """Return the time of the latest event, epoch ms; None when there is none."""
    latest = Segment.objects.live().aggregate(latest=Max("max_ts"))["latest"]
    return None if latest is None else int(latest)


def data_span() -> tuple[int, int] | None:
    """Return the times of the first and the latest event, epoch ms; None when there is none."""
    span = Segment.objects.live().aggregate(first=Min("min_ts"), latest=Max("max_ts"))
    return None if span["first"] is None else (int(span["first"]), int(span["latest"]))


def coverage(start_ms: int, end_ms: int) -> Coverage:
    """Return how much the store holds of a window."""
    found = Segment.objects.live().overlapping(start_ms=start_ms, end_ms=end_ms)
    sums = found.aggregate(
        rows=Sum("rows"), bytes=Sum("bytes"), first=Min("min_ts"), last=Max("max_ts")
    )
    return Coverage(
        segments=found.count(),
        rows=sums["rows"] or 0,
        bytes=sums["bytes"] or 0,
        first_ms=sums["first"],
        last_ms=sums["last"],
    )


def stored_chunks(chain_before: str) -> list[Batch]:
    """Return the stored chunks that begin where a file now stands, the longest first."""
    return list(Batch.objects.filter(chain_before=chain_before).order_by("-length", "pk"))
