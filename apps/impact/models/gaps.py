"""Questions that could not be answered."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.catalog.models import Journey, Service
from apps.impact.models.runs import ImpactSnapshot


class GapQuerySet(models.QuerySet["Gap"]):
    """Reads of gaps by their state, which follows from three columns and the time."""

    def unanswered(self) -> Self:
        """Only questions that cannot be answered, accepted or not."""
        return self.filter(closed_at=None)

    def open(self, now: datetime) -> Self:
        """Only those that nobody has accepted, or not any more."""
        return self.unanswered().filter(Q(accepted_until=None) | Q(accepted_until__lte=now))

    def accepted(self, now: datetime) -> Self:
        """Only those that somebody has accepted until later than now."""
        return self.unanswered().filter(accepted_until__gt=now)


class Gap(models.Model):
    """A question about customers that the data could not answer, and what would close it.

    Open, then closed by the computation that could answer it. Between them somebody may accept not to know
    it until a date; it is open again from then on by itself. `service` and `journey` say of what it is
    asked (empty: of all), `customers` whom it blinds us to (ids; empty: to all).
    """

    code = models.CharField(max_length=40)
    question = models.CharField(max_length=300)
    why = models.CharField(max_length=500)
    closes_by = models.TextField(blank=True)
    service = models.ForeignKey(Service, null=True, blank=True, on_delete=models.CASCADE)
    journey = models.ForeignKey(Journey, null=True, blank=True, on_delete=models.CASCADE)
    customers = models.JSONField(default=list)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    first_snapshot = models.ForeignKey(ImpactSnapshot, on_delete=models.PROTECT, related_name="+")
    latest_snapshot = models.ForeignKey(ImpactSnapshot, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_because = models.CharField(max_length=300, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_until = models.DateTimeField(null=True, blank=True)
    accepted_because = models.CharField(max_length=500, blank=True)

    objects = GapQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "code",
                "service",
                "journey",
                condition=models.Q(closed_at=None),
                nulls_distinct=False,
                name="gap_open_once",
            ),
            models.CheckConstraint(
                condition=Q(accepted_until=None)
                | (Q(accepted_at__isnull=False) & ~Q(accepted_because="")),
                name="gap_accepted_with_reason",
                violation_error_message="Say why not knowing it is accepted.",
            ),
        ]

    def __str__(self) -> str:
        return self.question

    def state(self, now: datetime) -> str:
        """Return "open", "accepted" or "closed"."""
        if self.closed_at:
            return "closed"
        return "accepted" if self.accepted_until and self.accepted_until > now else "open"
