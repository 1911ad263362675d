"""Outreach, approvals and the outbox."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower

from apps.accounts.models import Role, User
from apps.core.claims import Claimable
from apps.customers.models import Contact, Customer
from apps.impact.models import ImpactSnapshot
from apps.incidents.models import Incident


class State(models.TextChoices):
    """draft → in review → approved → sending → sent → closed; stale, paused and expired on the way."""

    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    APPROVED = "approved", "Approved"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    CLOSED = "closed", "Closed"
    STALE = "stale", "Stale"
    PAUSED = "paused", "Paused"
    EXPIRED = "expired", "Expired"


#: An approval stands, and rows wait or have gone.
APPROVED_STATES = (State.APPROVED, State.SENDING)

#: Nothing more happens to it unless a person begins anew.
ENDED = (State.SENT, State.CLOSED)


class Purpose(models.TextChoices):
    """Why we write."""

    IMPACT = "impact", "What happened"
    RESOLUTION = "resolution", "It is fixed"


class Picture(models.Model):
    """A picture that goes with a mail, as it was drawn. Append-only, enforced by the database.

    `key` is the SHA-256 of all that a reader gets of it, so that who approves the key approves the picture.
    """

    key = models.CharField(max_length=64, primary_key=True)
    title = models.CharField(max_length=200)
    alt = models.TextField()
    png = models.BinaryField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.title

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px as a page shows it: it is drawn twice as large."""
        width, height = (int.from_bytes(self.png[at : at + 4]) for at in (16, 20))
        return width // 2, height // 2


class OutreachQuerySet(models.QuerySet["Outreach"]):
    """Reads of outreach."""

    def visible_to(self, user: User) -> Self:
        """Staff see all, account managers that of their customers, customers none."""
        if user.is_staff and user.is_active:
            return self
        if user.is_active and user.role == Role.ACCOUNT_MANAGER:
            return self.filter(customer__in=Customer.objects.visible_to(user))
        return self.none()

    def proposed(self) -> Self:
        """Drafts that the machine wrote and nobody has taken yet."""
        return self.filter(state__in=[State.DRAFT, State.STALE], author=None)

    def waiting_for(self, user: User) -> Self:
        """What `user` could move on: drafts to take up, reviews to give, rows that only a person can settle."""
        waits = Q(pk__in=[])
        if user.can("outreach.edit"):
            waits |= Q(state__in=[State.DRAFT, State.STALE])
            unknown = Delivery.objects.filter(outreach=OuterRef("pk"), state=DeliveryState.UNKNOWN)
            waits |= Q(Exists(unknown))
        if user.can("outreach.approve"):
            others = ~Q(author=user) & (~Q(edited_by=user) | Q(edited_by=None))
            waits |= Q(state=State.IN_REVIEW) & others
        return self.visible_to(user).filter(waits)


