"""Rows that a worker claims: one discipline for every outbox and queue (architecture: the truth is a row).

A row waits in `queued`; a worker takes it with SKIP LOCKED, which gives it a token and a lease; only the
holder of the token may finish it. A lease that has passed puts the row back: the worker died.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, models, transaction


class Claimable(models.Model):
    """Columns of a row that a worker claims."""

    claim_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    tries = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


C = TypeVar("C", bound=Claimable)


def claim(
    rows: models.QuerySet[C], *, state: str, now: datetime, limit: int = 1, **changes: Any
) -> Sequence[C]:
    """Take up to `limit` of `rows` that nobody else is taking, and return them as claimed.

    `rows` must already be filtered to the claimable state and ordered; each becomes `state` with a
    fresh token and a lease of PORTAL_LEASE_SECONDS, in one transaction that is over on return.
    """
    with transaction.atomic():
        taken = list(rows.select_for_update(skip_locked=True, of=("self",))[:limit])
        for row in taken:
            row.claim_token = uuid.uuid4()
            row.lease_until = now + timedelta(seconds=settings.PORTAL_LEASE_SECONDS)
            row.tries += 1
            for name, value in {"state": state, **changes}.items():
                setattr(row, name, value)
            row.save(update_fields=["claim_token", "lease_until", "tries", "state", *changes])
    return taken


def holds(row: Claimable, *, state: str) -> models.QuerySet[Any]:
    """Return the row as a QuerySet of one that is empty once the claim was lost.

    For compare-and-swap: `if not holds(row, state="claimed").update(state="submitting"): return`.
    """
    rows: models.QuerySet[Any] = type(row)._default_manager.all()  # noqa: SLF001  (Django documents it)
    return rows.filter(**{"pk": row.pk, "state": state, "claim_token": row.claim_token})  # noqa: PIE804  (state is a subclass column)


def put_back(
    rows: models.QuerySet[C],
    *,
    works: str,
    waits: str,
    now: datetime,
    most_tries: int | None = None,
    **given_up: Any,
) -> None:
    """Let those of `rows` wait again whose worker died while it had them in the state `works`.

    What took `most_tries` workers down would take the next one down as well: it gets the columns
    `given_up` instead, a state among them.
    """
    lost = rows.filter(state=works, lease_until__lt=now)
    if most_tries is not None:
        lost.filter(tries__gte=most_tries).update(claim_token=None, **given_up)
    lost.update(state=waits, claim_token=None, lease_until=None)


@contextmanager
def kept_alive(
    row: Claimable,
    *,
    state: str,
    clock: Callable[[], datetime],
    lease: timedelta,
    every: timedelta | None = None,
    more: Callable[[], dict[str, Any]] = dict,
) -> Iterator[None]:
    """Renew the lease while the work goes on, `every` third of it by default, on a connection of its own.

    `more` returns further columns to keep, such as how far the work is: the work's own transaction
    would show them only when it is over.
    """
    over = threading.Event()
    pause = (every or lease / 3).total_seconds()

    def renew() -> None:
        try:
            while not over.wait(pause):
                holds(row, state=state).update(lease_until=clock() + lease, **more())
        finally:
            connections.close_all()

    thread = threading.Thread(target=renew, name=f"lease of {row}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
