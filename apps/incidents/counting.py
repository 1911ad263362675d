"""Count the last day's requests for the system map: whole, in a worker, once, whatever dies on the way."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from django.db import transaction
from django.db.models import Count, Max, Sum

from apps.analytics import flows
from apps.catalog.models import JourneyStep, Operation
from apps.core.claims import claim, holds, put_back
from apps.core.computing import computing
from apps.core.nudge import nudge
from apps.customers.models import Customer
from apps.incidents.models import CountState, Flow, SystemCount
from apps.telemetry import queries as telemetry

logger = logging.getLogger(__name__)

#: What the map looks at: the last day of data, wherever the data ends.
WINDOW = timedelta(days=1)
#: New data and changed journeys are counted no more often than this.
EVERY = timedelta(minutes=2)
#: Customers of each kind that keep a row of their own; the others are added up.
NAMED = 40
MOST_TRIES = 3
_READ = ("pk", "service", "merged_into", "ignored")


def sweep(*, now: datetime) -> None:
    """Put back a count whose worker died, ask for one where there is something new, wake a worker."""
    put_back(
        SystemCount.objects.all(),
        works=CountState.RUNNING,
        waits=CountState.QUEUED,
        now=now,
        most_tries=MOST_TRIES,
        state=CountState.FAILED,
        finished_at=now,
        error=f"The worker died {MOST_TRIES} times while it counted.",
    )
    request_count(now=now)
    if SystemCount.objects.filter(state=CountState.QUEUED).exists():
        nudge("incidents.count", queue="impact")


def request_count(*, now: datetime) -> bool:
    """Ask for a count if anything changed since the latest; say whether one was asked for."""
    if telemetry.watermark() is None:
        return False
    row, _ = SystemCount.objects.get_or_create(pk=1)
    if row.state not in {CountState.DONE, CountState.FAILED}:
        return False
    if row.finished_at is not None and now - row.finished_at < EVERY:
        return False
    if row.basis == _basis():
        return False
    asked = SystemCount.objects.filter(pk=1, state=row.state).update(
        state=CountState.QUEUED, claim_token=None, lease_until=None, tries=0
    )
    return bool(asked)


def run_next(*, clock: Callable[[], datetime]) -> bool:
    """Claim the count that waits and do it; say whether there was one. Safe to run twice and at once."""
    waiting = SystemCount.objects.filter(state=CountState.QUEUED).order_by("pk")
    claimed = claim(waiting, state=CountState.RUNNING, now=clock())
    if not claimed:
        return False
    row = claimed[0]
    try:
        basis = _basis()  # before the count: what comes in meanwhile asks for another
        window = _window()
        keep(row=row, basis=basis, window=window, counted=_count(*window), now=clock())
    except Exception as error:  # the worker must live on, and the reason must be seen on the row
        logger.exception("the count for the system map failed")
        holds(row, state=CountState.RUNNING).update(
            state=CountState.FAILED,
            error=f"{type(error).__name__}: {error}"[:500],
            finished_at=clock(),
        )
    return True


def keep(
    *,
    row: SystemCount,
    basis: str,
    window: tuple[datetime, datetime],
    counted: flows.Flows,
    now: datetime,
) -> bool:
    """Put the flows of a claimed count in place of the ones before; nothing when the claim is gone."""
    with transaction.atomic():
        if not holds(row, state=CountState.RUNNING).update(
            state=CountState.DONE,
            basis=basis,
            window_from=window[0],
            window_to=window[1],
            customers=dict(counted.customers),
            error="",
            finished_at=now,
            lease_until=None,
        ):
            return False
        Flow.objects.all().delete()
        known = set(Customer.objects.values_list("pk", flat=True))
        places = set(Operation.objects.values_list("service", flat=True).distinct())
        journeys = set(JourneyStep.objects.values_list("journey", flat=True).distinct())
        Flow.objects.bulk_create(
            [
                Flow(
                    customer_id=one.customer or None,
                    kind=one.kind,
                    service_id=one.service,
                    journey_id=one.journey if one.journey in journeys else None,
                    requests=one.requests,
                    failed=one.failed,
                )
                for one in counted.rows
                # What was deleted while it was counted has no place on the map.
                if one.service in places and (not one.customer or one.customer in known)
            ],
            batch_size=2_000,
        )
    return True


def _count(start: datetime, end: datetime) -> flows.Flows:
    start_ms, end_ms = (int(at.timestamp() * 1000) for at in (start, end))
    with computing("map") as con:
        operations, ignored = _operations()
        return flows.count(
            con,
            files=[str(path) for path in telemetry.segments(start_ms, end_ms)],
            start_ms=start_ms,
            end_ms=end_ms,
            operations=operations,
            ignored=ignored,
            kinds=dict(Customer.objects.values_list("pk", "kind")),
            named=NAMED,
        )


def _operations() -> tuple[dict[int, tuple[int, int]], set[int]]:
    """Return each operation's service and journey (0 = none), and those that are ignored.

    An operation merged into another counts as that one in everything. Of several journeys an operation
    belongs to the one that it is nearest to completing; a step of a journey is never ignored.
    """
    last = dict(JourneyStep.objects.values_list("journey").annotate(Max("position")))
    nearest: dict[int, tuple[int, int]] = {}
    for journey, operation, position in JourneyStep.objects.values_list(
        "journey", "operation", "position"
    ):
        found = (last[journey] - position, journey)
        nearest[operation] = min(found, nearest.get(operation, found))
    rows = {row[0]: row for row in Operation.objects.order_by("pk").values_list(*_READ)}
    places: dict[int, tuple[int, int]] = {}
    ignored: set[int] = set()
    for pk, row in rows.items():
        one, passed = row, {pk}
        while one[2] in rows and one[2] not in passed:
            passed.add(one[2])
            one = rows[one[2]]
        places[pk] = one[1], nearest.get(one[0], (0, 0))[1]
        if one[3] and not places[pk][1]:
            ignored.add(pk)
    return places, ignored


def _window() -> tuple[datetime, datetime]:
    """Return the last day of data; its end is just after the latest event."""
    end = datetime.fromtimestamp(((telemetry.watermark() or 0) + 1) / 1000, UTC)
    return end - WINDOW, end


def _basis() -> str:
    """Return a text that changes when a new count would say something else."""
    customers = Customer.objects.values("kind").annotate(n=Count("pk"), which=Sum("pk"))
    kinds = list(customers.order_by("kind").values_list("kind", "n", "which"))
    places, ignored = _operations()
    start, end = (int(at.timestamp() * 1000) for at in _window())
    rows = telemetry.coverage(start, end).rows
    told = repr((start, end, rows, places, sorted(ignored), kinds))
    return sha256(told.encode()).hexdigest()
