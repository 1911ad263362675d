"""What the computation needs to know from our tables: names, promises and files."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from apps.analytics.daily import Days
from apps.analytics.impact import ImpactResult
from apps.analytics.measures import return_reads
from apps.analytics.names import Catalogue, CustomerName, JourneyName, OperationName, Week
from apps.catalog import queries as catalog
from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Customer
from apps.telemetry import queries as telemetry
from apps.telemetry import rollups
from apps.tenets.models import Clause, ClauseKind, VersionState

WEEKS = 4
"""How many earlier weeks are looked at, where there is data (impact.md: K)."""


def catalogue(service: Service | None = None) -> Catalogue:
    """Return what ids in events are called; journeys only of `service` when one is given."""
    journeys = Journey.objects.prefetch_related("steps").order_by("pk")
    if service:
        journeys = journeys.filter(service=service)
    return Catalogue(
        customers={
            pk: CustomerName(pk, name, kind)
            for pk, name, kind in Customer.objects.values_list("pk", "name", "kind")
        },
        services=dict(Service.objects.values_list("pk", "name")),
        operations={
            pk: OperationName(pk, name, of, method)
            for pk, name, of, method in Operation.objects.values_list(
                "pk", "name", "service", "method"
            )
        },
        journeys=[
            JourneyName(
                id=journey.pk,
                name=journey.name,
                operations=tuple(step.operation_id for step in steps),
                done=steps[-1].operation_id,
                value=None if journey.value is None else float(journey.value),
                currency=journey.currency,
                verb=journey.verb,
            )
            for journey in journeys
            if (steps := list(journey.steps.all()))
        ],
        merged=catalog.merged(),
        traits=telemetry.traits(),
    )


def slow_after() -> dict[int, int]:
    """Return the milliseconds after which an answer of an operation counts as slow, where one is promised."""
    return dict(
        Operation.objects.filter(merged_into=None)
        .exclude(slow_after_ms=None)
        .values_list("pk", "slow_after_ms")  # type: ignore[arg-type]
    )


def files(start_ms: int, end_ms: int) -> list[str]:
    """Return the segments that hold a span of event time, as the catalogue names them."""
    return [str(Path(path)) for path in telemetry.segments(start_ms, end_ms)]


def earlier_weeks(start_ms: int, end_ms: int) -> list[Week]:
    """Return the earlier weeks whose same window has data, newest first."""
    week = 7 * 24 * 3600 * 1000
    found = (
        Week(back, tuple(files(start_ms - week * back, end_ms - week * back)))
        for back in range(1, WEEKS + 1)
    )
    return [one for one in found if one.files]


def days(start_ms: int, end_ms: int, *, seen_ms: int, weeks: Sequence[Week]) -> Days:
    """Return what says who came on which day and what began in which minute."""
    return rollups.days(
        *return_reads(
            start_ms=start_ms, end_ms=end_ms, seen_ms=seen_ms, weeks=[week.back for week in weeks]
        )
    )


def milliseconds(instant: datetime) -> int:
    """Return an instant as epoch milliseconds, rounded up: an end that holds an event keeps it."""
    return -((datetime.fromtimestamp(0, tz=instant.tzinfo) - instant) // timedelta(milliseconds=1))


def judged(result: ImpactResult) -> list[Mapping[str, Any]]:
    """Judge the active tenets' budgets on attempts by what happened in the window.

    spent = bad / ((1 - target) · total), over the attempts of the tenet's kind of customer at the clause's
    journey; broken above 1, at risk from 0.75, unknown below `min_events` attempts that can be told.
    """
    clauses = (
        Clause.objects.filter(
            version__state=VersionState.ACTIVE, kind=ClauseKind.BUDGET, journey__isnull=False
        )
        .select_related("version__tenet", "journey")
        .order_by("version__tenet__slug", "position")
    )
    return [_judge(clause, result) for clause in clauses]


def _judge(clause: Clause, result: ImpactResult) -> Mapping[str, Any]:
    tenet = clause.version.tenet
    name = clause.journey.name if clause.journey else ""
    told = bad = 0
    for customer in result.customers:
        if customer.kind == tenet.kind:
            for journey in customer.journeys:
                if journey.name == name:
                    told += journey.attempts.total - journey.attempts.cannot_tell
                    bad += journey.attempts.failed + journey.attempts.retried
    allowed = (1 - float(clause.target or 0)) * told
    spent = bad / allowed if allowed else 0.0
    if told < clause.min_events:
        verdict = "unknown"
    elif spent > 1:
        verdict = "broken"
    else:
        verdict = "at_risk" if spent >= 0.75 else "kept"
    return {
        "tenet": tenet.slug,
        "version": clause.version.number,
        "clause": clause.text,
        "target": None if clause.target is None else float(clause.target),
        "verdict": verdict,
        "spent": None if verdict == "unknown" else round(spent, 2),
        "attempts": told,
        "bad": bad,
    }
