"""What people do with a message: each is one intention, one transaction, one line in the audit log."""

from collections.abc import Callable, Collection
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.core.nudge import nudge
from apps.customers.models import Contact
from apps.impact.models import ImpactSnapshot
from apps.incidents.models import TimelineEvent
from apps.outreach import jobs, queries
from apps.outreach.content import content_hash
from apps.outreach.mail import CannotBeWritten, header_text
from apps.outreach.models import (
    TAKEN,
    WAITING,
    Approval,
    Delivery,
    DeliveryState,
    Outreach,
    Purpose,
    State,
)


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


class UnableToEdit(Refused):
    """The message cannot be changed, or not like this."""


class UnableToSubmit(Refused):
    """The message cannot be given to somebody for review."""


class UnableToApprove(Refused):
    """The message cannot be approved, not by this person, or not as they saw it."""


class UnableToStop(Refused):
    """The message cannot be paused, resumed, withdrawn or closed."""


class UnableToSettle(Refused):
    """It cannot be said what became of this mail."""


class Settlement(StrEnum):
    """What a person found out about a mail of which it was not known whether it left."""

    ARRIVED = "arrived"
    SEND_AGAIN = "send_again"
    GIVE_UP = "give_up"


#: States in which the words may be changed.
EDITABLE = (
    State.DRAFT, State.STALE, State.IN_REVIEW, State.APPROVED, State.SENDING, State.PAUSED, State.EXPIRED,
)  # fmt: skip


@transaction.atomic
def edit(
    *,
    outreach: Outreach,
    user: User,
    subject: str,
    text: str,
    recipients: Collection[Contact],
    now: datetime,
    incident_version_seen: int | None = None,
    snapshot_seen: int | None = None,
    content_hash_seen: str | None = None,
    drop_picture: bool = False,
) -> Outreach:
    """Change words or recipients, drop the picture. An approval becomes stale, and what waits is withdrawn.

    `incident_version_seen` and `snapshot_seen` are what the writer had before their eyes (None: what
    the message was written for, which does not clear a ⚠); `content_hash_seen` what they began from, so
    that nobody writes over somebody else's words. A picture that came since writes over nobody's.
    """
    locked = _lock(outreach, user, "outreach.edit", UnableToEdit)
    if locked.state not in EDITABLE:
        raise UnableToEdit(f"This message is {_word(locked)}; its words stand.")
    subject, text = subject.strip(), text.replace("\r\n", "\n").strip()
    _check_words(subject, text)
    _check_recipients(locked, recipients)
    before = _summary(locked)
    approved = locked.state in {State.APPROVED, State.SENDING, State.PAUSED}
    hash_before = content_hash(locked, locked.recipients.all())
    unpictured = content_hash(locked, locked.recipients.all(), pictured=False)
    if content_hash_seen not in {None, hash_before, unpictured}:
        who = f"{locked.edited_by.name} changed it" if locked.edited_by else "It has changed"
        raise UnableToEdit(f"{who} since you opened it: your words are below, theirs on its page.")
    locked.subject, locked.text = subject, text
    if incident_version_seen is not None:
        # Never a version that does not exist yet.
        locked.incident_version = min(incident_version_seen, locked.incident.version)
    if snapshot_seen is not None:
        _take_snapshot(locked, snapshot_seen)
    if drop_picture:
        locked.picture, locked.illustrated = None, True
    if content_hash(locked, recipients) == hash_before:
        return locked
    locked.recipients.set(recipients)
    locked.author = locked.author or user
    locked.edited_by, locked.changed_at, locked.reason = user, now, ""
    locked.state = State.DRAFT
    if approved:
        locked.state, locked.reason = State.STALE, f"{user.name} changed it after it was approved."
        jobs.withdraw_waiting(locked, because=locked.reason)
    locked.save()
    _note("outreach.edited", locked, user, now, before=before, after=_summary(locked))
    return locked


