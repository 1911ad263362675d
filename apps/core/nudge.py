"""Wake a worker after commit. A wake-up may be lost or doubled: the sweeps find what it would have found."""

import logging

from celery import current_app
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)


def nudge(task: str, *, queue: str = "default") -> None:
    """Ask for `task` (its name, such as "impact.run") once the current transaction has committed."""
    if settings.PORTAL_NUDGES:
        transaction.on_commit(lambda: _send(task, queue), robust=True)


def _send(task: str, queue: str) -> None:
    try:
        current_app.send_task(task, queue=queue, expires=300, retry=False)
    except Exception as error:  # noqa: BLE001  (whatever the broker's client raises, the sweep does the work)
        logger.warning("no wake-up for %s (%s): the next sweep does it", task, error)
