"""Celery shells of the incidents jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.incidents import counting, jobs


@shared_task(name="incidents.sweep", queue="default", soft_time_limit=120, time_limit=150)
def sweep(**_: Any) -> None:
    """Take note of finished impact runs, and ask for fresh ones; see that the system map is counted."""
    jobs.sweep(now=timezone.now())
    counting.sweep(now=timezone.now())


@shared_task(name="incidents.count", queue="impact")
def count(**_: Any) -> None:
    """Count what the system map draws."""
    while counting.run_next(clock=timezone.now):
        pass
