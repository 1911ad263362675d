"""Celery shells of the kernel's own work."""

from typing import Any

from celery import shared_task

from apps.core.charts import shelf


@shared_task(name="core.draw")
def draw(**_: Any) -> None:
    """Draw the charts that pages wait for."""
    shelf.draw_asked()


@shared_task(name="core.sweep")
def sweep(**_: Any) -> None:
    """Draw what a lost wake-up left."""
    shelf.draw_asked()
