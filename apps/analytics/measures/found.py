"""What these measures find."""

from dataclasses import dataclass

from apps.analytics.stats import Interval, LogRank


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The honest answer where a number would be a guess."""

    why: str


@dataclass(frozen=True, slots=True)
class UserUptime:
    """Share of active user time that was up, before, during and after the window (0..1 or None)."""

    before: float | None
    during: float | None
    after: float | None
    actors: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A customer's own outage: first failure to next success (None: not seen), failures in it."""

    from_ms: int
    to_ms: int | None
    failures: int


@dataclass(frozen=True, slots=True)
class StillAway:
    """Shares (0..1) of the exposed, and of people like them, not seen again by the end of a day after it."""

    day: int
    exposed: float
    usual: float
    usual_low: float
    usual_high: float


@dataclass(frozen=True, slots=True)
class Dose:
    """People by the worst that happened to them, and how many more of them than usual were not seen since.

    `name`: "gave_up" (or came back later: the exposed), "recovered" (got through on another try), "slow",
    "untouched".
    """

    name: str
    people: int
    missing: int
    interval: Interval


@dataclass(frozen=True, slots=True)
class NotReturned:
    """People whose attempt failed for good, and how many more than usual have not been seen since."""

    exposed: int
    missing: int
    interval: Interval
    compared: int
    within_ms: int = 0
    """How long both were followed."""
    curve: tuple[StillAway, ...] = ()
    log_rank: LogRank | None = None
    doses: tuple[Dose, ...] = ()