class Outreach(models.Model):
    """A message from an account manager to one customer about one incident."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="outreach")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="outreach")
    purpose = models.CharField(max_length=20, choices=Purpose, default=Purpose.IMPACT)
    state = models.CharField(max_length=20, choices=State, default=State.DRAFT)
    subject = models.CharField(max_length=200)
    text = models.TextField()  # Markdown; the plain text is what was approved
    snapshot = models.ForeignKey(
        ImpactSnapshot, null=True, on_delete=models.PROTECT, related_name="+"
    )
    # The incident as the text describes it: another version makes an approval stale.
    incident_version = models.PositiveIntegerField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="authored_outreach",
    )
    # Who changed the words last: neither they nor the author may approve them.
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="edited_outreach",
    )
    # Why it is stale, paused, expired or closed, in words for people.
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    recipients = models.ManyToManyField(Contact, related_name="outreach", blank=True)
    # Drawn by a job from the snapshot's numbers. `illustrated`: it was seen to, with or without a picture.
    picture = models.ForeignKey(
        Picture, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    illustrated = models.BooleanField(default=False)

    objects = OutreachQuerySet.as_manager()

    class Meta:
        indexes = [
            # The list and Today ask by state, latest change first.
            models.Index(fields=["state", "-changed_at", "-id"], name="outreach_by_state"),
            # The question of the job that draws.
            models.Index(
                fields=["id"],
                name="outreach_to_illustrate",
                condition=Q(illustrated=False, state__in=["draft", "stale", "in_review"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                "incident",
                "customer",
                "purpose",
                name="outreach_once_per_purpose",
                violation_error_message="There is a message to this customer about this already.",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="outreach_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.subject}"


class Approval(models.Model):
    """Who approved exactly which content. Append-only, enforced by the database."""

    outreach = models.ForeignKey(Outreach, on_delete=models.PROTECT, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    # SHA-256 of text + recipients + snapshot + incident version; checked again when a delivery is claimed.
    content_hash = models.CharField(max_length=64)
    # What was known then: a later snapshot with other numbers for this customer makes the approval stale.
    newest_snapshot = models.ForeignKey(
        ImpactSnapshot, null=True, on_delete=models.PROTECT, related_name="+"
    )
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.approver} {self.at:%d %b %H:%M}"


class DeliveryState(models.TextChoices):
    """queued → claimed → submitting → accepted → delivered | bounced | replied, or it ends otherwise."""

    QUEUED = "queued", "Waiting"
    CLAIMED = "claimed", "Claimed"
    SUBMITTING = "submitting", "Being handed over"
    ACCEPTED = "accepted", "Accepted by the mail server"
    DELIVERED = "delivered", "Delivered"
    BOUNCED = "bounced", "Bounced"
    REPLIED = "replied", "Replied"
    SUPPRESSED = "suppressed", "Suppressed"
    WITHDRAWN = "withdrawn", "Withdrawn"
    FAILED = "failed", "Refused by the mail server"
    # A crash after the mail may have left and before we knew. Never retried by itself.
    UNKNOWN = "unknown", "Not known whether it left"


#: The row waits for the sender, or the sender is at it.
WAITING = (DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.SUBMITTING)

#: The mail server took it.
TAKEN = (
    DeliveryState.ACCEPTED,
    DeliveryState.DELIVERED,
    DeliveryState.BOUNCED,
    DeliveryState.REPLIED,
)

#: Nothing left this machine for good: the same person may get a new row at the next approval.
NEVER_LEFT = (DeliveryState.WITHDRAWN, DeliveryState.SUPPRESSED, DeliveryState.FAILED)


class Delivery(Claimable):
    """One message to one person: the outbox row.

    At most one per person and message, but for rows that certainly never left.
    """

    outreach = models.ForeignKey(Outreach, on_delete=models.PROTECT, related_name="deliveries")
    contact = models.ForeignKey(
        Contact, null=True, on_delete=models.SET_NULL, related_name="deliveries"
    )
    email = models.EmailField()
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=20, choices=DeliveryState, default=DeliveryState.QUEUED)
    message_id = models.CharField(max_length=200, unique=True)  # made once, kept through every try
    content_hash = models.CharField(max_length=64)
    send_after = models.DateTimeField()
    expires_at = models.DateTimeField()
    reply = models.CharField(max_length=500, blank=True)  # what the mail server said
    accepted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                "outreach",
                Lower("email"),
                condition=~Q(state__in=["withdrawn", "suppressed", "failed"]),
                name="one_mail_per_person",
            ),
            models.CheckConstraint(
                condition=Q(state__in=DeliveryState.values), name="delivery_state_known"
            ),
        ]
        indexes = [
            # The sender's question: what is due; and the reaper's: whose lease has passed.
            models.Index(
                fields=["state", "send_after", "id"],
                name="delivery_due",
                condition=models.Q(state__in=["queued", "claimed", "submitting"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.email}: {self.state}"
