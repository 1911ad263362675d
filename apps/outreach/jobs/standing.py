"""What an approval stands on: stale when that changes; the rows of a message, and its state by theirs."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import AuditEvent
from apps.outreach import queries
from apps.outreach.content import content_hash
from apps.outreach.jobs.writing import redraft
from apps.outreach.mail import (
    new_message_id,
)
from apps.outreach.models import (
    APPROVED_STATES,
    NEVER_LEFT,
    TAKEN,
    WAITING,
    Delivery,
    DeliveryState,
    Outreach,
    Purpose,
    State,
)

#: How long an approval is good for.
GOOD_FOR = {Purpose.IMPACT: timedelta(hours=24), Purpose.RESOLUTION: timedelta(hours=72)}


def notice_stale(*, now: datetime) -> int:
    """Compare what stands in drafts and approvals with what is known; return how many changed.

    A draft that nobody has touched is written anew. What a person took responsibility for becomes
    stale, and what of it waits to be sent is withdrawn.
    """
    untouched = Q(state=State.DRAFT, author=None, edited_by=None)
    standing = Q(state__in=[State.IN_REVIEW, *APPROVED_STATES, State.PAUSED])
    rows = list(
        Outreach.objects.filter(untouched | standing).select_related("incident").order_by("pk")
    )
    found = queries.freshness_of(rows)
    return sum(
        _notice(row.pk, now=now) for row in rows if found[row.pk].changed or found[row.pk].newer
    )


@transaction.atomic
def _notice(pk: int, *, now: datetime) -> bool:
    outreach = locked(pk)
    fresh = queries.freshness(outreach)
    if outreach.state == State.DRAFT and outreach.author_id is outreach.edited_by_id is None:
        redraft(outreach, now=now)
        return True
    why = ""
    if outreach.state == State.IN_REVIEW:
        # Newer numbers alone do not stop a review: in a live incident they come every few minutes,
        # and the text says as of when its own are true. The page shows both.
        why = fresh.changed
    elif outreach.state in {*APPROVED_STATES, State.PAUSED}:
        why = fresh.since(queries.standing_approval(outreach))
    if why:
        make_stale(outreach, why, now=now)
    return bool(why)


def locked(pk: int) -> Outreach:
    return (
        Outreach.objects.select_for_update(of=("self",))
        .select_related("incident", "customer__account_manager", "author")
        .get(pk=pk)
    )


def make_stale(outreach: Outreach, why: str, *, now: datetime) -> None:
    """Set the message back to its writers and withdraw what waits; the caller holds its lock."""
    outreach.state, outreach.reason = State.STALE, why[:300]
    outreach.changed_at = now
    outreach.save(update_fields=["state", "reason", "changed_at"])
    withdraw_waiting(outreach, because=outreach.reason)
    AuditEvent.note(
        at=now,
        user=None,
        action="outreach.stale",
        target=outreach,
        after={"why": why},
    )


def withdraw_waiting(outreach: Outreach, *, because: str) -> int:
    """Withdraw the rows that have not begun to leave; return how many. The caller holds the message's lock."""
    return outreach.deliveries.filter(
        state__in=[DeliveryState.QUEUED, DeliveryState.CLAIMED]
    ).update(state=DeliveryState.WITHDRAWN, reply=because[:500], claim_token=None, lease_until=None)


def write_rows(outreach: Outreach, *, approved: str, now: datetime, again: bool) -> int:
    """Write one waiting row for each recipient who has none in the way; return how many.

    `approved` is the hash that the rows carry. `again`: also for people whose row of this very content
    was withdrawn, refused or suppressed (a new approval says so). The caller holds the message's lock.
    """
    rows = list(outreach.deliveries.all())
    taken = {
        row.email.lower()
        for row in rows
        if row.state not in NEVER_LEFT or (not again and row.content_hash == approved)
    }
    fresh: dict[str, Delivery] = {}
    for contact in outreach.recipients.order_by("pk"):
        address = contact.email.lower()
        if address not in taken and address not in fresh:
            fresh[address] = Delivery(
                outreach=outreach,
                contact=contact,
                email=contact.email,
                name=contact.name,
                message_id=new_message_id(uuid.uuid4().hex),
                content_hash=approved,
                send_after=now,
                expires_at=outreach.expires_at or now + GOOD_FOR[Purpose(outreach.purpose)],
                created_at=now,
            )
    Delivery.objects.bulk_create(fresh.values())
    return len(fresh)


def settle_all(*, now: datetime) -> None:
    """Derive the state of every message that is on its way."""
    for pk in Outreach.objects.filter(state__in=APPROVED_STATES).values_list("pk", flat=True):
        settle(pk, now=now)


@transaction.atomic
def settle(pk: int, *, now: datetime) -> None:
    """Derive the state of one approved message from its rows; it is sent only when they all say so."""
    outreach = locked(pk)
    if outreach.state not in APPROVED_STATES:
        return
    approval = queries.standing_approval(outreach)
    if approval and content_hash(outreach, outreach.recipients.all()) == approval.content_hash:
        # People whose row of an older wording ended unsent after this approval was given.
        write_rows(outreach, approved=approval.content_hash, now=now, again=False)
    rows = list(outreach.deliveries.all())
    state, reason = _derived([row.state for row in rows])
    if state == State.STALE and any("time had passed" in row.reply for row in rows):
        state, reason = State.EXPIRED, "Its time passed before it could be sent."
    if (state, reason) != (outreach.state, outreach.reason):
        outreach.state, outreach.reason, outreach.changed_at = state, reason, now
        outreach.save(update_fields=["state", "reason", "changed_at"])


def _derived(states: Sequence[str]) -> tuple[str, str]:
    """Return the state of a message whose rows have `states`, and why where it is not plain."""
    taken = sum(state in TAKEN for state in states)
    unknown = states.count(DeliveryState.UNKNOWN)
    if any(state in WAITING for state in states):
        begun = taken or unknown or any(s in {"claimed", "submitting", "failed"} for s in states)
        return (State.SENDING if begun else State.APPROVED), ""
    if unknown:
        people = "one person" if unknown == 1 else f"{unknown} people"
        return (
            State.SENDING,
            f"It is not known whether the mail to {people} left; please settle it.",
        )
    if taken:
        return State.SENT, ""
    return State.STALE, "Nobody has received it: see why beside each person."
