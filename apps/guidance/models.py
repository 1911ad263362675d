"""Advice on errors."""

from django.conf import settings
from django.db import models

from apps.customers.models import Kind


class Advice(models.Model):
    """What one kind of customer should do about one error code."""

    code = models.CharField(
        max_length=60
    )  # an HTTP status ("502") or an application's code ("card_declined")
    kind = models.CharField(max_length=20, choices=Kind, blank=True)  # blank: any kind
    title = models.CharField(max_length=200)
    what_happened = models.TextField()
    what_to_do = models.TextField()
    tell_your_customers = models.TextField(blank=True)
    # When to try again: between these many seconds, so that they do not all come back at once. None: do not.
    retry_from_s = models.PositiveIntegerField(null=True, blank=True)
    retry_to_s = models.PositiveIntegerField(null=True, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "code",
                "kind",
                name="advice_once_per_code_and_kind",
                violation_error_message="There is advice on this code for this kind of customer already.",
            ),
            models.CheckConstraint(
                condition=models.Q(retry_from_s=None, retry_to_s=None)
                | models.Q(retry_to_s__gte=models.F("retry_from_s")),
                name="advice_retry_range",
                violation_error_message="Give both ends of the wait, the shorter first.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.get_kind_display() or 'anyone'})"
