"""The outbox: rows whose time has come are claimed, checked again, and handed to the mail server once."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from apps.core.claims import claim, holds
from apps.customers.models import Contact
from apps.outreach import queries
from apps.outreach.content import content_hash
from apps.outreach.jobs.standing import locked, make_stale, settle
from apps.outreach.mail import (
    CannotBeWritten,
    Handed,
    MailServerAway,
    Outcome,
    Post,
    Skeleton,
    wire_address,
)
from apps.outreach.models import (
    APPROVED_STATES,
    Delivery,
    DeliveryState,
    Outreach,
)

logger = logging.getLogger(__name__)
#: The wait before the n-th try after a refusal for now: 30 s, 1 min, 2 min … at most an hour.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)


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


def waiting_rows(now: datetime) -> QuerySet[Delivery]:
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
    due = waiting_rows(now)
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
            outreach = locked(row.outreach_id)
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
