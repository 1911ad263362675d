"""Celery shells of the jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.telemetry import jobs


@shared_task(name="telemetry.sweep")
def sweep(**_: Any) -> None:
    """Remove files that no catalogue row names."""
    jobs.sweep(now=timezone.now())
