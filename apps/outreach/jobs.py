"""What the worker does: propose drafts, notice what went stale, send what is due. Safe to run twice.

No mail is sent twice: a row is claimed, moved to `submitting` by compare-and-swap, and only then handed
over; a row whose sender died in `submitting` becomes `unknown` and waits for a person. None is lost: what
is approved stands in rows before anybody is told so.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from apps.accounts.models import AuditEvent
from apps.core.claims import claim, holds
from apps.core.nudge import nudge
from apps.customers.models import Contact, Customer
from apps.guidance.queries import advice_for
from apps.incidents.models import Incident
from apps.incidents.models import State as IncidentState
from apps.outreach import drafting, queries
from apps.outreach.content import content_hash
from apps.outreach.mail import (
    CannotBeWritten,
    Handed,
    MailServerAway,
    Outcome,
    Post,
    Skeleton,
    new_message_id,
    wire_address,
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

logger = logging.getLogger(__name__)

#: What customers met, as an error code: a snapshot does not tell codes apart.
FAILING = "5xx"

#: A resolved incident is proposed for this long; an old one whose numbers are computed again is not.
RECENT = timedelta(days=14)

#: How long an approval is good for.
GOOD_FOR = {Purpose.IMPACT: timedelta(hours=24), Purpose.RESOLUTION: timedelta(hours=72)}

#: The wait before the n-th try after a refusal for now: 30 s, 1 min, 2 min … at most an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)


# Proposing


def sweep(*, now: datetime) -> None:
    """Do whatever no wake-up did: propose, notice, settle, free dead claims, and wake the sender."""
    propose(now=now)
    notice_stale(now=now)
    reap(now=now)
    settle_all(now=now)
    if _due(now).exists():
        nudge("outreach.drain", queue="mail")


def propose(*, now: datetime) -> int:
    """Write the drafts that are missing and return how many: one per customer hit, and one when it is fixed."""
    made = 0
    for incident in queries.incidents_to_tell(resolved_after=now - RECENT):
        made += _propose_impact(incident, snapshot=incident.snapshot_id, now=now)
        if incident.state == IncidentState.RESOLVED:
            made += _propose_resolution(incident, now=now)
    return made


def _propose_impact(incident: Incident, *, snapshot: int, now: datetime) -> int:
    made = 0
    for customer in queries.customers_to_write_to(incident, snapshot=snapshot):
        if recipients := queries.reachable(customer):
            made += _write(incident, customer, Purpose.IMPACT, recipients, now=now)
    return made


def _propose_resolution(incident: Incident, *, now: datetime) -> int:
    """See to it that everyone who was told that it broke is told that it is fixed."""
    told = queries.told(incident)
    existing = {
        one.customer_id: one
        for one in incident.outreach.filter(purpose=Purpose.RESOLUTION, customer__in=told)
    }
    customers = Customer.objects.filter(pk__in=told).select_related("account_manager")
    made = 0
    for customer in customers.prefetch_related("contacts").order_by("pk"):
        owed = [
            one
            for one in customer.contacts.all()
            if one.pk in told[customer.pk] and not one.do_not_contact
        ]
        if outreach := existing.get(customer.pk):
            _add_recipients(outreach, owed, now=now)
        elif owed:
            made += _write(incident, customer, Purpose.RESOLUTION, owed, now=now)
    return made


@transaction.atomic
def _add_recipients(outreach: Outreach, owed: Sequence[Contact], *, now: datetime) -> None:
    """Add people who were told after the message on the resolution was written."""
    outreach = Outreach.objects.select_for_update(of=("self",)).get(pk=outreach.pk)
    had = {one.pk for one in outreach.recipients.all()}
    missing = [one for one in owed if one.pk not in had]
    if not missing or outreach.state == State.CLOSED:
        return
    outreach.recipients.add(*missing)
    if outreach.state != State.DRAFT:
        names = ", ".join(one.name for one in missing)
        make_stale(
            outreach, f"Also told that it broke, and not yet that it is fixed: {names}.", now=now
        )


@transaction.atomic
def _write(
    incident: Incident,
    customer: Customer,
    purpose: Purpose,
    recipients: Sequence[Contact],
    *,
    now: datetime,
) -> bool:
    """Write one draft unless somebody else just did; say whether it was written."""
    facts = facts_for(incident, customer)
    outreach, created = Outreach.objects.get_or_create(
        incident=incident,
        customer=customer,
        purpose=purpose,
        defaults={
            "subject": drafting.subject(facts),
            "text": drafting.text(facts, purpose=purpose),
            "snapshot_id": facts.impact.snapshot_id if facts.impact else None,
            "incident_version": incident.version,
            "created_at": now,
            "changed_at": now,
        },
    )
    if created:
        outreach.recipients.set(recipients)
        AuditEvent.note(at=now, user=None, action="outreach.proposed", target=outreach)
    return created


def facts_for(incident: Incident, customer: Customer) -> drafting.Facts:
    """Collect what a draft to `customer` is written from, as of now."""
    impacts = queries.latest_impacts(incidents=[incident.pk], customers=[customer.pk])
    impact = impacts.get((incident.pk, customer.pk))
    return drafting.Facts(
        incident=incident,
        customer=customer,
        impact=impact,
        update=queries.latest_update(incident),
        advice=advice_for(FAILING, customer.kind),
        sender=customer.account_manager,
    )


def redraft(outreach: Outreach, *, now: datetime) -> None:
    """Write the draft anew from what is known now; the caller holds its lock."""
    facts = facts_for(outreach.incident, outreach.customer)
    outreach.subject = drafting.subject(facts)
    outreach.text = drafting.text(facts, purpose=outreach.purpose)
    outreach.snapshot_id = facts.impact.snapshot_id if facts.impact else None
    outreach.incident_version = outreach.incident.version
    outreach.state, outreach.reason, outreach.changed_at = State.DRAFT, "", now
    outreach.save(
        update_fields=[
            "subject", "text", "snapshot", "incident_version", "state", "reason", "changed_at",
        ]
    )  # fmt: skip


# Noticing


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
    outreach = _locked(pk)
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


def _locked(pk: int) -> Outreach:
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


# Settling: a message's state is derived from its rows


def settle_all(*, now: datetime) -> None:
    """Derive the state of every message that is on its way."""
    for pk in Outreach.objects.filter(state__in=APPROVED_STATES).values_list("pk", flat=True):
        settle(pk, now=now)


@transaction.atomic
def settle(pk: int, *, now: datetime) -> None:
    """Derive the state of one approved message from its rows; it is sent only when they all say so."""
    outreach = _locked(pk)
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


# Sending


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What one round of sending did, in rows."""

    claimed: int = 0
    accepted: int = 0
    later: int = 0
    refused: int = 0
    unknown: int = 0
    away: str = ""  # why the mail server could not be reached, if so

    def __bool__(self) -> bool:
        """Whether another round may find more to do."""
        return self.claimed > 0 and not self.away


