"""What a worker does for the status page: render when something is to be said anew."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from apps.core.claims import claim, holds, put_back
from apps.statuspage import pages, queries, store
from apps.statuspage.models import Render, RenderState

logger = logging.getLogger(__name__)

KEEP_REQUESTS = timedelta(days=7)
_LOCK = 0x57A7_05  # one renderer at a time, over all workers


def request_render(*, reason: str, now: datetime) -> Render:
    """Ask for all pages to be rendered from what is published now."""
    return Render.objects.create(reason=reason, created_at=now)


def render_pages(*, now: datetime) -> int:
    """Render every page from one reading of the database and make them current; return how many.

    Nobody else may render at the same time (see `run_renders`). Whatever is raised, the pages from
    before stay.
    """
    with queries.one_reading():
        facts = queries.facts(now=now)
    root = settings.STATUS_DIR
    return store.publish(
        root,
        pages.files(facts),
        store.Manifest(
            sequence=store.next_sequence(root, now=now),
            generated_at=now,
            valid_until=now + store.VALID_FOR,
            fingerprint=facts.fingerprint(),
        ),
    )


def request_if_due(*, now: datetime) -> Render | None:
    """Ask for a render when the published facts are not those of the pages, or the pages grow old.

    Nobody below tells us what they publish: we compare.
    """
    if Render.objects.filter(state=RenderState.QUEUED).exists():
        return None
    manifest = store.read_manifest(settings.STATUS_DIR)
    if manifest is None:
        return request_render(reason="there are no pages", now=now)
    if not manifest.generated_at <= now < manifest.generated_at + store.VALID_FOR / 2:
        return request_render(reason="the pages grow old", now=now)
    with queries.one_reading():
        changed = queries.facts(now=now).fingerprint() != manifest.fingerprint
    return request_render(reason="something was published", now=now) if changed else None


def run_renders(*, clock: Callable[[], datetime]) -> int:
    """Render once for all requests that wait; return for how many. 0 when another worker is at it.

    Requests that come while we render are taken in another round, by us or by who comes next.
    """
    done = 0
    waiting = Render.objects.filter(state=RenderState.QUEUED)
    while waiting.exists():
        with _alone() as alone:
            if not alone:
                return done
            done += _run_round(now=clock())
    return done


def recover(*, now: datetime) -> int:
    """Put back requests whose worker died, forget old ones; return how many wait."""
    put_back(Render.objects.all(), works=RenderState.RENDERING, waits=RenderState.QUEUED, now=now)
    Render.objects.filter(state=RenderState.DONE, created_at__lt=now - KEEP_REQUESTS).delete()
    return Render.objects.filter(state=RenderState.QUEUED).count()


def _run_round(*, now: datetime) -> int:
    taken = claim(
        Render.objects.filter(state=RenderState.QUEUED).order_by("pk"),
        state=RenderState.RENDERING,
        now=now,
        limit=1000,
    )
    if not taken:
        return 0
    try:
        # What was published before a request was claimed is in the reading that begins now.
        count = render_pages(now=now)
    except Exception:
        _settle(taken, state=RenderState.QUEUED, claim_token=None, lease_until=None)
        raise
    _settle(taken, state=RenderState.DONE, done_at=now, pages=count)
    logger.info("rendered %s files for %s requests", count, len(taken))
    return len(taken)


def _settle(taken: Sequence[Render], **changes: object) -> None:
    for row in taken:
        holds(row, state=RenderState.RENDERING).update(**changes)


@contextmanager
def _alone() -> Iterator[bool]:
    """Hold the right to render, and say whether we have it; it goes with the connection if we die."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (alone,) = cursor.fetchone() or (False,)
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
