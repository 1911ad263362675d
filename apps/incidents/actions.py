"""What people do with an incident: each is one intention, one transaction, one line in the audit log.

The incident's row is always locked first, so two people who press at once are one after the other; the
second is told what the first did.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Service
from apps.core.nudge import nudge
from apps.customers.models import Kind
from apps.incidents import jobs, severity
from apps.incidents.models import (
    LIVE,
    TRANSITIONS,
    Fault,
    Incident,
    IncidentRun,
    Severity,
    State,
    TimelineEvent,
    Update,
    Visibility,
)
from apps.incidents.queries import latest_snapshot

MOST_TEXT, MOST_ADVICE, MOST_REASON = 5000, 2000, 300

#: The states in which an update may leave the incident.
TOLD_STATES = (*LIVE, State.RESOLVED)


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


class UnableToDeclare(Refused):
    """The incident cannot be declared like this."""


class UnableToRequestImpact(Refused):
    """There is nothing to compute, or it is being computed already."""


class UnableToChangeState(Refused):
    """The incident cannot go to this state, or not without a reason."""


class UnableToDraft(Refused):
    """The update cannot be written like this."""


class UnableToPublish(Refused):
    """The update cannot be published, not by this person, or not as they read it."""


class UnableToSetSeverity(Refused):
    """The severity cannot be set like this."""


class UnableToEdit(Refused):
    """The incident cannot be changed like this."""


class Conflict(UnableToEdit):
    """Somebody else changed the incident since the person read it. `incident` is how it stands now."""

    def __init__(self, message: str, *, incident: Incident) -> None:
        super().__init__(message)
        self.incident = incident


class DraftConflict(UnableToDraft):
    """Somebody else changed the draft since the person read it. `update` is how it stands now, None: gone."""

    def __init__(self, message: str, *, update: Update | None) -> None:
        super().__init__(message)
        self.update = update


# Declaring and changing


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
    _permit(user, "incident.declare", UnableToDeclare)
    title = _line(title, 200, "title", UnableToDeclare)
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
        cannot=_line(cannot, 300, "what customers cannot do", UnableToDeclare),
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
    _log(
        incident,
        kind="declared",
        text="Declared",
        action="incident.declare",
        user=user,
        now=now,
        after={
            **_columns(incident),
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
    _permit(user, "incident.edit", UnableToEdit)
    locked = _lock(incident)
    before = _columns(locked)
    locked.title = _line(title, 200, "title", UnableToEdit)
    locked.cannot = _line(cannot, 300, "what customers cannot do", UnableToEdit)
    locked.fault, locked.visibility = fault, visibility
    locked.lead, locked.liaison = lead, liaison
    locked.started_at = started_at or locked.started_at
    _check_edit(locked, before, now=now)
    after = _columns(locked)
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
    _log(
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
    _wake()
    return locked


@transaction.atomic
def request_impact(*, incident: Incident, user: User, now: datetime) -> IncidentRun:
    """Ask a worker to compute anew what it did to customers, up to its end or now.

    Raises UnableToRequestImpact, also while a computation waits or runs.
    """
    _permit(user, "incident.edit", UnableToRequestImpact)
    locked = _lock(incident)
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
    _permit(user, "incident.edit", UnableToChangeState)
    locked = _lock(incident)
    reason = _line(reason, MOST_REASON, "reason", UnableToChangeState)
    _check_change(locked, state, reason)
    before = locked.state
    locked.state = state
    locked.version += 1
    if state == State.REOPENED:
        locked.resolved_at = locked.ended_at = None
    if state not in LIVE:
        locked.next_update_at = None
    locked.save(update_fields=["state", "version", "resolved_at", "ended_at", "next_update_at"])
    _log(
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
    _wake()
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
    _permit(user, "incident.edit", UnableToSetSeverity)
    if kind not in Kind.values:
        raise UnableToSetSeverity("This is not a kind of customer.")
    if level not in range(1, 5):
        raise UnableToSetSeverity("The severity is 1 (worst) to 4.")
    locked = _lock(incident)
    reason = _line(reason, MOST_REASON, "reason", UnableToSetSeverity)
    row = locked.severities.filter(kind=kind).first()
    if not reason and (row is None or row.level != level):
        raise UnableToSetSeverity("Say why it differs from what was proposed.")
    before = None if row is None else {"level": row.level, "reason": row.reason}
    row = row or Severity(incident=locked, kind=kind)
    row.level, row.reason, row.confirmed_by = level, reason or row.reason, user
    row.save()
    _log(
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


# Telling


@transaction.atomic
def draft_update(
    *,
    incident: Incident,
    state: str,
    text: str,
    user: User,
    now: datetime,
    advice: str = "",
    next_update_at: datetime | None = None,
    revision_seen: int | None = None,
) -> Update:
    """Write the next update, or change the draft there is; nobody reads it yet.

    `revision_seen` is the draft's revision that the person read, None when they saw no draft.
    Raises DraftConflict when that is not how it stands, UnableToDraft otherwise.
    """
    _permit(user, "incident.edit", UnableToDraft)
    locked = _lock(incident)
    draft = _open_draft(locked)
    _check_draft_seen(draft, revision_seen)
    _check_told_state(locked, state, UnableToDraft)
    draft, before = _write_draft(
        locked, draft, state=state, text=text, advice=advice, user=user, now=now
    )
    draft.next_update_at = next_update_at if state in LIVE else None
    draft.save()
    AuditEvent.note(
        at=now,
        user=user,
        action="update.draft",
        target=draft,
        before=before,
        after=_words(draft),
    )
    return draft


@transaction.atomic
def discard_draft(
    *, update: Update, user: User, now: datetime, revision_seen: int | None = None
) -> None:
    """Throw the draft away. Raises UnableToDraft when it was published or changed meanwhile."""
    _permit(user, "incident.edit", UnableToDraft)
    locked = _lock(update.incident)
    draft = _open_draft(locked)
    if draft is None or draft.pk != update.pk:
        raise UnableToDraft("This draft is no longer there.")
    if revision_seen is not None:
        _check_draft_seen(draft, revision_seen)
    AuditEvent.note(at=now, user=user, action="update.discard", target=draft, before=_words(draft))
    draft.delete()


@transaction.atomic
def publish_update(
    *, update: Update, user: User, now: datetime, revision_seen: int | None = None
) -> Update:
    """Tell customers: from now on the update cannot be changed, and the incident is as it says.

    `revision_seen` is the draft's revision that the person read. Raises UnableToPublish.
    """
    _permit(user, "incident.publish", UnableToPublish)
    locked = _lock(update.incident)
    found = Update.objects.select_for_update(of=("self",)).select_related("published_by").filter(
        pk=update.pk
    ).first()  # fmt: skip
    if found is None:
        raise UnableToPublish("This draft was thrown away. Nothing was published.")
    if found.published_at:
        raise UnableToPublish(
            f"{found.published_by} published this update at {found.published_at:%H:%M} UTC."
            " It was not published twice."
        )
    if revision_seen is not None and revision_seen != found.revision:
        raise UnableToPublish(
            "The draft was changed since you read it. Nothing was published: read it again."
        )
    return _publish(locked, found, user=user, now=now)


@transaction.atomic
def resolve(
    *,
    incident: Incident,
    text: str,
    user: User,
    now: datetime,
    advice: str = "",
    ended_at: datetime | None = None,
    revision_seen: int | None = None,
) -> Update:
    """Publish the final update: it is over since `ended_at`, the last failure (now when not given).

    An open draft becomes the final update; `revision_seen` as for `draft_update`. A last impact run is asked
    for. Raises UnableToPublish, or DraftConflict when somebody else is writing.
    """
    _permit(user, "incident.publish", UnableToPublish)
    locked = _lock(incident)
    if locked.state not in LIVE:
        raise UnableToPublish(f"This incident is {locked.get_state_display().lower()} already.")
    ended_at = ended_at or locked.ended_at or now
    if not locked.started_at <= ended_at <= now:
        raise UnableToPublish("The last failure is after the first, and not in the future.")
    draft = _open_draft(locked)
    _check_draft_seen(draft, revision_seen)
    try:
        draft, before = _write_draft(
            locked, draft, state=State.RESOLVED, text=text, advice=advice, user=user, now=now
        )
    except UnableToDraft as problem:
        raise UnableToPublish(str(problem)) from problem
    draft.next_update_at = None
    draft.save()
    AuditEvent.note(
        at=now, user=user, action="update.draft", target=draft, before=before, after=_words(draft)
    )
    locked.ended_at = ended_at
    return _publish(locked, draft, user=user, now=now)


# What they share

_EDITED = {
    "title": "title",
    "cannot": "what customers cannot do",
    "fault": "fault",
    "visibility": "who may read of it",
    "lead": "lead",
    "liaison": "liaison",
    "started_at": "first failure",
}


def _permit(user: User, action: str, error: type[Refused]) -> None:
    if not user.can(action):
        raise error("Your role does not let you do this.")


def _lock(incident: Incident) -> Incident:
    """Return the incident as it stands, locked until the transaction is over."""
    return Incident.objects.select_for_update().get(pk=incident.pk)


def _line(text: str, most: int, what: str, error: type[Refused]) -> str:
    """Return one line of text without NUL; refuse one that is too long."""
    line = " ".join(text.replace("\0", " ").split())
    if len(line) > most:
        raise error(f"The {what} has {len(line)} characters; {most} fit.")
    return line


def _columns(incident: Incident) -> dict[str, Any]:
    """Return what `edit` may change, fit for the audit log."""
    return {
        "title": incident.title,
        "cannot": incident.cannot,
        "fault": incident.fault,
        "visibility": incident.visibility,
        "lead": incident.lead_id,
        "liaison": incident.liaison_id,
        "started_at": incident.started_at.isoformat(),
    }


def _words(update: Update) -> dict[str, Any]:
    due = update.next_update_at
    return {
        "state": update.state,
        "text": update.text,
        "advice": update.advice,
        "next_update_at": due and due.isoformat(),
    }


def _log(
    incident: Incident,
    *,
    kind: str,
    text: str,
    action: str,
    user: User,
    now: datetime,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write the timeline for the room and the audit log for ever."""
    TimelineEvent.objects.create(incident=incident, at=now, kind=kind, text=text[:500], user=user)
    AuditEvent.note(at=now, user=user, action=action, target=incident, before=before, after=after)


