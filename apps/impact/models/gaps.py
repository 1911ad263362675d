"""Questions that could not be answered."""

from django.conf import settings
from django.db import models

from apps.catalog.models import Service
from apps.impact.models.runs import ImpactSnapshot


class Gap(models.Model):
    """A question about customers that the data could not answer, and what would close it."""

    code = models.CharField(max_length=40)
    question = models.CharField(max_length=300)
    why = models.CharField(max_length=500)
    closes_by = models.TextField(blank=True)
    service = models.ForeignKey(Service, null=True, blank=True, on_delete=models.CASCADE)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    first_snapshot = models.ForeignKey(ImpactSnapshot, on_delete=models.PROTECT, related_name="+")
    latest_snapshot = models.ForeignKey(ImpactSnapshot, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "code",
                "service",
                condition=models.Q(closed_at=None),
                nulls_distinct=False,
                name="gap_open_once",
            )
        ]

    def __str__(self) -> str:
        return self.question
