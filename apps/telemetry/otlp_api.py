"""`POST /v1/traces` and `/v1/logs`: OTLP over HTTP, as its specification has it, stored before it is acknowledged.

Exporters of JavaScript and Envoy send bodies in chunks, without a length. One that is cut off is no message, or
a shorter one; when it comes again whole, its requests are known by their ids.
"""

import logging

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps.telemetry import actions, otlp
from apps.telemetry.admission import Busy, admitted
from apps.telemetry.api import RETRY_AFTER, WHEN_BUSY, WHEN_FULL, bearer, ingest_key, unpacked
from apps.telemetry.rules import BadRules
from apps.telemetry.space import StoreFull

logger = logging.getLogger(__name__)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# Codes of google.rpc.Code
INVALID, EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 3, 8, 12, 14, 16


@csrf_exempt
@login_not_required
def traces(request: HttpRequest) -> HttpResponse:
    """Take in spans."""
    return _export(request, "traces")


@csrf_exempt
@login_not_required
def logs(request: HttpRequest) -> HttpResponse:
    """Take in log records."""
    return _export(request, "logs")


def _export(request: HttpRequest, signal: actions.Signal) -> HttpResponse:
    kind = (request.content_type or "").lower()
    json = kind == JSON
    if request.method != "POST":
        answer = _refuse(405, UNIMPLEMENTED, f"Send {signal} with POST.", json=json)
        answer["Allow"] = "POST"
        return answer
    if kind not in {PROTOBUF, JSON}:
        return _refuse(
            415,
            INVALID,
            f"Content-Type {kind[:60] or '(none)'} is not taken here; send {PROTOBUF} or {JSON}.",
            json=True,
        )
    token = bearer(request)
    try:
        key = ingest_key(token) if token else None
        if key is None:
            answer = _refuse(
                401,
                UNAUTHENTICATED,
                "Send Authorization: Bearer KEY, with a key that may send events.",
                json=json,
            )
            answer["WWW-Authenticate"] = 'Bearer realm="events"'
            return answer
        packed = _read(request)
        with admitted():
            done = actions.accept_export(
                body=unpacked(request, packed, limit=settings.PORTAL_MAX_BODY),
                signal=signal,
                json=json,
                key=key,
                now=timezone.now(),
            )
    except actions.TooLarge as bad:
        return _refuse(413, EXHAUSTED, f"{bad.message}. {bad.hint}", json=json)
    except actions.BadDelivery as bad:
        return _refuse(bad.status, INVALID, f"{bad.message}. {bad.hint}", json=json)
    except StoreFull:
        return _wait("The disk of the event store is nearly full.", WHEN_FULL, json=json)
    except Busy:
        return _wait("More is being delivered than can be taken in.", WHEN_BUSY, json=json)
    except (DatabaseError, InterfaceError, OSError, BadRules) as trouble:
        logger.warning(
            "an export was not stored: %s",
            trouble if isinstance(trouble, BadRules) else type(trouble).__name__,
        )
        return _wait("Not taken in for certain; send the same again later.", RETRY_AFTER, json=json)
    body = otlp.answer(signal, rejected=done.rejected, message=done.message, json=json)
    return HttpResponse(body, content_type=kind)


def _read(request: HttpRequest) -> bytes:
    """Return the body as it came, in chunks or with a length. Raise BadDelivery when it is too large or cut off."""
    most = settings.PORTAL_MAX_BODY
    stated = request.headers.get("Content-Length") or "0"
    try:
        # Django reads as much as a Content-Length says; of a body in chunks, only the server knows the end.
        chunks = "Transfer-Encoding" in request.headers
        body: bytes = (request.META["wsgi.input"] if chunks else request).read(most + 1)
    except (UnreadablePostError, ValueError) as gone:
        raise actions.BadDelivery(
            "cut_off", "The body ended before its end", "Send it again."
        ) from gone
    if len(body) > most:
        raise actions.TooLarge(
            "too_large", f"A body may have {most >> 20} MiB", "Send less at once."
        )
    if not chunks and stated.isdecimal() and len(body) < int(stated[:20]):
        raise actions.BadDelivery("cut_off", "The body ended before its end", "Send it again.")
    return body


def _wait(message: str, seconds: str, *, json: bool) -> HttpResponse:
    answer = _refuse(503, UNAVAILABLE, message, json=json)
    answer["Retry-After"] = seconds
    return answer


def _refuse(status: int, code: int, message: str, *, json: bool) -> HttpResponse:
    body = otlp.problem(code, message, json=json)
    return HttpResponse(body, status=status, content_type=JSON if json else PROTOBUF)
