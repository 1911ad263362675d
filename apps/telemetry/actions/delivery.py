"""What an API client does: deliver events."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
from django.conf import settings
from django.db import IntegrityError

from apps.accounts.models import ApiKey
from apps.telemetry import store
from apps.telemetry.catalogue import DEFAULT_SERVICE, Catalogue, identities
from apps.telemetry.files import BLOCK, catalogue_rows, tally_json
from apps.telemetry.formats.columns import Block, Columns, Rejects
from apps.telemetry.formats.jsonlines import JsonLines
from apps.telemetry.models import Batch
from apps.telemetry.resolve import Resolver, Tally
from apps.telemetry.rules import over_http

MOST_IN_ARRAY = 200_000
"""Events in one JSON array, which is decoded as a whole; NDJSON has no such limit."""

Form = Literal["ndjson", "json", "cloudevents"]

SAMPLES = 20  # rejected lines that the answer names


class BadDelivery(Exception):
    """Nothing of the delivery was stored. `status` is the HTTP status that says so."""

    status = 400

    def __init__(self, code: str, message: str, hint: str = "", **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.more = more


class TooLarge(BadDelivery):
    """More than we take at once."""

    status = 413


class NothingAcceptable(BadDelivery):
    """It is JSON, but none of it is an event."""

    status = 422


@dataclass(frozen=True)
class Accepted:
    """What became of a delivery."""

    batch: str
    accepted: int
    rejected: int
    errors: list[dict[str, Any]]
    duplicate: bool

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        answer: dict[str, Any] = {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "errors": [{"line": e["line"], "reason": e["reason"]} for e in self.errors],
            "batch": self.batch,
        }
        if self.duplicate:
            answer["duplicate"] = True
        return answer


def accept_events(
    *, body: bytes, key: ApiKey, idempotency_key: str, form: Form, now: datetime
) -> Accepted:
    """Store a delivery whole, durably, once. Raise BadDelivery when nothing of it can be stored.

    The same body again, or anything under the same idempotency key, gets the first answer.
    """
    name = (
        f"key:{idempotency_key}" if idempotency_key else f"body:{hashlib.sha256(body).hexdigest()}"
    )
    delivery = f"{key.pk}:{name}"[:300]
    if known := Batch.objects.filter(delivery=delivery).first():
        return _answer(known, duplicate=True)
    rejects = Rejects(keep=SAMPLES)
    found = parsed(body, form=form, rejects=rejects, now_ms=int(now.timestamp() * 1000))
    if not any(len(columns) for columns in found):
        raise _nothing(rejects)
    return store_delivery(
        found,
        rejects=rejects,
        source=f"api: {key.name}",
        form=form,
        length=len(body),
        delivery=delivery,
        now=now,
    )


def store_delivery(
    found: Sequence[Columns],
    *,
    rejects: Rejects,
    source: str,
    form: str,
    length: int,
    delivery: str,
    now: datetime,
) -> Accepted:
    """Store the requests of one delivery, durably, once. `delivery` is what it is known by when it comes again."""
    resolver = Resolver(
        key=settings.PORTAL_ACTOR_KEY,
        earlier=settings.PORTAL_ACTOR_KEYS[1:],
        registry=Catalogue(),
        identities=identities(),
        rules=over_http(),
        service=DEFAULT_SERVICE,
    )
    tally = Tally()
    tables: list[pa.Table] = []
    for columns in found:
        table, seen = resolver.resolve(columns)
        tables.append(table)
        tally.add(seen)
    root = Path(settings.EVENTS_DIR)
    batch = Batch(
        batch_id=uuid.uuid4().hex,
        source=source[:300],
        format=form,
        length=length,
        delivery=delivery,
        lines=tally.rows + rejects.total,
        rows=tally.rows,
        rejected=rejects.total,
        reasons=dict(rejects.counts),
        samples=[sample.as_json() for sample in rejects.samples],
        tally=tally_json(tally),
        created_at=now,
    )
    order = np.concatenate([columns.lines for columns in found])
    written = store.write(pa.concat_tables(tables), order=order, batch_id=batch.batch_id, root=root)
    try:
        catalogue_rows(batch, written, root=root, unnamed=tally.unnamed)
    except IntegrityError:
        known = Batch.objects.filter(delivery=delivery).first()
        if known is None:
            raise
        return _answer(known, duplicate=True)  # the same delivery arrived twice at once
    return _answer(batch, duplicate=False)


def _answer(batch: Batch, *, duplicate: bool) -> Accepted:
    return Accepted(batch.batch_id, batch.rows, batch.rejected, batch.samples, duplicate)


def parsed(body: bytes, *, form: Form, rejects: Rejects, now_ms: int) -> list[Columns]:
    """Return the events of a body; what cannot be one goes to `rejects`. Raise BadDelivery."""
    parser = JsonLines(over_http().names(), wary=True)
    if form != "ndjson":
        return _from_array(parser, body, rejects, now_ms, cloud=form == "cloudevents")
    last = body.rpartition(b"\n")[2]
    if last.strip() and not parser.whole(last, b""):
        if b"\n" not in body.strip():
            raise BadDelivery(
                "invalid_json", "The body is not JSON", "Send one JSON object for each line."
            )
        line = body.count(b"\n") + 1
        raise BadDelivery(
            "cut_off",
            f"The body ends in the middle of line {line}; nothing was stored",
            "Send it again whole. A line break at the end shows that a body is complete.",
            line=line,
        )
    found: list[Columns] = []
    line = 1
    at = 0
    while at < len(body):
        end = body.rfind(b"\n", at, at + BLOCK) + 1 or body.find(b"\n", at) + 1 or len(body)
        if len(body) - at <= BLOCK:
            end = len(body)
        block = Block(body[at:end], line)
        found += parser.parse(block, rejects=rejects, now_ms=now_ms)
        line += block.line_count
        at = end
    return found


def _from_array(
    parser: JsonLines, body: bytes, rejects: Rejects, now_ms: int, *, cloud: bool
) -> list[Columns]:
    parts = body.count(b",") + 5 * body.count(b"[")  # what costs memory once it is decoded
    if body.count(b"{") > MOST_IN_ARRAY or parts > 40 * MOST_IN_ARRAY:
        raise TooLarge(
            "too_many_events",
            f"A JSON array may hold {MOST_IN_ARRAY:,} events",
            "Send more as NDJSON (Content-Type: application/x-ndjson), or in several requests.",
        )
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadDelivery(
            "invalid_json", f"The body is not JSON: {error.msg}", "Send an array of objects."
        ) from error
    if isinstance(events, dict):
        events = [events]
    if not isinstance(events, list):
        raise BadDelivery("invalid_json", "The body is no JSON array", "Send an array of objects.")
    lines: list[int] = []
    objects: list[dict[str, Any]] = []
    for number, event in enumerate(events, 1):
        if isinstance(event, dict):
            objects.append(_unwrapped(event) if cloud else event)
            lines.append(number)
        else:
            rejects.add("not a JSON object", number, repr(event)[:200])
    block = Block(b"")
    built = parser.from_objects(
        objects, lines=np.array(lines, dtype=np.int64), block=block, rejects=rejects, now_ms=now_ms
    )
    return [built]


def _unwrapped(event: dict[str, Any]) -> dict[str, Any]:
    """Return what a CloudEvent (1.0, JSON) is about: its data, and of its envelope what the data leaves open.

    `source` and `id` together are unique, so that the same event in two batches is known.
    """
    data = event.get("data")
    found = dict(data) if isinstance(data, dict) else {}
    if "time" in event and not _TIMES & found.keys():
        found["time"] = event["time"]
    if "id" in event and not {"request_id", "event_id"} & found.keys():
        found["event_id"] = f"{event.get('source', '')}#{event['id']}"
    return found


_TIMES = frozenset({"ts", "time", "timestamp"})


def _nothing(rejects: Rejects) -> BadDelivery:
    if not rejects.total:
        return BadDelivery(
            "empty", "The body holds no events", "Send one JSON object for each line."
        )
    if set(rejects.counts) <= {"not valid JSON", "longer than 1 MiB"}:
        return BadDelivery(
            "invalid_json", "No line of the body is JSON", "Send one JSON object for each line."
        )
    return NothingAcceptable(
        "nothing_acceptable",
        "None of the lines is an event; nothing was stored",
        "An event needs a time (ts) and a status or an outcome.",
        accepted=0,
        rejected=rejects.total,
        errors=[{"line": s.line, "reason": s.reason} for s in rejects.samples],
    )
