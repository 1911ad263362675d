"""Compute what a window did to customers, once, whatever dies on the way."""

import logging
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from apps.analytics import story
from apps.analytics.impact import Carried, ImpactResult, compute, reads
from apps.analytics.results import CustomerImpact as Theirs
from apps.analytics.sql import Cancelled
from apps.catalog.models import Journey, Service
from apps.core.claims import claim, holds, kept_alive, put_back
from apps.core.computing import computing
from apps.core.nudge import nudge
from apps.customers.models import Customer
from apps.impact import inputs
from apps.impact.models import CustomerImpact, Gap, ImpactRun, ImpactSnapshot, RunState
from apps.telemetry import queries as telemetry

logger = logging.getLogger(__name__)

MOST_TRIES = 3
"""A run that took its worker down this often is given up: it would take the next one down as well."""

MOST_BLINDED = 1000
"""A gap names so many of the customers that it blinds us to."""

Progress = Callable[[int, int, str], None]


class NothingToRead(Exception):
    """There are no events at all; the message says what to do."""


def compute_window(
    *,
    window_from: datetime,
    window_to: datetime,
    as_of: datetime,
    service: Service | None = None,
    carried: Carried | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImpactResult:
    """Compute the impact of a window from the events that the catalogue names.

    With `carried`, earlier weeks are not read. Raises NothingToRead when nothing was ever ingested, `Cancelled`
    when `cancelled()` says so.
    """
    watermark = telemetry.watermark()
    if watermark is None:
        raise NothingToRead("There are no events yet. Send some: manage.py ingest FILE.")
    start, end = inputs.milliseconds(window_from), inputs.milliseconds(window_to)
    weeks = [] if carried else inputs.earlier_weeks(start, end)
    seen = min(inputs.milliseconds(as_of), watermark)
    with computing("impact") as con:
        result = compute(
            con,
            files=inputs.files(*reads(start_ms=start, end_ms=end)),
            start_ms=start,
            end_ms=end,
            as_of_ms=inputs.milliseconds(as_of),
            data_end_ms=watermark,
            names=inputs.catalogue(service),
            latency_tenets_ms=inputs.slow_after(),
            service=service.pk if service else None,
            baseline_weeks=weeks,
            carried=carried,
            days=inputs.days(start, end, seen_ms=seen, weeks=weeks) if weeks else None,
            progress=progress,
            cancelled=cancelled,
        )
    # Told once more: whether a promise was broken is part of the story.
    return story.told(replace(result, tenets=tuple(inputs.judged(result))))


def run_next(*, clock: Callable[[], datetime]) -> bool:
    """Claim the oldest run that waits and compute it; say whether there was one.

    Safe to run twice and at once: the claim is the row's, the snapshot is one per run, and a worker that
    lost its claim keeps nothing.
    """
    waiting = ImpactRun.objects.filter(state=RunState.QUEUED).order_by("pk")
    claimed = claim(waiting, state=RunState.RUNNING, now=clock())
    if not claimed:
        return False
    run = claimed[0]
    try:
        with kept_alive(run, state=RunState.RUNNING, clock=clock, lease=_lease()):
            result = compute_window(
                window_from=run.window_from,
                window_to=run.window_to,
                as_of=max(run.created_at, run.window_to),
                service=run.service,
                carried=_carried(run) if run.light else None,
                progress=lambda step, of, _: _note_progress(run, step, of),
                cancelled=lambda: not holds(run, state=RunState.RUNNING).exists(),
            )
        keep(run=run, result=result, now=clock())
    except Cancelled:
        logger.info("run %s: the claim is gone, nothing kept", run.pk)
    except Exception as error:  # the worker must live on, and the reason must be seen on the row
        logger.exception("run %s failed", run.pk)
        holds(run, state=RunState.RUNNING).update(
            state=RunState.FAILED,
            error=f"{type(error).__name__}: {error}"[:1000],
            finished_at=clock(),
        )
    return True


def keep(*, run: ImpactRun, result: ImpactResult, now: datetime) -> ImpactSnapshot | None:
    """Freeze the result of a claimed run; None when the claim is gone, and then nothing is kept."""
    with transaction.atomic():
        if not holds(run, state=RunState.RUNNING).update(
            state=RunState.DONE, finished_at=now, progress=100, lease_until=None
        ):
            return None
        answer = result.as_json()
        snapshot = ImpactSnapshot.objects.create(
            run=run,
            as_of=datetime.fromisoformat(answer["as_of"]),
            watermark=datetime.fromisoformat(answer["watermark"]),
            provisional=result.provisional,
            method=answer["method"],
            result=answer,
            # A light run's own is another's: who carries takes it from that one.
            carries=None if run.light or not result.history else result.history.as_json(),
            created_at=now,
        )
        known = set(Customer.objects.values_list("pk", flat=True))
        CustomerImpact.objects.bulk_create(
            [_theirs(one, result, snapshot) for one in result.customers if one.id in known],
            batch_size=500,
        )
        if not run.light:
            # What a light run leaves out is no question that cannot be answered.
            _note_gaps(snapshot, result, run.service, now)
        nudge("incidents.sweep")
    return snapshot


def _theirs(customer: Theirs, result: ImpactResult, snapshot: ImpactSnapshot) -> CustomerImpact:
    facts = story.facts_of(customer, result)
    return CustomerImpact(
        snapshot=snapshot,
        customer_id=customer.id,
        kind=customer.kind,
        grade=customer.grade,
        # The facts are data, so that whoever reads them later reads them in their own language.
        result={**customer.as_json(), "facts": [fact.as_json() for fact in facts]},
        story=[one.text for one in story.sentences(facts)],
    )


def sweep(*, now: datetime) -> None:
    """Put runs back whose worker died, give up those that keep killing it, and wake a worker."""
    put_back(
        ImpactRun.objects.all(),
        works=RunState.RUNNING,
        waits=RunState.QUEUED,
        now=now,
        most_tries=MOST_TRIES,
        state=RunState.FAILED,
        finished_at=now,
        error=f"The worker died {MOST_TRIES} times while it computed this.",
    )
    if ImpactRun.objects.filter(state=RunState.QUEUED).exists():
        nudge("impact.run", queue="impact")


def _carried(run: ImpactRun) -> Carried | None:
    """What the last whole run of the same beginning found in earlier weeks; None: look there yourself."""
    found = (
        ImpactSnapshot.objects.filter(
            run__light=False,
            run__window_from=run.window_from,
            run__window_to__lte=run.window_to,
            run__service=run.service,
            carries__isnull=False,
        )
        .order_by("-pk")
        .values_list("carries", flat=True)
        .first()
    )
    return Carried.from_json(found) if found else None


def _lease() -> timedelta:
    return timedelta(seconds=settings.PORTAL_LEASE_SECONDS)


def _note_progress(run: ImpactRun, step: int, of: int) -> None:
    holds(run, state=RunState.RUNNING).update(progress=min(99, 100 * (step - 1) // max(1, of)))


def _note_gaps(
    snapshot: ImpactSnapshot, result: ImpactResult, service: Service | None, now: datetime
) -> None:
    """Open the gaps that this snapshot met, and close those it could answer again."""
    # One transaction at a time: two runs that end together must not both open the same gap.
    list(Service.objects.select_for_update().order_by("pk").values_list("pk")[:1])
    known = set(Journey.objects.values_list("pk", flat=True)) if result.gaps else set()
    met: set[tuple[str, int | None]] = set()
    for gap in result.gaps:
        if gap.journey is not None and gap.journey not in known:
            continue
        met.add((gap.code, gap.journey))
        said = {
            "question": gap.question[:300],
            "why": gap.why[:500],
            "closes_by": gap.closes_by,
            "customers": list(gap.customers[:MOST_BLINDED]),
            "latest_snapshot": snapshot,
        }
        Gap.objects.update_or_create(
            code=gap.code,
            service=service,
            journey_id=gap.journey,  # type: ignore[misc]  # None is "of all"
            closed_at=None,
            defaults=said,
            create_defaults={**said, "first_snapshot": snapshot, "opened_at": now},
        )
    _close_gaps(snapshot, result, service, met, now)


def _close_gaps(
    snapshot: ImpactSnapshot,
    result: ImpactResult,
    service: Service | None,
    met: Container[tuple[str, int | None]],
    now: datetime,
) -> None:
    """Close the gaps that this snapshot was asked about and could answer, and say so."""
    if not result.figures.requests.total:
        return
    asked = {one.id for one in result.journeys if one.declared and one.figures.requests.total}
    waiting: Iterable[tuple[int, str, int | None]] = Gap.objects.filter(
        service=service, closed_at=None
    ).values_list("pk", "code", "journey")
    answered = [
        pk
        for pk, code, journey in waiting
        if (code, journey) not in met and (journey is None or journey in asked)
    ]
    Gap.objects.filter(pk__in=answered).update(
        closed_at=now,
        latest_snapshot=snapshot,
        closed_because=f"The data arrived: the window from {snapshot.run.window_from:%d %B %Y %H:%M} UTC,"
        f" computed {now:%d %B %Y at %H:%M} UTC, answers it",
    )
