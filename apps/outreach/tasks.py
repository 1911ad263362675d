"""Celery shells of the outreach jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.outreach import jobs


@shared_task(name="outreach.drain", queue="mail")
def drain(**_: Any) -> None:
    """Send what is due, a connection for each hundred."""
    while jobs.drain(now=timezone.now(), limit=100):
        pass


@shared_task(name="outreach.sweep")
def sweep(**_: Any) -> None:
    """Propose drafts, notice what went stale, and wake the sender where its wake-up was lost."""
    jobs.sweep(now=timezone.now())


@shared_task(name="outreach.illustrate")
def illustrate(**_: Any) -> None:
    """Draw the pictures of messages that wait for one."""
    jobs.illustrate(now=timezone.now())
