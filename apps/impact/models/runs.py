"""Runs, and the snapshots that they end in."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from apps.accounts.models import User
from apps.analytics.names import HIT_GRADES
from apps.catalog.models import Service
from apps.core.claims import Claimable
from apps.customers.models import Customer, Kind


class RunState(models.TextChoices):
    """queued → running → done | failed | cancelled."""

    QUEUED = "queued", "Waiting for a worker"
    RUNNING = "running", "Computing"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class ImpactRun(Claimable):
    """A request to compute what a window did to customers. A worker claims it; it ends in one snapshot."""

    window_from = models.DateTimeField()
    window_to = models.DateTimeField()
    service = models.ForeignKey(Service, null=True, blank=True, on_delete=models.CASCADE)
    # Earlier weeks are not read anew but carried from the last whole run: what a minute leaves time for.
    light = models.BooleanField(default=False)
    # Asked for by itself, of any window; the others belong to an incident.
    apart = models.BooleanField(default=False)
    state = models.CharField(max_length=20, choices=RunState, default=RunState.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)  # percent
    error = models.TextField(blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # The worker's question, and the sweep's: what waits, and whose lease has passed.
            models.Index(
                fields=["state", "lease_until", "id"],
                name="impact_run_waiting",
                condition=models.Q(state__in=["queued", "running"]),
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(window_from__lt=models.F("window_to")),
                name="impact_window_forward",
                violation_error_message="The window must begin before it ends.",
            )
        ]

    def __str__(self) -> str:
        return f"Run {self.pk}: {self.window_from:%d %b %H:%M}–{self.window_to:%H:%M}"


class ImpactSnapshot(models.Model):
    """The frozen answer to what a window did to customers. Append-only, enforced by the database."""

    run = models.OneToOneField(ImpactRun, on_delete=models.PROTECT, related_name="snapshot")
    as_of = models.DateTimeField()
    watermark = models.DateTimeField(null=True)
    provisional = models.BooleanField()
    method = models.CharField(max_length=100)
    # The JSON that `manage.py impact --json` prints; `result["story"]` is the story for staff.
    result = models.JSONField()
    # `result` without its "customers": what pages read. A hit on 10,000 customers has a result of megabytes.
    overall = models.GeneratedField(
        expression=Func(
            F("result"),
            Value("customers"),
            template="(%(expressions)s)",
            arg_joiner=" - ",
            output_field=models.JSONField(),
        ),
        output_field=models.JSONField(),
        db_persist=True,
    )
    # What light runs after it carry (`Carried.as_json`); None where it found nothing in earlier weeks.
    carries = models.JSONField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        get_latest_by = "created_at"

    def __str__(self) -> str:
        return f"Snapshot #{self.pk} as of {self.as_of:%H:%M}"


class CustomerImpactQuerySet(models.QuerySet["CustomerImpact"]):
    """Reads of what happened to customers."""

    def visible_to(self, user: User) -> Self:
        """Only the rows of customers that `user` may see."""
        return self.filter(customer__in=Customer.objects.visible_to(user))

    def hit(self) -> Self:
        """Only customers to whom something happened."""
        return self.filter(grade__in=HIT_GRADES)


class CustomerImpact(models.Model):
    """What a snapshot says about one customer. Append-only, enforced by the database."""

    snapshot = models.ForeignKey(ImpactSnapshot, on_delete=models.PROTECT, related_name="customers")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="impacts")
    kind = models.CharField(max_length=20, choices=Kind)
    grade = models.CharField(max_length=20)  # hit, partly_hit, slowed, not_hit, cannot_tell
    # This customer's entry of the snapshot's "customers".
    result = models.JSONField()
    # Requests of theirs that failed, out of `result`; None where it does not say.
    failed = models.GeneratedField(
        expression=Cast(KT("result__requests__failed"), models.BigIntegerField()),
        output_field=models.BigIntegerField(null=True),
        db_persist=True,
    )
    # Sentences that the customer may read, about them and nobody else.
    story = models.JSONField(default=list)

    objects = CustomerImpactQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("snapshot", "customer", name="impact_once_per_customer")
        ]
        indexes = [
            # Today's question: the accounts that a snapshot's incident hit hardest.
            models.Index(
                "snapshot",
                F("failed").desc(nulls_last=True),
                "id",
                name="impact_hit_hardest",
                condition=Q(grade__in=HIT_GRADES) & ~Q(kind=Kind.CONSUMERS),
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.grade}"
