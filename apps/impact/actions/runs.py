"""Asking for a computation, and stopping it."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Service
from apps.core.nudge import nudge
from apps.impact.models import ImpactRun, RunState

LONGEST = timedelta(days=7)
"""Of a window that somebody asks for: of a busy week, more does not fit into what a worker may hold."""

MOST_WAITING = 5
"""So many windows of one person may wait."""


class UnableToRequestRun(Exception):
    """The window asked for cannot be computed; the message says why."""


class AskedAlready(Exception):
    """The same window waits for a worker already, or has one."""

    def __init__(self, run: ImpactRun) -> None:
        super().__init__("This window waits for a worker already.")
        self.run = run


@transaction.atomic
def request_run(
    *,
    window_from: datetime,
    window_to: datetime,
    now: datetime,
    service: Service | None = None,
    user: User | None = None,
    light: bool = False,
    apart: bool = False,
) -> ImpactRun:
    """Ask a worker to compute what happened to customers between two instants.

    `light`: with what the last whole run of the same beginning found in earlier weeks, where there is one.
    """
    if window_from >= window_to:
        raise UnableToRequestRun("The window must begin before it ends.")
    if window_from > now:
        raise UnableToRequestRun("The window begins in the future.")
    run = ImpactRun.objects.create(
        window_from=window_from,
        window_to=window_to,
        service=service,
        light=light,
        apart=apart,
        requested_by=user,
        created_at=now,
    )
    nudge("impact.run", queue="impact")
    return run


@transaction.atomic
def ask_run(
    *,
    window_from: datetime,
    window_to: datetime,
    service: Service | None,
    first_event: datetime | None,
    user: User,
    now: datetime,
) -> ImpactRun:
    """Ask for a window by itself, for no incident.

    `first_event` is when our data begins; None where there is none. Raises AskedAlready with the run that waits for
    the same, and UnableToRequestRun for a window that cannot be computed or while too many wait.
    """
    if not user.can("incident.edit"):
        raise UnableToRequestRun("Your role does not let you do this.")
    if first_event is None:
        raise UnableToRequestRun("There are no events yet. Send some first.")
    if window_to > now:
        raise UnableToRequestRun(
            "The window ends in the future: only what has happened already can be told."
        )
    if window_to <= first_event:
        raise UnableToRequestRun(
            f"The first event that we have is of {first_event:%d %B %Y %H:%M} UTC; this window ends before it."
        )
    if window_to - window_from > LONGEST:
        raise UnableToRequestRun(
            f"A window may be {LONGEST.days} days long; ask for its parts one by one."
        )
    # One at a time: of two that press at once, the second sees the first one's run.
    User.objects.select_for_update().get(pk=user.pk)
    waiting = ImpactRun.objects.filter(apart=True, state__in=[RunState.QUEUED, RunState.RUNNING])
    same = waiting.filter(window_from=window_from, window_to=window_to, service=service).first()
    if same:
        raise AskedAlready(same)
    if waiting.filter(requested_by=user).count() >= MOST_WAITING:
        raise UnableToRequestRun(
            f"{MOST_WAITING} of yours wait for a worker already; cancel one, or wait for it."
        )
    run = request_run(
        window_from=window_from,
        window_to=window_to,
        service=service,
        user=user,
        now=now,
        apart=True,
    )
    AuditEvent.note(at=now, user=user, action="run.ask", target=run, after=str(run))
    return run


@transaction.atomic
def cancel_run(*, run: ImpactRun, now: datetime, user: User | None = None) -> bool:
    """Stop a run that has not finished; say whether there was anything to stop.

    A worker in the middle of it finds its claim gone and keeps nothing. `user`: who stopped it, for the record.
    """
    stopped = bool(
        ImpactRun.objects.filter(pk=run.pk, state__in=[RunState.QUEUED, RunState.RUNNING]).update(
            state=RunState.CANCELLED, claim_token=None, lease_until=None, finished_at=now
        )
    )
    if stopped and user:
        AuditEvent.note(at=now, user=user, action="run.cancel", target=run, before=str(run))
    return stopped
