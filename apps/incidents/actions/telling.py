"""Writing updates and publishing them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.incidents import jobs
from apps.incidents.actions.common import Refused, lock, log, permit, wake
from apps.incidents.models import (
    LIVE,
    TRANSITIONS,
    Incident,
    State,
    Update,
)
from apps.incidents.queries import told_from

MOST_TEXT, MOST_ADVICE = 5000, 2000


#: The states in which an update may leave the incident.
TOLD_STATES = (*LIVE, State.RESOLVED)


class UnableToDraft(Refused):
    """The update cannot be written like this."""


class DraftConflict(UnableToDraft):
    """Somebody else changed the draft since the person read it. `update` is how it stands now, None: gone."""

    def __init__(self, message: str, *, update: Update | None) -> None:
        super().__init__(message)
        self.update = update


class UnableToPublish(Refused):
    """The update cannot be published, not by this person, or not as they read it."""


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
    permit(user, "incident.edit", UnableToDraft)
    locked = lock(incident)
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
    permit(user, "incident.edit", UnableToDraft)
    locked = lock(update.incident)
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
    permit(user, "incident.publish", UnableToPublish)
    locked = lock(update.incident)
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
    permit(user, "incident.publish", UnableToPublish)
    locked = lock(incident)
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


def _words(update: Update) -> dict[str, Any]:
    due = update.next_update_at
    return {
        "state": update.state,
        "text": update.text,
        "advice": update.advice,
        "next_update_at": due and due.isoformat(),
    }


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
    draft.snapshot = told_from(incident).defer("result", "overall").first()
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
    log(
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
    wake()
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