def _wake() -> None:
    """See to it that the pages and the messages follow."""
    nudge("statuspage.render")
    nudge("outreach.sweep")


def _has_told(incident: Incident) -> bool:
    return incident.updates.filter(published_at__isnull=False).exists()


def _check_edit(incident: Incident, before: dict[str, Any], *, now: datetime) -> None:
    if not incident.title:
        raise UnableToEdit("Say in a few words what went wrong.")
    if incident.fault not in Fault.values or incident.visibility not in Visibility.values:
        raise UnableToEdit("This is neither a fault nor an audience that we know.")
    if incident.started_at > now or (incident.ended_at and incident.started_at > incident.ended_at):
        raise UnableToEdit("The first failure is before the last, and not in the future.")
    hidden = incident.visibility == Visibility.INTERNAL != before["visibility"]
    if hidden and _has_told(incident):
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
    if state == State.DISMISSED and incident.visibility != Visibility.INTERNAL and _has_told(incident):  # fmt: skip
        raise UnableToChangeState(
            "Customers have been told of it. Resolve it with a final update that says what it was."
        )
    if needs_reason(incident.state, state) and not reason:
        raise UnableToChangeState("Say why.")


def _open_draft(incident: Incident) -> Update | None:
    return incident.updates.select_for_update(of=("self",)).filter(published_at=None).first()


