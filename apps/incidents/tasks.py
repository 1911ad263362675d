"""Celery shells of the incidents jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.incidents import jobs


@shared_task(name="incidents.sweep", queue="default", soft_time_limit=120, time_limit=150)
def sweep(**_: Any) -> None:
    """Take note of finished impact runs, and ask for fresh ones."""
    jobs.sweep(now=timezone.now())
