"""Asking for a computation, and stopping it."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import User
from apps.catalog.models import Service
from apps.core.nudge import nudge
from apps.impact.models import ImpactRun, RunState


class UnableToRequestRun(Exception):
    """The window asked for cannot be computed; the message says why."""


@transaction.atomic
def request_run(
    *,
    window_from: datetime,
    window_to: datetime,
    now: datetime,
    service: Service | None = None,
    user: User | None = None,
    light: bool = False,
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
        requested_by=user,
        created_at=now,
    )
    nudge("impact.run", queue="impact")
    return run


@transaction.atomic
def cancel_run(*, run: ImpactRun, now: datetime) -> bool:
    """Stop a run that has not finished; say whether there was anything to stop.

    A worker in the middle of it finds its claim gone and keeps nothing.
    """
    return bool(
        ImpactRun.objects.filter(pk=run.pk, state__in=[RunState.QUEUED, RunState.RUNNING]).update(
            state=RunState.CANCELLED, claim_token=None, lease_until=None, finished_at=now
        )
    )