def _check_draft_seen(draft: Update | None, revision_seen: int | None) -> None:
    if draft is None and revision_seen is not None:
        raise DraftConflict(
            "The draft was published or thrown away while you were writing."
            " Nothing of yours is saved yet.",
            update=None,
        )
    if draft is not None and draft.revision != revision_seen:
        raise DraftConflict(
            "Somebody else wrote a draft meanwhile. Nothing of yours is saved yet."
            if revision_seen is None
            else "Somebody changed the draft while you were writing. Nothing of yours is saved yet.",
            update=draft,
        )


def _check_told_state(incident: Incident, state: str, error: type[Refused]) -> None:
    """Refuse a state that an update cannot leave this incident in."""
    allowed: Collection[str] = (incident.state, *TRANSITIONS[incident.state])
    if incident.state == State.DISMISSED:
        raise error("This incident was dismissed. Reopen it before you tell customers about it.")
    if state not in allowed or state not in (*TOLD_STATES, incident.state):
        known = State(state).label.lower() if state in State.values else "that"
        raise error(
            f"It is {incident.get_state_display().lower()} now; an update cannot make it {known}."
        )


def _write_draft(
    incident: Incident,
    draft: Update | None,
    *,
    state: str,
    text: str,
    advice: str,
    user: User,
    now: datetime,
) -> tuple[Update, dict[str, Any] | None]:
    """Return the draft with the new words, not saved yet, and its words before."""
    text, advice = text.replace("\0", "").strip(), advice.replace("\0", "").strip()
    if len(text) > MOST_TEXT or len(advice) > MOST_ADVICE:
        raise UnableToDraft(f"The text may have {MOST_TEXT} characters, the advice {MOST_ADVICE}.")
    before = None
    if draft is None:
        draft = Update(incident=incident, author=user, created_at=now)
    else:
        before = _words(draft)
        draft.revision += 1
    draft.state, draft.text, draft.advice = state, text, advice
    draft.snapshot = latest_snapshot(incident)
    return draft, before


