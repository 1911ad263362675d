"""Celery shells of the kernel's own work."""

from typing import Any

from celery import shared_task

from apps.core.charts import shelf


@shared_task(name="core.sweep")
def sweep(**_: Any) -> None:
    """Draw the charts that pages wait for, be it a page or the clock that asks."""
    shelf.draw_asked()
