"""Celery shells of the status page's jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.core.nudge import nudge
from apps.statuspage import jobs


@shared_task(name="statuspage.render", queue="default", soft_time_limit=600, time_limit=660)
def render(**_: Any) -> None:
    """Render if the pages do not say what is published, or somebody asked."""
    jobs.request_if_due(now=timezone.now())
    jobs.run_renders(clock=timezone.now)


@shared_task(name="statuspage.sweep", queue="default", soft_time_limit=60, time_limit=90)
def sweep(**_: Any) -> None:
    """Find what no wake-up told us: new facts, old pages, renders whose worker died."""
    now = timezone.now()
    jobs.request_if_due(now=now)
    if jobs.recover(now=now):
        nudge("statuspage.render")