def _publish(incident: Incident, update: Update, *, user: User, now: datetime) -> Update:
    """Publish a draft of a locked incident, and leave the incident as the update says."""
    _check_told_state(incident, update.state, UnableToPublish)
    if not update.text.strip():
        raise UnableToPublish("The update is empty. Nothing was published.")
    if update.state in LIVE:
        _check_promise(update, now)
    update.published_at, update.published_by = now, user
    update.save(update_fields=["published_at", "published_by"])
    before = incident.state
    over = update.state == State.RESOLVED != before
    incident.state = update.state
    incident.next_update_at = update.next_update_at
    incident.version += 1
    if over:
        incident.resolved_at = now
        incident.ended_at = incident.ended_at or now
    elif update.state in LIVE and before not in LIVE:
        incident.resolved_at = incident.ended_at = None
    incident.save(update_fields=["state", "next_update_at", "version", "resolved_at", "ended_at"])
    changed = "" if before == update.state else f", now {incident.get_state_display().lower()}"
    first_line = " ".join(update.text.split())
    _log(
        incident,
        kind="update",
        text=f"Update published{changed}: {first_line}",
        action="update.publish",
        user=user,
        now=now,
        before={"state": before, "version": incident.version - 1},
        after={"update": update.pk, "version": incident.version, **_words(update)},
    )
    if over:
        jobs.request_run(incident=incident, user=user, now=now, even_if_waiting=True)
    _wake()
    return update


def _check_promise(update: Update, now: datetime) -> None:
    """An update of something that goes on says when the next one comes."""
    if update.next_update_at is None:
        raise UnableToPublish("Say when customers hear from us next.")
    if update.next_update_at <= now:
        raise UnableToPublish(
            f"The next update was to come by {update.next_update_at:%H:%M} UTC, which has passed."
            " Choose a later time."
        )