class _Clock:
    """`now` as it goes on while mails are being sent."""

    def __init__(self, now: datetime) -> None:
        self._now, self._began = now, time.monotonic()

    def __call__(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._began)


def _due(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        state=DeliveryState.QUEUED, send_after__lte=now, outreach__state__in=APPROVED_STATES
    ).order_by("send_after", "pk")


def reap(*, now: datetime) -> tuple[int, int]:
    """Take back what dead senders held: (rows waiting again, rows of which nobody knows whether they left)."""
    dead = Delivery.objects.filter(lease_until__lt=now)
    # The token stays: a sender that was only slow may still say what became of it.
    unknown = dead.filter(state=DeliveryState.SUBMITTING).update(
        state=DeliveryState.UNKNOWN,
        reply="The sender stopped while the mail was being handed over.",
        lease_until=None,
    )
    again = dead.filter(state=DeliveryState.CLAIMED).update(
        state=DeliveryState.QUEUED, claim_token=None, lease_until=None
    )
    if unknown:
        logger.warning("%s mails may or may not have left; a person has to settle them", unknown)
    return again, unknown


def drain(*, now: datetime, limit: int = 50) -> Drained:
    """Send up to `limit` mails that are due, over one connection; say what became of them.

    Any number may run at once: each row is sent by the one that claimed it.
    """
    clock = _Clock(now)
    reap(now=now)
    due = _due(now)
    if not due.exists():
        return Drained()
    with Post() as post:
        try:
            post.connect()
        except MailServerAway as error:
            logger.warning("%s", error)
            Delivery.objects.filter(pk__in=due.values("pk")).update(reply=str(error)[:500])
            return Drained(away=str(error))
        rows = claim(due, state=DeliveryState.CLAIMED, now=now, limit=limit)
        return _Round(post, clock).send(rows)


