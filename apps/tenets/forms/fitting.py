"""Which fields belong to which kind of clause, and what they need of each other."""

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import available_timezones

from apps.tenets.models import (
    CALENDAR_UNITS,
    ROLLING_UNITS,
    TIMED,
    Budgeting,
    ClauseKind,
    Dimension,
    WindowUnit,
    is_local,
)

#: The units people write times in, in milliseconds, from the smallest.
TIMES = {
    "milliseconds": 1,
    "seconds": 1000,
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": 86_400_000,
}

_ALL = tuple(kind.value for kind in ClauseKind)
_MEASURED = ("budget", "invariant")
_COUNTED = ("budget", "freshness", "notice", "recovery")
#: The kinds of clause that each field is shown for; the others are for all.
SHOWN_FOR: Mapping[str, tuple[str, ...]] = {
    "dimension": ("budget", "invariant", "freshness", "recovery"),
    "target": _COUNTED,
    "max_count": ("invariant",),
    "journey": ("budget", "invariant", "freshness", "recovery"),
    "min_events": ("budget", "freshness"),
    "budgeting": _COUNTED,
    "slice_minutes": _COUNTED,
    "slice_target": _COUNTED,
    "op": _MEASURED,
    "value": _MEASURED,
    "unit": _MEASURED,
}
#: The kinds that cannot do without a field.
NEEDED_FOR: Mapping[str, tuple[str, ...]] = {
    "text": _ALL,
    "within_unit": _ALL,
    "target": ("budget",),
    "within": tuple(kind.value for kind in TIMED),
}
#: What a clause of a kind cannot have; typed before another kind was chosen, it is left out.
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "budget": ("max_count",),
    "invariant": ("target", "budgeting", "slice_minutes", "slice_target"),
    **{kind.value: ("max_count", "op", "value", "unit") for kind in TIMED},
}
#: What says that somebody began to write a clause.
_BEGUN = ("target", "max_count", "within", "tolerance", "consequence", "value")


def begun(data: Mapping[str, Any]) -> bool:
    """Whether a clause without words has something else in it."""
    return any(data.get(name) not in {None, ""} for name in _BEGUN)


def misfits(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a clause that do not fit its kind or each other, with what to do."""
    kind, within = data.get("kind"), data.get("within")
    if kind == ClauseKind.BUDGET and data.get("target") is None:
        yield "target", "A budget has a share that must go well."
    if kind in TIMED and within is None:
        yield "within", "Say within which time."
    if (milliseconds(data) or 0) > 2**31 - 1:
        yield "within", "At most 24 days."
    if kind != ClauseKind.NOTICE and data.get("dimension") == Dimension.COMMUNICATION:
        yield "dimension", "Communication is about being told: choose another, or Notice above."
    yield from _missing_window(data)
    yield from _missing_slices(data)
    if bool(data.get("op")) != (data.get("value") is not None):
        yield "value", "A measured value needs both: how it compares, and the number."
    if data.get("op") and within is not None:
        yield "value", "Say either a time or another measured value."


def _missing_window(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    zone, unit = data.get("window_zone"), data.get("window_unit") or WindowUnit.DAY
    if not zone and unit not in ROLLING_UNITS:
        yield "window_zone", "Months, quarters and years are of a calendar: name its time zone."
    if not zone and data.get("window_start"):
        yield "window_start", "Only a calendar window has a beginning: name its time zone."
    if data.get("window_start") and not is_local(data["window_start"]):
        yield "window_start", "Write it as in 2026-01-01 00:00:00."
    if zone and unit not in CALENDAR_UNITS:
        yield "window_unit", "A calendar has days, weeks, months, quarters and years."
    if zone and zone not in available_timezones():
        yield "window_zone", "There is no such time zone; write it as in Europe/Berlin."


def _missing_slices(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    how = data.get("budgeting") or Budgeting.OCCURRENCES
    sliced, good = data.get("slice_minutes"), data.get("slice_target")
    if how == Budgeting.OCCURRENCES:
        if sliced is not None or good is not None:
            yield "budgeting", "Choose slices of time here, or leave their length and share empty."
        return
    if sliced is None:
        yield "slice_minutes", "Say how long a slice is."
    if how == Budgeting.TIMESLICES and good is None:
        yield "slice_target", "Say from which share on a slice is good."
    if how == Budgeting.RATIO_TIMESLICES and good is not None:
        yield "slice_target", "An average over slices has no share for each slice."


def milliseconds(data: Mapping[str, Any]) -> int | None:
    """Return the time of a clause, None for one without."""
    within = data.get("within")
    unit = data.get("within_unit") or "minutes"
    return None if within is None else max(1, round(within * TIMES[unit]))
