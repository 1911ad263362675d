"""`POST /api/v1/events`: events from programs, stored durably before they are acknowledged."""

import logging
import zlib
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.models import ApiKey, Scope
from apps.telemetry import actions
from apps.telemetry.admission import Busy, admitted
from apps.telemetry.rules import BadRules
from apps.telemetry.space import StoreFull

logger = logging.getLogger(__name__)

ARRAY = "application/json"
CLOUD_EVENTS = ("application/cloudevents+json", "application/cloudevents-batch+json")
LINES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "text/plain",
)
RETRY_AFTER = "5"
WHEN_BUSY = "2"  # seconds
WHEN_FULL = "60"


@csrf_exempt
@login_not_required
def events(request: HttpRequest) -> JsonResponse:
    """Take in a delivery of events."""
    if request.method != "POST":
        answer = error(
            405, "method_not_allowed", "Events are sent with POST", f"This was {request.method}."
        )
        answer["Allow"] = "POST"
        return answer
    try:
        return _deliver(request)
    except actions.BadDelivery as bad:
        return error(bad.status, bad.code, bad.message, bad.hint, **bad.more)
    except StoreFull:
        return _wait("store_full", "The disk of the event store is nearly full", WHEN_FULL)
    except Busy:
        return _wait("busy", "More is being delivered than can be taken in", WHEN_BUSY)
    except (DatabaseError, InterfaceError, OSError, BadRules) as trouble:
        return _later(trouble)


def _deliver(request: HttpRequest) -> JsonResponse:
    # Before the database is asked anything: what needs no key to be refused.
    kind = (request.content_type or "").lower()
    if kind not in {ARRAY, *CLOUD_EVENTS, *LINES}:
        return error(
            415,
            "unsupported_media_type",
            f"Content-Type {kind or '(none)'} is not taken here",
            "Send application/x-ndjson (one JSON object in each line), application/json (an array), or CloudEvents.",
        )
    if "Transfer-Encoding" in request.headers:
        # The server does not tell us when such a body was cut off; half of it could be stored.
        return error(
            411,
            "length_required",
            "The body comes in chunks, without its length",
            "Send Content-Length; with curl, --data-binary @FILE does.",
        )
    if _length(request) > settings.PORTAL_MAX_BODY:
        return _too_large()
    key, refusal = _key(request)
    if key is None:
        return refusal
    packed = _body(request)
    with admitted():
        body = unpacked(request, packed, limit=settings.PORTAL_MAX_BODY_DECODED)
        accepted = actions.accept_events(
            body=body,
            key=key,
            idempotency_key=request.headers.get("Idempotency-Key", "").strip()[:200],
            form=_form(kind, body),
            now=timezone.now(),
        )
    return JsonResponse(accepted.as_json())


def _form(kind: str, body: bytes) -> actions.Form:
    if kind in CLOUD_EVENTS:
        return "cloudevents"
    return "json" if kind == ARRAY and body.lstrip()[:1] == b"[" else "ndjson"


def _length(request: HttpRequest) -> int:
    text = request.headers.get("Content-Length") or "0"
    return int(text[:20]) if text.isdecimal() else 0


def _key(request: HttpRequest) -> tuple[ApiKey | None, JsonResponse]:
    token = bearer(request)
    if not token:
        return None, _unauthorized(
            "no_key", "There is no API key", "Send Authorization: Bearer KEY.", ""
        )
    return ingest_key(token), _unauthorized(
        "bad_key",
        "This API key is not known, is revoked, or may not send events",
        "Ask an administrator for a key with the scope ingest.",
        ', error="invalid_token"',
    )


def bearer(request: HttpRequest) -> str:
    """Return the token that a request brings; empty when it brings none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def ingest_key(token: str) -> ApiKey | None:
    """Return the key of a token, if it may send events."""
    return ApiKey.objects.authenticate(token, scope=Scope.INGEST, now=timezone.now())


def _body(request: HttpRequest) -> bytes:
    """Return the body as it came. Raise BadDelivery when it is too large or cut off."""
    try:
        body = request.read(settings.PORTAL_MAX_BODY + 1)
    except UnreadablePostError as gone:
        raise _cut_off() from gone
    if len(body) > settings.PORTAL_MAX_BODY:
        raise actions.TooLarge(*_too_large_words())
    if len(body) < _length(request):
        raise _cut_off()  # half of it would be stored, and then again as a part of the whole
    return body


def unpacked(request: HttpRequest, body: bytes, *, limit: int) -> bytes:
    """Return a body as it was before it was packed. Raise BadDelivery when it is no gzip or too large."""
    packing = request.headers.get("Content-Encoding", "identity").lower().strip()
    if packing in {"identity", ""}:
        return body
    if packing not in {"gzip", "x-gzip"}:
        raise actions.BadDelivery(
            "unsupported_encoding",
            f"Content-Encoding {packing[:40]} is not taken here",
            "Send gzip or plain.",
        )
    return _unzipped(body, limit)


def _cut_off() -> actions.BadDelivery:
    return actions.BadDelivery(
        "cut_off", "The body ended before its end; nothing was stored", "Send it again."
    )


def _unzipped(body: bytes, limit: int) -> bytes:
    unzip = zlib.decompressobj(31)
    try:
        plain = unzip.decompress(body, limit + 1)
    except zlib.error as bad:
        raise actions.BadDelivery(
            "bad_gzip", f"The body is not gzip: {bad}", "Send it again."
        ) from bad
    if len(plain) > limit:
        raise actions.TooLarge(*_too_large_words(limit))
    if not unzip.eof or unzip.unused_data.strip(b"\0"):
        raise actions.BadDelivery(
            "bad_gzip", "The gzip body is not one whole member", "Send it again."
        )
    return plain


def _too_large_words(limit: int | None = None) -> tuple[str, str, str]:
    packed, plain = (
        settings.PORTAL_MAX_BODY >> 20,
        (limit or settings.PORTAL_MAX_BODY_DECODED) >> 20,
    )
    return (
        "too_large",
        f"A body may have {packed} MiB, and {plain} MiB unpacked",
        "Send the events in several requests.",
    )


def _too_large() -> JsonResponse:
    return error(413, *_too_large_words())


def _unauthorized(code: str, message: str, hint: str, more: str) -> JsonResponse:
    answer = error(401, code, message, hint)
    answer["WWW-Authenticate"] = f'Bearer realm="events"{more}'
    return answer


def _later(trouble: Exception) -> JsonResponse:
    # When the database was lost at its last word, the events may be stored all the same.
    disk = isinstance(trouble, OSError)
    what = "the store cannot be written" if disk else "the database did not answer"
    if isinstance(trouble, BadRules):
        logger.error("PORTAL_RULES: %s", trouble)
        what = "the rules file cannot be used"
    answer = error(
        503,
        "unavailable",
        f"The events were not taken in for certain: {what}",
        "Send the same body again later; it is stored once however often it comes.",
    )
    answer["Retry-After"] = RETRY_AFTER
    return answer


def _wait(code: str, message: str, seconds: str) -> JsonResponse:
    answer = error(
        503, code, f"{message}; nothing was stored", "Send the same body again after Retry-After."
    )
    answer["Retry-After"] = seconds
    return answer


def error(status: int, code: str, message: str, hint: str, **more: Any) -> JsonResponse:
    """Return an error in the API's one form."""
    return JsonResponse(
        {"error": {"code": code, "message": message, "hint": hint}, **more}, status=status
    )
