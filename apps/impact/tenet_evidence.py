"""What traffic shows that a kind of customer bears today: for who writes tenets, which cannot read impact."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.catalog.models import Journey
from apps.impact.models import ImpactSnapshot
from apps.tenets.guide import Evidence

#: Enough to say something, few enough to read.
SNAPSHOTS = 20


def witness(*, kind: str, journeys: Sequence[Journey]) -> dict[int, Evidence]:
    """Return, for each journey of the latest snapshots, how attempts of this kind of customer ended."""
    rows = ImpactSnapshot.objects.order_by("-as_of", "-pk").values_list(
        "as_of", "result__customers"
    )[:SNAPSHOTS]
    names = {journey.name: journey.pk for journey in journeys}
    sums: dict[int, dict[str, int]] = {}
    windows: dict[int, int] = {}
    for _, customers in rows:
        seen = set()
        for customer in customers or []:
            if customer.get("kind") != kind:
                continue
            for journey in customer.get("journeys") or []:
                pk = names.get(journey.get("name", ""))
                if pk is not None:
                    _add(sums.setdefault(pk, {}), journey.get("attempts") or {})
                    seen.add(pk)
        for pk in seen:
            windows[pk] = windows.get(pk, 0) + 1
    return {pk: _say(attempts, windows[pk]) for pk, attempts in sums.items() if attempts["total"]}


def _add(into: dict[str, int], attempts: Mapping[str, Any]) -> None:
    into.setdefault("total", 0)
    for name, number in attempts.items():
        into[name] = into.get(name, 0) + int(number or 0)


def _say(attempts: Mapping[str, int], windows: int) -> Evidence:
    total = attempts["total"]
    first = attempts.get("first_try", 0) + attempts.get("slow", 0)
    retried, left = attempts.get("retried", 0), attempts.get("gave_up", 0)
    failed = retried + left + attempts.get("came_back", 0) + attempts.get("open", 0)
    text = f"Of {total:,} attempts, {first:,} worked at the first try; {failed:,} did not."
    if failed:
        text += f" After a failure {retried:,} tried again and got through, {left:,} gave up."
    what = "the latest impact" if windows == 1 else f"the latest {windows} impacts"
    return Evidence(text=text, basis=f"Counted in {what} computed: mostly windows of incidents.")
