"""Over which time an SLO is judged, and by which slices of it."""

import re
from collections.abc import Sequence
from typing import Any
from zoneinfo import available_timezones

from apps.tenets.models import CALENDAR_UNITS, ROLLING_UNITS, Budgeting, is_local
from apps.tenets.openslo.findings import Findings, quoted
from apps.tenets.openslo.reading import At
from apps.tenets.openslo.words import METHODS, MINUTES

_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdwMQY])")


def window_of(findings: Findings, spec: At) -> dict[str, Any]:
    """Return the window that an SLO is judged over, as columns of a clause."""
    held = spec.get("timeWindow")
    if held is None:
        findings.note(spec, "There is no timeWindow: 28 days rolling are taken.")
        return {}
    if held.kind != "list" or len(held.items) != 1 or held.items[0].kind != "map":
        findings.error(held, "timeWindow is a list with exactly one window.")
        return {}
    window = held.items[0]
    calendar, rolling = window.get("calendar"), window.get("isRolling")
    if rolling and rolling.kind != "flag":
        findings.error(rolling, "isRolling is true or false.")
    if (rolling.value if rolling else calendar is None) is True:
        if calendar:
            findings.error(calendar, "A rolling window has no calendar.")
        return _duration(findings, window, ROLLING_UNITS, "A rolling window has m, h, d or w")
    return {
        **_duration(
            findings,
            window,
            CALENDAR_UNITS,
            "A calendar window has d, w, M (months), Q or Y; a small m means minutes",
        ),
        **_calendar(findings, calendar, window),
    }


def _calendar(findings: Findings, calendar: At | None, window: At) -> dict[str, Any]:
    if calendar is None or calendar.kind != "map":
        findings.error(window, "A window that does not roll has a calendar with a timeZone.")
        return {}
    zone, start = findings.text(calendar, "timeZone"), findings.text(calendar, "startTime")
    if zone not in available_timezones():
        findings.error(
            calendar.get("timeZone") or calendar,
            f"timeZone {quoted(zone)} is not in the IANA database, such as America/New_York.",
        )
    if start and not is_local(start):
        findings.error(
            calendar.get("startTime") or calendar,
            "startTime is written as 2020-01-21 12:30:00, without a zone.",
        )
    return {"window_zone": zone, "window_start": start}


def _duration(findings: Findings, window: At, units: Sequence[str], words: str) -> dict[str, Any]:
    found = _DURATION.fullmatch(findings.text(window, "duration"))
    at = window.get("duration") or window
    if not found or int(found[1]) > 32767:
        findings.error(at, "duration is a number with m, h, d, w, M, Q or Y, such as 28d or 1M.")
        return {}
    if found[2] not in units:
        findings.error(at, f"duration {found[0]}: {words}.")
        return {}
    return {"window_count": int(found[1]), "window_unit": found[2]}


def method_of(findings: Findings, spec: At) -> str:
    """Return what an SLO counts: one of Budgeting."""
    said = findings.text(spec, "budgetingMethod")
    if said not in METHODS:
        findings.error(
            spec.get("budgetingMethod") or spec,
            f"budgetingMethod {quoted(said)} is none of {', '.join(METHODS)}.",
        )
    return METHODS.get(said, Budgeting.OCCURRENCES)


def slices_of(findings: Findings, node: At, method: str) -> dict[str, Any]:
    """Return the slices of an objective, as columns of a clause."""
    length, share = node.get("timeSliceWindow"), node.get("timeSliceTarget")
    if method == Budgeting.OCCURRENCES:
        for at in (length, share):
            if at:
                findings.error(at, "Only Timeslices have a timeSliceWindow and timeSliceTarget.")
        return {}
    found: dict[str, Any] = {"slice_minutes": _slice_minutes(findings, length, node)}
    if method == Budgeting.RATIO_TIMESLICES:
        if share:
            findings.error(share, "RatioTimeslices average over slices: no timeSliceTarget.")
        return found
    if share is None or share.kind != "number" or not 0 < share.value <= 1:
        findings.error(share or node, "timeSliceTarget is a number above 0, at most 1.")
    elif share.value != round(share.value, 6):
        findings.error(share, "timeSliceTarget has at most six decimals.")
    else:
        found["slice_target"] = share.value
    return found


def _slice_minutes(findings: Findings, length: At | None, node: At) -> int | None:
    words = "timeSliceWindow is a number of minutes or a duration such as 1m, 2h or 1d."
    if length is None:
        findings.error(node, words)
        return None
    if length.kind == "number" and length.value == int(length.value) and 0 < length.value < 10**6:
        return int(length.value)
    found = _DURATION.fullmatch(str(length.value))
    if not found or found[2] not in MINUTES:
        findings.error(length, words)
        return None
    return int(found[1]) * MINUTES[found[2]]
