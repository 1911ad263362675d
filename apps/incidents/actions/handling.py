"""Declaring an incident, and changing what it says of itself."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Service
from apps.customers.models import Kind
from apps.incidents import jobs, severity
from apps.incidents.actions.common import (
    Refused,
    columns_of,
    has_told,
    lock,
    log,
    one_line,
    permit,
    wake,
)
from apps.incidents.models import (
    LIVE,
    TRANSITIONS,
    Fault,
    Incident,
    IncidentRun,
    Severity,
    State,
    Visibility,
)

MOST_REASON = 300


class UnableToDeclare(Refused):
    """The incident cannot be declared like this."""


class UnableToRequestImpact(Refused):
    """There is nothing to compute, or it is being computed already."""


class UnableToChangeState(Refused):
    """The incident cannot go to this state, or not without a reason."""


class UnableToSetSeverity(Refused):
    """The severity cannot be set like this."""


class UnableToEdit(Refused):
    """The incident cannot be changed like this."""


class Conflict(UnableToEdit):
    """Somebody else changed the incident since the person read it. `incident` is how it stands now."""

    def __init__(self, message: str, *, incident: Incident) -> None:
        super().__init__(message)
        self.incident = incident


@transaction.atomic
def declare(
    *,
    title: str,
    started_at: datetime,
    user: User,
    now: datetime,
    services: Iterable[Service] = (),
    cannot: str = "",
    fault: str = Fault.UNKNOWN,
    visibility: str = Visibility.PUBLIC,
    ended_at: datetime | None = None,
    lead: User | None = None,
    liaison: User | None = None,
) -> Incident:
    """Open an incident and ask a worker what it did to customers from `started_at` on.

    `ended_at` is given when the last failure is known already. Raises UnableToDeclare.
    """
    permit(user, "incident.declare", UnableToDeclare)
    title = one_line(title, 200, "title", UnableToDeclare)
    if not title:
        raise UnableToDeclare("Say in a few words what went wrong.")
    if started_at > now:
        raise UnableToDeclare("The first failure cannot be in the future.")
    if ended_at and not started_at <= ended_at <= now:
        raise UnableToDeclare("The last failure is after the first, and not in the future.")
    if fault not in Fault.values or visibility not in Visibility.values:
        raise UnableToDeclare("This is neither a fault nor an audience that we know.")
    incident = Incident.objects.create(
        title=title,
        cannot=one_line(cannot, 300, "what customers cannot do", UnableToDeclare),
        fault=fault,
        visibility=visibility,
        started_at=started_at,
        ended_at=ended_at,
        declared_at=now,
        declared_by=user,
        lead=lead or user,
        liaison=liaison,
    )
    incident.services.set(services)
    log(
        incident,
        kind="declared",
        text="Declared",
        action="incident.declare",
        user=user,
        now=now,
        after={
            **columns_of(incident),
            "services": sorted(one.slug for one in incident.services.all()),
        },
    )
    jobs.request_run(incident=incident, user=user, now=now)
    return incident


@transaction.atomic
def edit(
    *,
    incident: Incident,
    version_seen: int,
    title: str,
    cannot: str,
    fault: str,
    visibility: str,
    lead: User | None,
    liaison: User | None,
    user: User,
    now: datetime,
    started_at: datetime | None = None,
) -> Incident:
    """Change what the incident says of itself. A new `started_at` asks for the impact anew.

    Raises Conflict when somebody changed it since `version_seen`, UnableToEdit otherwise.
    """
    permit(user, "incident.edit", UnableToEdit)
    locked = lock(incident)
    before = columns_of(locked)
    locked.title = one_line(title, 200, "title", UnableToEdit)
    locked.cannot = one_line(cannot, 300, "what customers cannot do", UnableToEdit)
    locked.fault, locked.visibility = fault, visibility
    locked.lead, locked.liaison = lead, liaison
    locked.started_at = started_at or locked.started_at
    _check_edit(locked, before, now=now)
    after = columns_of(locked)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return locked
    if version_seen != locked.version:
        raise Conflict(
            "Somebody changed this incident while you were at it. Nothing of yours is saved yet.",
            incident=Incident.objects.select_related("lead", "liaison").get(pk=locked.pk),
        )
    locked.version += 1
    locked.save(
        update_fields=[
            "title", "cannot", "fault", "visibility", "lead", "liaison", "started_at", "version",
        ]
    )  # fmt: skip
    log(
        locked,
        kind="edit",
        text=f"Changed: {', '.join(_EDITED[name] for name in changed)}",
        action="incident.edit",
        user=user,
        now=now,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
    )
    if "started_at" in changed:
        jobs.request_run(incident=locked, user=user, now=now, even_if_waiting=True)
    wake()
    return locked


@transaction.atomic
def request_impact(*, incident: Incident, user: User, now: datetime) -> IncidentRun:
    """Ask a worker to compute anew what it did to customers, up to its end or now.

    Raises UnableToRequestImpact, also while a computation waits or runs.
    """
    permit(user, "incident.edit", UnableToRequestImpact)
    locked = lock(incident)
    if locked.runs.filter(run__state__in=jobs.WAITING).exists():
        raise UnableToRequestImpact("The impact is being computed already.")
    run = jobs.request_run(incident=locked, user=user, now=now)
    if run is None:
        raise UnableToRequestImpact("There is nothing to compute before the first failure.")
    AuditEvent.note(
        at=now, user=user, action="incident.impact", target=locked, after={"run": run.run_id}
    )
    return run


@transaction.atomic
def change_state(
    *, incident: Incident, state: str, user: User, now: datetime, reason: str = ""
) -> Incident:
    """Move the incident to another state without telling customers.

    Going back, dismissing and reopening need a reason. Resolving is done by `resolve`, which tells
    everyone who was told that it broke. Raises UnableToChangeState.
    """
    permit(user, "incident.edit", UnableToChangeState)
    locked = lock(incident)
    reason = one_line(reason, MOST_REASON, "reason", UnableToChangeState)
    _check_change(locked, state, reason)
    before = locked.state
    locked.state = state
    locked.version += 1
    if state == State.REOPENED:
        locked.resolved_at = locked.ended_at = None
    if state not in LIVE:
        locked.next_update_at = None
    locked.save(update_fields=["state", "version", "resolved_at", "ended_at", "next_update_at"])
    log(
        locked,
        kind="state",
        text=f"{locked.get_state_display()}, from {State(before).label.lower()}"
        + (f": {reason}" if reason else ""),
        action="incident.state",
        user=user,
        now=now,
        before=before,
        after=state,
    )
    if state == State.REOPENED:
        jobs.request_run(incident=locked, user=user, now=now)
    wake()
    return locked


def needs_reason(before: str, after: str) -> bool:
    """Whether a change of state must say why: going back, dismissing, reopening."""
    if after in {State.DISMISSED, State.REOPENED}:
        return True
    order = (State.INVESTIGATING, State.IDENTIFIED, State.MONITORING)
    return before in order[order.index(State(after)) + 1 :] if after in order else False


@transaction.atomic
def set_severity(
    *, incident: Incident, kind: str, level: int, user: User, now: datetime, reason: str = ""
) -> Severity:
    """Confirm how bad it is for a kind of customer; from then on it is not proposed anew.

    Without a reason the proposal's is kept, when the level is the proposed one. Raises UnableToSetSeverity.
    """
    permit(user, "incident.edit", UnableToSetSeverity)
    if kind not in Kind.values:
        raise UnableToSetSeverity("This is not a kind of customer.")
    if level not in range(1, 5):
        raise UnableToSetSeverity("The severity is 1 (worst) to 4.")
    locked = lock(incident)
    reason = one_line(reason, MOST_REASON, "reason", UnableToSetSeverity)
    row = locked.severities.filter(kind=kind).first()
    if not reason and (row is None or row.level != level):
        raise UnableToSetSeverity("Say why it differs from what was proposed.")
    before = None if row is None else {"level": row.level, "reason": row.reason}
    row = row or Severity(incident=locked, kind=kind)
    row.level, row.reason, row.confirmed_by = level, reason or row.reason, user
    row.save()
    log(
        locked,
        kind="severity",
        text=f"Severity {level} confirmed for {severity.IN_WORDS[kind]}"
        + (f": {reason}" if reason else ""),
        action="incident.severity",
        user=user,
        now=now,
        before=before,
        after={"kind": kind, "level": level, "reason": row.reason},
    )
    return row


_EDITED = {
    "title": "title",
    "cannot": "what customers cannot do",
    "fault": "fault",
    "visibility": "who may read of it",
    "lead": "lead",
    "liaison": "liaison",
    "started_at": "first failure",
}


def _check_edit(incident: Incident, before: dict[str, Any], *, now: datetime) -> None:
    if not incident.title:
        raise UnableToEdit("Say in a few words what went wrong.")
    if incident.fault not in Fault.values or incident.visibility not in Visibility.values:
        raise UnableToEdit("This is neither a fault nor an audience that we know.")
    if incident.started_at > now or (incident.ended_at and incident.started_at > incident.ended_at):
        raise UnableToEdit("The first failure is before the last, and not in the future.")
    hidden = incident.visibility == Visibility.INTERNAL != before["visibility"]
    if hidden and has_told(incident):
        raise UnableToEdit(
            "Customers have been told of this incident. Whom it was told must also hear how it ends."
        )


def _check_change(incident: Incident, state: str, reason: str) -> None:
    if state == State.RESOLVED:
        raise UnableToChangeState(
            "Resolve it with a final update, so that everyone who was told hears that it is over."
        )
    if state not in TRANSITIONS[incident.state]:
        known = State(state).label.lower() if state in State.values else "that"
        raise UnableToChangeState(
            f"It is {incident.get_state_display().lower()} now and cannot become {known}."
        )
    if state == State.DISMISSED and incident.visibility != Visibility.INTERNAL and has_told(incident):  # fmt: skip
        raise UnableToChangeState(
            "Customers have been told of it. Resolve it with a final update that says what it was."
        )
    if needs_reason(incident.state, state) and not reason:
        raise UnableToChangeState("Say why.")