@transaction.atomic
def write_anew(*, outreach: Outreach, user: User, now: datetime) -> Outreach:
    """Replace the words by a fresh draft from what is known now."""
    locked = _lock(outreach, user, "outreach.edit", UnableToEdit)
    if locked.state not in EDITABLE:
        raise UnableToEdit(f"This message is {_word(locked)}; its words stand.")
    before = _summary(locked)
    jobs.withdraw_waiting(locked, because=f"{user.name} wrote it anew.")
    locked.author, locked.edited_by = locked.author or user, user
    locked.save(update_fields=["author", "edited_by"])
    jobs.redraft(locked, now=now)
    _note("outreach.written_anew", locked, user, now, before=before, after=_summary(locked))
    return locked


@transaction.atomic
def submit(*, outreach: Outreach, user: User, now: datetime) -> Outreach:
    """Take responsibility for the words and ask another person to approve them."""
    locked = _lock(outreach, user, "outreach.edit", UnableToSubmit)
    if locked.state not in {State.DRAFT, State.STALE, State.EXPIRED}:
        raise UnableToSubmit(f"This message is {_word(locked)} already.")
    if not locked.recipients.exists():
        raise UnableToSubmit("Choose at least one person it goes to.")
    if changed := queries.freshness(locked).changed:
        raise UnableToSubmit(f"{changed} Read it again and save it, or write it anew.")
    locked.author = locked.author or user
    if not queries.who_can_approve(locked):
        raise UnableToSubmit("There is nobody else here who may approve it.")
    locked.state, locked.reason, locked.changed_at = State.IN_REVIEW, "", now
    locked.save(update_fields=["author", "state", "reason", "changed_at"])
    _note("outreach.submitted", locked, user, now)
    return locked


@transaction.atomic
def approve(
    *, outreach: Outreach, approver: User, content_hash_seen: str, now: datetime
) -> Approval:
    """Approve exactly what the approver saw, and queue one mail per person in the same transaction."""
    locked = _lock(outreach, approver, "outreach.approve", UnableToApprove)
    if locked.state != State.IN_REVIEW:
        raise UnableToApprove(f"This message is {_word(locked)}, not in review.")
    if approver.pk in {locked.author_id, locked.edited_by_id}:
        raise UnableToApprove("Who wrote a message cannot approve it: ask somebody else.")
    recipients = list(locked.recipients.all())
    if not recipients:
        raise UnableToApprove("It goes to nobody: choose at least one person.")
    current = content_hash(locked, recipients)
    if content_hash_seen != current:
        raise UnableToApprove("It has changed since you opened it: read it again.")
    if changed := queries.freshness(locked).changed:
        raise UnableToApprove(changed)
    approval = Approval.objects.create(
        outreach=locked,
        approver=approver,
        content_hash=current,
        newest_snapshot=queries.latest_snapshot(locked.incident).first(),
        at=now,
    )
    locked.expires_at = now + jobs.GOOD_FOR[Purpose(locked.purpose)]
    locked.state, locked.reason, locked.changed_at = State.APPROVED, "", now
    locked.save(update_fields=["expires_at", "state", "reason", "changed_at"])
    written = jobs.write_rows(locked, approved=current, now=now, again=True)
    _note("outreach.approved", locked, approver, now, after={"hash": current, "people": written})
    people = "1 person" if written == 1 else f"{written} people"
    TimelineEvent.objects.create(
        incident=locked.incident,
        at=now,
        kind="note",
        text=f"A message to {people} at {locked.customer.name} was approved."[:500],
        user=approver,
    )
    nudge("outreach.drain", queue="mail")
    return approval


@transaction.atomic
def send_back(*, outreach: Outreach, user: User, reason: str, now: datetime) -> Outreach:
    """Give a message in review back to its writer, and say why."""
    locked = _lock(outreach, user, "outreach.approve", UnableToApprove)
    if locked.state != State.IN_REVIEW:
        raise UnableToApprove(f"This message is {_word(locked)}, not in review.")
    if not reason.strip():
        raise UnableToApprove("Say what should change.")
    _set(locked, State.DRAFT, f"{user.name}: {reason.strip()}", now)
    _note("outreach.sent_back", locked, user, now, after={"reason": reason})
    return locked


