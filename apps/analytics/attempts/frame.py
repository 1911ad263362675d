"""What one pass reads: the files, the window, and how far around it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.analytics.sql import Fragment

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DEFAULT_WINDOW_S = 300
LOOKBACK_MS = 2 * HOUR_MS
LEFT_WAITING_MS = 3_000
"""A caller who left after this long had waited and given up; before it, they may just have moved on.

Where a latency is promised for an operation, that takes its place.
"""
LEFT = 3
"""Beside the outcomes of events, in `clean` only: a client abort after waiting that long."""
DISTRUSTED = 4
"""In `clean` only: a failure that a broken meter reports, neither success nor failure."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one pass reads: files, the window, and how far around it. All times epoch ms UTC.

    `as_of_ms` is the moment from which it is seen, `data_end_ms` the end of what is known.
    """

    files: tuple[str, ...]
    start_ms: int
    end_ms: int
    as_of_ms: int
    data_end_ms: int
    horizon_ms: int = DAY_MS
    lookback_ms: int = LOOKBACK_MS
    service: int | None = None
    windows: Mapping[tuple[str, int], float] = field(default_factory=dict)
    kinds: Mapping[int, str] = field(default_factory=dict)
    latency_tenets_ms: Mapping[int, int] = field(default_factory=dict)
    merged: Mapping[int, int] = field(default_factory=dict)

    @property
    def seen_until_ms(self) -> int:
        """Nothing after this moment is known."""
        return min(self.as_of_ms, self.data_end_ms)

    @property
    def read_from_ms(self) -> int:
        """First moment that is read."""
        return self.start_ms - self.lookback_ms

    @property
    def read_to_ms(self) -> int:
        """First moment that is not read any more."""
        return max(self.start_ms, min(self.end_ms + self.horizon_ms, self.seen_until_ms + 1))

    @property
    def within(self) -> Fragment:
        """The condition on raw events: time read, and the service asked for."""
        only = "" if self.service is None else f" AND service = {int(self.service)}"
        return Fragment(f"ts >= {self.read_from_ms} AND ts < {self.read_to_ms}{only}")


def reads(*, start_ms: int, end_ms: int, horizon_ms: int = DAY_MS) -> tuple[int, int]:
    """The span of event times for which `compute` wants the files: (from, to) in epoch ms."""
    return start_ms - 4 * HOUR_MS, end_ms + horizon_ms
