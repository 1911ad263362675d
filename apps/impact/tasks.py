"""Celery shells of the impact jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.impact import jobs


@shared_task(name="impact.run", queue="impact")
def run(**_: Any) -> None:
    """Compute every run that waits."""
    while jobs.run_next(clock=timezone.now):
        pass


@shared_task(name="impact.sweep")
def sweep(**_: Any) -> None:
    """Wake a worker for runs whose wake-up was lost or whose worker died."""
    jobs.sweep(now=timezone.now())