@transaction.atomic
def pause(*, outreach: Outreach, user: User, now: datetime) -> Outreach:
    """Hold what has not left yet."""
    locked = _lock(outreach, user, "outreach.edit", UnableToStop)
    if locked.state not in {State.APPROVED, State.SENDING}:
        raise UnableToStop(f"This message is {_word(locked)}: there is nothing to hold.")
    _set(locked, State.PAUSED, f"Held by {user.name}.", now)
    _note("outreach.paused", locked, user, now)
    return locked


@transaction.atomic
def resume(*, outreach: Outreach, user: User, now: datetime) -> Outreach:
    """Let go on what was held."""
    locked = _lock(outreach, user, "outreach.edit", UnableToStop)
    if locked.state != State.PAUSED:
        raise UnableToStop(f"This message is {_word(locked)}, not held.")
    _set(locked, State.APPROVED, "", now)
    jobs.settle(locked.pk, now=now)
    _note("outreach.resumed", locked, user, now)
    nudge("outreach.drain", queue="mail")
    locked.refresh_from_db()
    return locked


@transaction.atomic
def withdraw(*, outreach: Outreach, user: User, now: datetime) -> Outreach:
    """Take back what has not left; the message becomes a draft again."""
    locked = _lock(outreach, user, "outreach.edit", UnableToStop)
    if locked.state not in {State.IN_REVIEW, State.APPROVED, State.SENDING, State.PAUSED}:
        raise UnableToStop(f"This message is {_word(locked)}: there is nothing to take back.")
    waited = jobs.withdraw_waiting(locked, because=f"Withdrawn by {user.name}.")
    left = locked.deliveries.filter(
        state__in=[*TAKEN, DeliveryState.SUBMITTING, DeliveryState.UNKNOWN]
    ).count()
    reason = f"Withdrawn by {user.name}."
    if left:
        reason += " To one person it had left." if left == 1 else f" To {left} people it had left."
    _set(locked, State.DRAFT, reason, now)
    _note("outreach.withdrawn", locked, user, now, after={"withdrawn": waited, "left": left})
    return locked


@transaction.atomic
def close(*, outreach: Outreach, user: User, reason: str, now: datetime) -> Outreach:
    """End a message: it was sent and nothing is left to do, or it will not be sent, and why."""
    locked = _lock(outreach, user, "outreach.edit", UnableToStop)
    if locked.state == State.CLOSED:
        raise UnableToStop("This message is closed already.")
    if locked.deliveries.filter(state__in=WAITING).exists():
        raise UnableToStop("Mail of it still waits to be sent: withdraw it first.")
    if locked.deliveries.filter(state=DeliveryState.UNKNOWN).exists():
        raise UnableToStop("Of a mail it is not known whether it left: settle that first.")
    if locked.state != State.SENT and not reason.strip():
        raise UnableToStop("Say why it will not be sent.")
    _set(locked, State.CLOSED, reason.strip(), now)
    _note("outreach.closed", locked, user, now, after={"reason": reason})
    return locked


@transaction.atomic
def settle_unknown(*, delivery: Delivery, outcome: str, user: User, now: datetime) -> Delivery:
    """Say what became of a mail of which it was not known whether it left.

    `outcome` is a Settlement: it arrived; it did not, send it again (with the same Message-ID); give up.
    """
    outreach = _lock(delivery.outreach, user, "outreach.edit", UnableToSettle)
    row = Delivery.objects.select_for_update().get(pk=delivery.pk)
    if row.state != DeliveryState.UNKNOWN:
        raise UnableToSettle(f"This is settled already: {row.get_state_display().lower()}.")
    if outcome == Settlement.ARRIVED:
        row.state, row.accepted_at = DeliveryState.ACCEPTED, row.accepted_at or now
        row.reply = f"{user.name} found out that it arrived."
    elif outcome == Settlement.SEND_AGAIN:
        if outreach.state not in {State.APPROVED, State.SENDING, State.PAUSED}:
            raise UnableToSettle(
                f"The message is {_word(outreach)}: it cannot be sent again as it was."
            )
        row.state, row.send_after = DeliveryState.QUEUED, now
        row.expires_at = now + jobs.GOOD_FOR[Purpose(outreach.purpose)]
        row.reply = f"{user.name} found out that it did not arrive."
    elif outcome == Settlement.GIVE_UP:
        row.state, row.reply = DeliveryState.FAILED, f"{user.name} gave it up."
    else:
        raise UnableToSettle("Say whether it arrived, is to be sent again, or is given up.")
    row.claim_token = row.lease_until = None
    row.save()
    _note("outreach.settled", row, user, now, after={"outcome": str(outcome)})
    jobs.settle(outreach.pk, now=now)
    nudge("outreach.drain", queue="mail")
    return row


