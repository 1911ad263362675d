"""What a worker does about incidents: keeps their impact fresh and takes note of it. Safe twice and at once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.accounts.models import User
from apps.core.nudge import nudge
from apps.customers.models import Kind
from apps.impact import comparing
from apps.impact.actions import request_run as request_impact_run
from apps.impact.models import ImpactRun, ImpactSnapshot, RunState
from apps.incidents import severity
from apps.incidents.models import LIVE, Incident, IncidentRun, Severity, State, TimelineEvent

#: While it goes on the window begins a little before the first known failure: somebody met it before it was noticed.
#: Once its end is known, so is its beginning, and what went well before it is no part of it.
MARGIN = timedelta(minutes=1)
#: How old the newest computation of a live incident may be: while it goes on, and once its end is known.
FRESH, FRESH_ONCE_OVER = timedelta(minutes=5), timedelta(minutes=30)
#: And how old the newest light one may be, which carries what a whole one before it found in earlier weeks.
FRESH_LIGHT = timedelta(minutes=1)
#: When it is known who came back (the return horizon of the measures).
SETTLED = timedelta(days=1)

WAITING = (RunState.QUEUED, RunState.RUNNING)
OVER = (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


def window(incident: Incident, *, now: datetime) -> tuple[datetime, datetime]:
    """Return what a computation asked for now would look at; empty when the first is not before the second."""
    if incident.ended_at is None:
        return incident.started_at - MARGIN, now
    return incident.started_at, min(incident.ended_at, now)


def request_run(
    *,
    incident: Incident,
    user: User | None,
    now: datetime,
    even_if_waiting: bool = False,
    light: bool = False,
) -> IncidentRun | None:
    """Ask for one more computation of a locked incident; None when one waits or there is nothing to look at."""
    start, end = window(incident, now=now)
    if start >= end:
        return None
    if not even_if_waiting and incident.runs.filter(run__state__in=WAITING).exists():
        return None
    services = list(incident.services.all()[:2])
    run = request_impact_run(
        window_from=start,
        window_to=end,
        # The computation takes one service or all of them.
        service=services[0] if len(services) == 1 else None,
        user=user,
        now=now,
        light=light,
    )
    return IncidentRun.objects.create(incident=incident, run=run)


def sweep(*, now: datetime) -> None:
    """Do whatever no wake-up did: take note of finished runs, ask for fresh ones."""
    settle_all(now=now)
    refresh(now=now)


def settle_all(*, now: datetime) -> int:
    """Take note of every finished run that its incident has not; return how many."""
    settled = 0
    while settle_next(now=now):
        settled += 1
    return settled


def settle_next(*, now: datetime) -> bool:
    """Take note of the oldest finished run; say whether there was one that nobody else is at."""
    with transaction.atomic():
        row = (
            IncidentRun.objects.filter(settled_at=None, run__state__in=OVER)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("run", "incident")
            .order_by("run__finished_at", "pk")
            .first()
        )
        if row is None:
            return False
        # Severities of one incident are written by one at a time.
        Incident.objects.select_for_update().get(pk=row.incident_id)
        snapshot = ImpactSnapshot.objects.filter(run=row.run).first()
        proposals = {}
        if snapshot:
            proposals = severity.by_kind(snapshot.result.get("customers") or [])
            row.proposals = severity.as_json(proposals)
        row.settled_at = now
        row.save(update_fields=["settled_at", "proposals"])
        if snapshot:
            _take_note(row.incident, snapshot, proposals, now=now)
            if not row.run.light:
                # What is said to customers rests on whole runs.
                nudge("statuspage.render")
                nudge("outreach.sweep")
        elif row.run.state == RunState.FAILED and not row.run.light:
            _note_failure(row.incident, row.run, now=now)
    return True


def refresh(*, now: datetime) -> int:
    """Ask for a fresh computation where the newest is too old and none waits; return how many.

    Live incidents every few minutes, and a light one each minute in between; resolved ones once more when
    it is known who came back. Who is not done with one is not asked for the next.
    """
    return _ask(_stale, light=False, now=now) + _ask(_aging, light=True, now=now)


def _ask(which: Callable[[datetime], QuerySet[Any]], *, light: bool, now: datetime) -> int:
    asked = 0
    for pk in which(now).values_list("pk", flat=True):
        with transaction.atomic():
            incident = (
                which(now).filter(pk=pk).select_for_update(skip_locked=True, of=("self",)).first()
            )
            if incident and request_run(incident=incident, user=None, now=now, light=light):
                asked += 1
    return asked


def _aging(now: datetime) -> QuerySet[Any]:
    """Incidents that go on, whose newest answer is not of this minute any more."""
    runs = IncidentRun.objects.filter(incident=OuterRef("pk"))
    return (
        Incident.objects.filter(state__in=LIVE, ended_at=None)
        # Without one there is nothing to carry.
        .filter(Exists(runs.filter(run__light=False, run__state=RunState.DONE)))
        .exclude(Exists(runs.filter(run__created_at__gt=now - FRESH_LIGHT)))
        .exclude(Exists(runs.filter(run__state__in=WAITING)))
        .order_by("pk")
    )


def _stale(now: datetime) -> QuerySet[Any]:
    every = IncidentRun.objects.filter(incident=OuterRef("pk"))
    # A light one is never the last word.
    runs = every.filter(run__light=False)
    going_on = Q(ended_at=None) & ~Q(Exists(runs.filter(run__created_at__gt=now - FRESH)))
    ended = Q(ended_at__isnull=False) & ~Q(
        Exists(runs.filter(run__created_at__gt=now - FRESH_ONCE_OVER))
    )
    # Everything asked for before the horizon had passed could not know.
    final = Q(ended_at__lte=now - SETTLED) & ~Q(
        Exists(runs.filter(run__created_at__gte=OuterRef("ended_at") + SETTLED))
    )
    return (
        Incident.objects.filter(
            Q(state__in=LIVE) & (going_on | ended)
            | Q(state__in=[State.RESOLVED, State.REVIEWED]) & final
        )
        .exclude(Exists(every.filter(run__state__in=WAITING)))
        .order_by("pk")
    )


def _take_note(
    incident: Incident,
    snapshot: ImpactSnapshot,
    proposals: Mapping[str, severity.Proposal],
    *,
    now: datetime,
) -> None:
    """Write what the snapshot found on the timeline when it is new, and propose severities."""
    newer = ImpactSnapshot.objects.filter(
        run__incident_run__incident=incident, run__created_at__gt=snapshot.run.created_at
    )
    finding = headline(snapshot.result)
    latest = incident.timeline.filter(kind="snapshot").order_by("-pk").first()
    # A line a minute would hide what else happened.
    if not snapshot.run.light and (latest is None or latest.text.partition(": ")[2] != finding):
        TimelineEvent.objects.create(
            incident=incident,
            at=now,
            kind="snapshot",
            text=f"Snapshot #{snapshot.pk}: {finding}"[:500],
            user=None,
        )
    if not snapshot.provisional:
        _note_difference(incident, snapshot, now=now)
    if not newer.exists():
        _propose(incident, snapshot, proposals, now=now)


def _note_difference(incident: Incident, snapshot: ImpactSnapshot, *, now: datetime) -> None:
    """Say on the timeline how the first final answer differs from the last provisional one."""
    others = ImpactSnapshot.objects.filter(run__incident_run__incident=incident).exclude(
        pk=snapshot.pk
    )
    whole = others.filter(run__light=False)
    before = whole.filter(provisional=True).defer("result").order_by("-created_at", "-pk").first()
    if before is None or others.filter(provisional=False).exists():
        return
    differs = comparing.differences(before.overall, snapshot.overall)
    said = f"{before.as_of:%d %B %H:%M} UTC"
    text = (
        f"What we know now differs from what we said as of {said}: {differs}"
        if differs
        else f"What we said as of {said} holds: who gave up has had a day to come back"
    )
    TimelineEvent.objects.create(
        incident=incident, at=now, kind="snapshot", text=text[:500], user=None
    )


def headline(result: dict[str, Any]) -> str:
    """Return the one number of a snapshot that hurts most, in a few words."""
    attempts, actors = result.get("attempts") or {}, result.get("actors") or {}
    requests = result.get("requests") or {}
    gave_up, hit = attempts.get("gave_up") or 0, actors.get("hit")
    if gave_up:
        people = (result.get("people") or {}).get("gave_up")
        if people:
            return f"{people:,} {'person' if people == 1 else 'people'} gave up{_at_what(result, people)}"
        return f"{gave_up:,} {'attempt' if gave_up == 1 else 'attempts'} given up"
    if hit:
        return f"{hit:,} met a failure, none is known to have given up"
    if failed := requests.get("failed") or 0:
        return f"{failed:,} of {requests.get('total') or 0:,} requests failed"
    return "nothing failed in its window" if requests.get("total") else "no traffic in its window"


def _at_what(result: dict[str, Any], people: int) -> str:
    """Return how many of those who gave up did so at what the story begins with."""
    first: dict[str, Any] = next(iter(result.get("journeys") or []), {})
    there = (first.get("people") or {}).get("gave_up") or 0
    if not first.get("verb") or there > people:
        return ""
    if there == people:
        return f" trying to {first['verb']}"
    return f", {there:,} of them trying to {first['verb']}" if there else ""


def _propose(
    incident: Incident,
    snapshot: ImpactSnapshot,
    proposals: Mapping[str, severity.Proposal],
    *,
    now: datetime,
) -> None:
    existing = {row.kind: row for row in incident.severities.all()}
    for kind, proposal in proposals.items():
        row = existing.get(kind)
        if kind not in Kind.values or (row and row.confirmed_by_id):
            continue
        if row is None or row.level != proposal.level:
            TimelineEvent.objects.create(
                incident=incident,
                at=now,
                kind="severity",
                text=f"Severity {proposal.level} proposed for {severity.IN_WORDS[kind]}:"
                f" {proposal.short}"[:500],
                user=None,
            )
        Severity.objects.update_or_create(
            incident=incident,
            kind=kind,
            defaults={
                "level": proposal.level,
                "reason": proposal.reason[:300],
                "snapshot": snapshot,
            },
        )


def _note_failure(incident: Incident, run: ImpactRun, *, now: datetime) -> None:
    """Say once that the impact could not be computed, until it could again."""
    text = f"Impact could not be computed: {run.error.splitlines()[0] if run.error else 'no reason given'}"
    latest = incident.timeline.filter(kind="snapshot").order_by("-pk").first()
    if latest is None or latest.text != text[:500]:
        TimelineEvent.objects.create(
            incident=incident, at=now, kind="snapshot", text=text[:500], user=None
        )
