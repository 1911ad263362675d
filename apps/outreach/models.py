"""Outreach, approvals and the outbox."""

from typing import Self

from django.conf import settings
from django.db import models
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


class Purpose(models.TextChoices):
    """Why we write."""

    IMPACT = "impact", "What happened"
    RESOLUTION = "resolution", "It is fixed"


class OutreachQuerySet(models.QuerySet["Outreach"]):
    """Reads of outreach."""

    def visible_to(self, user: User) -> Self:
        """Staff see all, account managers that of their customers, customers none."""
        if user.is_staff and user.is_active:
            return self
        if user.role == Role.ACCOUNT_MANAGER:
            return self.filter(customer__in=Customer.objects.visible_to(user))
        return self.none()


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
    incident_version = models.PositiveIntegerField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="authored_outreach",
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    recipients = models.ManyToManyField(Contact, related_name="outreach", blank=True)

    objects = OutreachQuerySet.as_manager()

    class Meta:
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


class Delivery(Claimable):
    """One message to one person: the outbox row. At most one per person and message."""

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
            models.UniqueConstraint("outreach", Lower("email"), name="one_mail_per_person"),
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
