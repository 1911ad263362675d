"""`/metrics` for Prometheus, to whoever brings a key that may scrape; and what it tells of the queue."""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.models import ApiKey, Scope
from apps.core import metrics
from apps.core.metrics import Family, by_label

SECONDS = 5
"""The database may take so long for one question; a scrape waits ten seconds by default."""
QUEUES = 20


@login_not_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Answer all figures, as text 0.0.4 or as OpenMetrics, whichever is asked for."""
    now = timezone.now()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not ApiKey.objects.authenticate(
            token.strip(), scope=Scope.METRICS, now=now
        ):
            return _refused()
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{SECONDS}s'")
            found = metrics.families(now)
    except (DatabaseError, InterfaceError):
        answer = _plain("The database did not answer in time.\n", 503)
        answer["Retry-After"] = "15"
        return answer
    form = _form(request)
    return HttpResponse(metrics.exposition(found, form=form), content_type=f"{form}; charset=utf-8")


def _form(request: HttpRequest) -> str:
    """Return the format that is preferred; the plain one to whoever says nothing."""
    wanted = request.get_preferred_type([metrics.PLAIN, metrics.OPEN])
    return wanted or metrics.PLAIN


def _refused() -> HttpResponse:
    answer = _plain(
        "Send Authorization: Bearer KEY, with a key that may scrape metrics"
        " (manage.py apikey issue NAME --scope metrics).\n",
        401,
    )
    answer["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return answer


def _plain(words: str, status: int) -> HttpResponse:
    return HttpResponse(words, status=status, content_type="text/plain; charset=utf-8")


def queues(now: datetime) -> Iterable[Family]:
    """Return what lies in the queue of wake-ups, where it is in this database."""
    if not settings.CELERY_BROKER_URL.startswith("pgmq"):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regprocedure('pgmq.metrics_all()')")
        if cursor.fetchone() == (None,):
            return
        cursor.execute(
            "SELECT queue_name, queue_length, oldest_msg_age_sec FROM pgmq.metrics_all()"
            " ORDER BY queue_name LIMIT %s",
            [QUEUES],
        )
        rows = cursor.fetchall()
    yield by_label(
        "portal_queue_messages", "queue", {name: n for name, n, _ in rows},
        "Wake-ups that lie in the queue; rows, not these, say what is to do.",
    )  # fmt: skip
    yield by_label(
        "portal_queue_oldest_seconds", "queue", {name: age or 0 for name, _, age in rows},
        "Age of the oldest of them.",
    )  # fmt: skip


def version(now: datetime) -> Iterable[Family]:
    """Return which portal this is."""
    yield Family(
        "portal_info",
        "gauge",
        "Always 1; the version is its label.",
        (({"version": settings.VERSION}, 1),),
    )
