"""Celery shells of the customers' jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.customers import jobs


@shared_task(name="customers.run")
def run(**_: Any) -> None:
    """Read and apply every file that waits."""
    while jobs.run_next(clock=timezone.now):
        pass


@shared_task(name="customers.sweep")
def sweep(**_: Any) -> None:
    """Wake a worker for files whose wake-up was lost or whose worker died."""
    jobs.sweep(now=timezone.now())