class _Round:
    """One round over one connection: the skeletons it has written and what it counted."""

    def __init__(self, post: Post, clock: _Clock) -> None:
        self.post, self.clock = post, clock
        self.skeletons: dict[tuple[int, str], Skeleton] = {}
        self.counts = dict.fromkeys(Outcome, 0)

    def send(self, rows: Sequence[Delivery]) -> Drained:
        away = ""
        for row in rows:
            if not away:
                try:
                    self.post.connect()
                except MailServerAway as error:
                    away = str(error)
                    logger.warning("%s", error)
            if away:
                _release(row, reply=away)
            else:
                self._send_one(row)
        for pk in sorted({row.outreach_id for row in rows}):
            settle(pk, now=self.clock())
        return Drained(
            claimed=len(rows),
            accepted=self.counts[Outcome.ACCEPTED],
            later=self.counts[Outcome.LATER],
            refused=self.counts[Outcome.REFUSED],
            unknown=self.counts[Outcome.UNKNOWN],
            away=away,
        )

    def _send_one(self, row: Delivery) -> None:
        message = self._begin(row)
        if message is None:
            return
        # Nothing is locked while the network is asked.
        handed = self.post.hand_over(recipient=wire_address(row.email), message=message)
        _finish(row, handed, now=self.clock())
        self.counts[handed.outcome] += 1

    def _begin(self, row: Delivery) -> bytes | None:
        """Check once more, write the mail, and mark the row as leaving; None when it must not leave."""
        now = self.clock()
        with transaction.atomic():
            outreach = _locked(row.outreach_id)
            if outreach.state not in APPROVED_STATES:
                _release(row)
                return None
            if _must_stay(row, outreach, now=now):
                return None
            try:
                message = self._message(row, outreach, now=now)
            except CannotBeWritten as error:
                _end(row, DeliveryState.FAILED, f"This mail could not be written: {error}.")
                return None
            leaving = holds(row, state=DeliveryState.CLAIMED).update(
                state=DeliveryState.SUBMITTING,
                lease_until=now + timedelta(seconds=settings.PORTAL_LEASE_SECONDS),
            )
        return message if leaving == 1 else None

    def _message(self, row: Delivery, outreach: Outreach, *, now: datetime) -> bytes:
        wire_address(row.email)
        key = (outreach.pk, row.content_hash)
        if key not in self.skeletons:
            self.skeletons[key] = Skeleton.of(outreach)
        earlier = queries.earlier_message_ids(incident=outreach.incident_id, addresses=[row.email])
        return self.skeletons[key].fill(row, earlier=earlier[row.email.lower()], now=now)


def _must_stay(row: Delivery, outreach: Outreach, *, now: datetime) -> bool:
    """Check at the last moment what was true at approval; end the row, and more, where it is not."""
    if row.expires_at <= now:
        _end(row, DeliveryState.WITHDRAWN, "Not sent: its time had passed.")
        return True
    approval = queries.standing_approval(outreach)
    current = content_hash(outreach, outreach.recipients.all())
    if approval is None or approval.content_hash != current:
        make_stale(outreach, "It was changed after it was approved.", now=now)
        return True
    if row.content_hash != current:
        _end(row, DeliveryState.WITHDRAWN, "Another wording was approved since.")
        return True
    if why := queries.freshness(outreach).since(approval):
        make_stale(outreach, why, now=now)
        return True
    if why := _suppressed(row.email):
        _end(row, DeliveryState.SUPPRESSED, why)
        return True
    return False


def _suppressed(address: str) -> str:
    """Return why nobody may mail `address`, empty when one may."""
    if Contact.objects.filter(email__iexact=address, do_not_contact=True).exists():
        return "This person asked not to be contacted."
    host = address.rpartition("@")[2].lower()
    allowed = [one.lower() for one in settings.PORTAL_MAIL_DOMAINS]
    if allowed and not any(
        host == one or (one.startswith("*.") and host.endswith(one[1:])) for one in allowed
    ):
        return f"{host} is not among the domains that this installation may mail (PORTAL_MAIL_DOMAINS)."
    return ""


def _release(row: Delivery, *, reply: str = "") -> None:
    """Put a claimed row back."""
    changes = {"reply": reply[:500]} if reply else {}
    holds(row, state=DeliveryState.CLAIMED).update(
        state=DeliveryState.QUEUED, claim_token=None, lease_until=None, **changes
    )


def _end(row: Delivery, state: str, reply: str) -> None:
    """End a claimed row without sending it."""
    holds(row, state=DeliveryState.CLAIMED).update(
        state=state, reply=reply[:500], claim_token=None, lease_until=None
    )


def _finish(row: Delivery, handed: Handed, *, now: datetime) -> None:
    """Write down what became of a mail, also when the lease has passed meanwhile: the token is still ours."""
    changes: dict[str, object] = {"reply": handed.reply, "lease_until": None}
    if handed.outcome is Outcome.ACCEPTED:
        changes |= {"state": DeliveryState.ACCEPTED, "accepted_at": now}
    elif handed.outcome is Outcome.REFUSED:
        changes |= {"state": DeliveryState.FAILED}
    elif handed.outcome is Outcome.UNKNOWN:
        changes |= {"state": DeliveryState.UNKNOWN}
    else:
        wait = min(FIRST_WAIT * 2 ** min(row.tries - 1, 10), LONGEST_WAIT)
        changes |= {"state": DeliveryState.QUEUED, "claim_token": None, "send_after": now + wait}
    Delivery.objects.filter(
        pk=row.pk,
        claim_token=row.claim_token,
        state__in=[DeliveryState.SUBMITTING, DeliveryState.UNKNOWN],
    ).update(**changes)