def _lock(
    outreach: Outreach, user: User, permission: str, error: Callable[[str], Refused]
) -> Outreach:
    """Return the message locked; refuse people whose role or customers do not let them."""
    if (
        not user.can(permission)
        or not Outreach.objects.visible_to(user).filter(pk=outreach.pk).exists()
    ):
        raise error("Your role does not let you do this.")
    return (
        Outreach.objects.select_for_update(of=("self",))
        .select_related("incident", "customer__account_manager")
        .get(pk=outreach.pk)
    )


def _check_words(subject: str, text: str) -> None:
    if not subject:
        raise UnableToEdit("Write a subject.")
    if len(subject) > 200:
        raise UnableToEdit("The subject is longer than 200 characters.")
    try:
        header_text(subject)
    except CannotBeWritten:
        raise UnableToEdit("The subject must be one line.") from None
    if not text:
        raise UnableToEdit("Write what to say.")
    if len(text) > 50_000:
        raise UnableToEdit("The text is longer than 50,000 characters.")
    if any(ord(char) < 32 and char not in "\n\t" for char in text):
        raise UnableToEdit("The text has characters that no mail can carry.")


def _check_recipients(outreach: Outreach, recipients: Collection[Contact]) -> None:
    for contact in recipients:
        if contact.customer_id != outreach.customer_id:
            raise UnableToEdit(f"{contact.name} is not at {outreach.customer.name}.")
        if contact.do_not_contact:
            raise UnableToEdit(f"{contact.name} asked not to be contacted.")
    if outreach.purpose == Purpose.RESOLUTION:
        told = queries.told(outreach.incident).get(outreach.customer_id, set())
        owed = Contact.objects.filter(pk__in=told, do_not_contact=False, customer=outreach.customer)
        left_out = [one.name for one in owed if one not in recipients]
        if left_out:
            names = ", ".join(left_out)
            raise UnableToEdit(
                f"Was told that it broke and must be told that it is fixed: {names}."
            )


def _take_snapshot(outreach: Outreach, seen: int) -> None:
    """Note the snapshot whose numbers the writer saw, if it is one of this incident's."""
    if ImpactSnapshot.objects.filter(
        pk=seen, run__incident_run__incident=outreach.incident_id
    ).exists():
        if seen != outreach.snapshot_id:
            jobs.without_picture(outreach)
        outreach.snapshot_id = seen


def _set(outreach: Outreach, state: State, reason: str, now: datetime) -> None:
    outreach.state, outreach.reason, outreach.changed_at = state, reason[:300], now
    outreach.save(update_fields=["state", "reason", "changed_at"])


def _word(outreach: Outreach) -> str:
    return str(outreach.get_state_display()).lower()


def _summary(outreach: Outreach) -> dict[str, object]:
    return {
        "state": outreach.state,
        "subject": outreach.subject,
        "text": outreach.text,
        "recipients": sorted(outreach.recipients.values_list("pk", flat=True)),
        "picture": outreach.picture_id,
    }


def _note(
    action: str,
    target: Outreach | Delivery,
    user: User,
    now: datetime,
    *,
    before: object = None,
    after: object = None,
) -> None:
    AuditEvent.note(at=now, user=user, action=action, target=target, before=before, after=after)
