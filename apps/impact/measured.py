"""What `/metrics` tells of computations."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Min

from apps.core.metrics import Family, by_label, gauge
from apps.impact.models import ImpactRun, RunState

_WAITING = (RunState.QUEUED, RunState.RUNNING)


def measured(now: datetime) -> Iterable[Family]:
    """Return how many computations wait or run, and since when; one query."""
    rows = ImpactRun.objects.filter(state__in=_WAITING).values_list("state")
    found = {state: (n, since) for state, n, since in rows.annotate(Count("pk"), Min("created_at"))}
    yield by_label(
        "portal_impact_runs",
        "state",
        {state.value: found.get(state, (0, None))[0] for state in _WAITING},
        "Computations of impact that wait or run.",
    )
    since = found.get(RunState.QUEUED, (0, None))[1]
    yield gauge(
        "portal_impact_oldest_waiting_seconds",
        "For how long the oldest of them waits; 0 when none does.",
        (now - since).total_seconds() if since else 0,
    )
