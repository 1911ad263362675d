"""What traffic shows that a kind of customer bears today: for who writes tenets, which cannot read impact."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from apps.catalog.models import Journey
from apps.customers.models import Kind
from apps.impact.models import CustomerImpact, ImpactSnapshot
from apps.tenets.guide import Evidence

#: Enough to say something, few enough to read.
SNAPSHOTS = 20

Window = tuple[datetime, datetime]


def witness(*, kind: str, journeys: Sequence[Journey]) -> dict[int, Evidence]:
    """Return, for every journey, how attempts of this kind of customer ended, or why that cannot be told.

    Of impacts over windows that overlap only the latest counts: no attempt is counted twice.
    """
    rows = ImpactSnapshot.objects.order_by("-as_of", "-pk").values_list(
        "pk", "run__window_from", "run__window_to"
    )[:SNAPSHOTS]
    taken: dict[int, Window] = {}
    for snapshot, begins, ends in rows:
        if not any(begins < other_ends and other < ends for other, other_ends in taken.values()):
            taken[snapshot] = begins, ends
    names = {journey.name: journey.pk for journey in journeys}
    sums: dict[int, dict[str, int]] = {}
    windows: dict[int, list[Window]] = {}
    for snapshot, name, attempts in _sums(list(taken), kind, list(names)):
        into = sums.setdefault(names[name], {"total": 0})
        for how, number in attempts.items():
            into[how] = into.get(how, 0) + int(number or 0)
        windows.setdefault(names[name], []).append(taken[snapshot])
    anybody = CustomerImpact.objects.filter(snapshot__in=taken, kind=kind).exists()
    return {
        journey.pk: _say(sums[journey.pk], windows[journey.pk])
        if sums.get(journey.pk, {}).get("total")
        else _cannot_tell(journey, kind, list(taken.values()), anybody=anybody)
        for journey in journeys
    }


_ADD_UP = """
    SELECT snapshot_id, name, jsonb_object_agg(how, n) FILTER (WHERE how IS NOT NULL) FROM (
        SELECT one.snapshot_id, journey ->> 'name' AS name, attempts.how, sum(attempts.n::numeric) AS n
        FROM impact_customerimpact one
        CROSS JOIN LATERAL jsonb_path_query(one.result, 'lax $.journeys[*]') AS journey
        LEFT JOIN LATERAL jsonb_each_text(jsonb_path_query_first(journey, '$.attempts ? (@.type() == "object")'))
            AS attempts (how, n) ON true
        WHERE one.snapshot_id = ANY(%s) AND one.kind = %s AND journey ->> 'name' = ANY(%s)
        GROUP BY 1, 2, 3
    ) AS sums GROUP BY 1, 2 ORDER BY 1, 2
"""


def _sums(
    snapshots: list[int], kind: str, names: list[str]
) -> list[tuple[int, str, Mapping[str, Any]]]:
    """Return (snapshot, journey, how attempts of all customers of the kind ended), where they took it.

    Added up by the database: a snapshot may hold ten thousand customers.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UP, [snapshots, kind, names])
        return [
            (snapshot, name, json.loads(sums) if sums else {})
            for snapshot, name, sums in cursor.fetchall()
        ]


def _say(attempts: Mapping[str, int], windows: Sequence[Window]) -> Evidence:
    total = attempts["total"]
    first = attempts.get("first_try", 0) + attempts.get("slow", 0)
    retried, left = attempts.get("retried", 0), attempts.get("gave_up", 0)
    failed = retried + left + attempts.get("came_back", 0) + attempts.get("open", 0)
    text = f"Of {total:,} attempts, {first:,} worked at the first try; {failed:,} did not."
    if failed:
        text += f" After a failure {retried:,} tried again and got through, {left:,} gave up."
    if unknown := attempts.get("cannot_tell", 0):
        text += f" How {unknown:,} ended cannot be told."
    return Evidence(
        text=text,
        basis=f"Counted in the {_span(windows)}. Impact is mostly computed for incidents: quiet days are not in it.",
    )


def _cannot_tell(
    journey: Journey, kind: str, taken: Sequence[Window], *, anybody: bool
) -> Evidence:
    if not taken:
        why = "no impact has been computed yet"
    elif not anybody:
        why = f"the {_span(taken)} names no customer of the kind {Kind(kind).label.lower()}"
    else:
        why = f"the {_span(taken)} has no attempt at {journey.name} by this kind of customer"
    return Evidence(text="", basis=f"{why[0].upper()}{why[1:]}.")


def _span(windows: Iterable[Window]) -> str:
    """Name the windows that were looked at: “Impact of 2 windows between … and … UTC”."""
    found = list(windows)
    begins, ends = min(one for one, _ in found), max(one for _, one in found)
    same = begins.date() == ends.date()
    to = f"{ends:%H:%M}" if same else f"{ends:%-d %B %Y, %H:%M}"
    what = "the window" if len(found) == 1 else f"{len(found)} windows between"
    return (
        f"impact of {what} {begins:%-d %B %Y, %H:%M} {'to' if len(found) == 1 else 'and'} {to} UTC"
    )
