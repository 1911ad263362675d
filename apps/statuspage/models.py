"""Requests to render, so that none is lost; what customers tell us in return."""

from django.conf import settings
from django.db import models

from apps.core.claims import Claimable
from apps.customers.models import Customer


class RenderState(models.TextChoices):
    """queued → rendering → done."""

    QUEUED = "queued", "Waiting"
    RENDERING = "rendering", "Rendering"
    DONE = "done", "Done"


class CustomerReport(models.Model):
    """A customer says that what we show does not match what they see."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="reports")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.TextField()
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # How many came from one customer in the last hour, and the list, newest first.
            models.Index(fields=["customer", "-created_at"], name="report_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {self.text[:60]}"


class Render(Claimable):
    """A request to render every page from the published facts of an instant."""

    state = models.CharField(max_length=20, choices=RenderState, default=RenderState.QUEUED)
    reason = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    pages = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            # The worker's question and the sweep's: what waits, and whose lease has passed.
            models.Index(
                fields=["state", "id"],
                name="render_waiting",
                condition=models.Q(state__in=["queued", "rendering"]),
            )
        ]

    def __str__(self) -> str:
        return f"Render {self.pk} ({self.reason})"
