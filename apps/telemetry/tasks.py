"""Celery shells of the jobs."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from apps.core.nudge import nudge
from apps.telemetry import compaction, erasure, jobs, rollups


@shared_task(name="telemetry.sweep")
def sweep(**_: Any) -> None:
    """Remove files that no catalogue row names."""
    now = timezone.now()
    jobs.sweep(now=now)
    if erasure.waits(now=now):
        nudge("telemetry.erase", queue="impact")


@shared_task(name="telemetry.rollup", queue="impact")
def rollup(**_: Any) -> None:
    """Roll up every finished day that waits."""
    while rollups.make_next(now=timezone.now()):
        pass


@shared_task(name="telemetry.compact", queue="impact")
def compact(**_: Any) -> None:
    """Merge the small files of every hour that waits."""
    while compaction.compact_next(now=timezone.now()):
        pass


@shared_task(name="telemetry.erase", queue="impact")
def erase(**_: Any) -> None:
    """Carry every erasure on that can be."""
    while erasure.erase_next(clock=timezone.now):
        pass
