"""Spans and log records out of a body: protobuf through its library, JSON as the specification maps it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.otlp.semantics import ERROR, Attributes, request

SERVER, CONSUMER = 2, 5
COUNTS = frozenset({SERVER, CONSUMER})
EARLIEST_NS = 10**17  # 1973: below it, a number is not in nanoseconds
LATEST_NS = 2**63 - 1
_KINDS = {f"SPAN_KIND_{name}": number for number, name in enumerate(
    ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"))}  # fmt: skip

Found = dict[str, Any]
Span = tuple[Any, str, bool, int, int, str, str, str]
"""Attributes, name, whether its status is an error, start and end in ns, trace, span and parent in hex."""


class NotOtlp(Exception):
    """The body is not what its content type says; the message says where it ends being that."""


@dataclass
class Export:
    """What a body holds: requests under the names of `formats.fields`, and how much there was.

    `lines` are the places of the requests among all spans or records, from 1. Bodies of log records that are
    lines of an access log are in `texts`, with their places.
    """

    requests: list[Found] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    texts: list[tuple[int, str, Found]] = field(default_factory=list)
    total: int = 0

    @property
    def apart(self) -> int:
        """How many were no requests: a client's view, what happened inside, other log records."""
        return self.total - len(self.requests) - len(self.texts)


def spans(body: bytes, *, json: bool, names: FieldNames) -> Export:
    """Return the requests of an ExportTraceServiceRequest. Raise NotOtlp when the body is none."""
    export, seen = Export(), set()
    inner: list[tuple[int, str, str]] = []
    picked = Attributes(names)
    groups = _json_groups(body, "Spans", "spans") if json else _proto_groups(body)
    read = _json_span if json else _proto_span
    pick = _pick_json if json else _pick_proto
    for resource, members in groups:
        about = pick(picked, resource)
        service = str(about.get("service") or "")
        for one in members:
            export.total += 1
            span = read(one)
            if span is None:
                continue
            attributes, name, error, start, end, trace, ident, parent = span
            event = request(about | pick(picked, attributes), name=name, error=error)
            if EARLIEST_NS <= start <= LATEST_NS:
                event["time"] = start
                event["latency_ns"] = max(0, end - start) if end else None
            else:
                event.pop("time", None)
            if ident:
                event["request_id"] = trace + ident
                seen.add((service, ident))
            if parent:
                inner.append((len(export.requests), service, parent))
            export.requests.append(event)
            export.lines.append(export.total)
    # A framework below a server writes a server's span as well: the request is the outer one.
    nested = {at for at, service, parent in inner if (service, parent) in seen}
    if nested:
        export.requests = [one for at, one in enumerate(export.requests) if at not in nested]
        export.lines = [one for at, one in enumerate(export.lines) if at not in nested]
    return export


def logs(body: bytes, *, json: bool, names: FieldNames) -> Export:
    """Return the requests of an ExportLogsServiceRequest. Raise NotOtlp when the body is none.

    A record is a request when its attributes, or its body, say how one ended (a status, an outcome), or when its
    body is a text that a format may know (`texts`).
    """
    export = Export()
    picked = Attributes(names)
    groups = _json_groups(body, "Logs", "logRecords") if json else _proto_logs(body)
    view = _JsonRecord if json else _ProtoRecord
    for resource, members in groups:
        about = (_pick_json if json else _pick_proto)(picked, resource)
        for one in members:
            export.total += 1
            record = view(one)
            event = _logged(record, picked, names, about)
            text = record.text
            if event is not None:
                export.requests.append(event)
                export.lines.append(export.total)
            elif text and len(text) < 1 << 16 and "\n" not in text.strip():
                export.texts.append((export.total, text.strip(), about))
    return export


def _logged(
    record: "_ProtoRecord | _JsonRecord",
    picked: Attributes,
    names: FieldNames,
    about: Found,
) -> Found | None:
    given = dict(record.said)
    if (text := record.text) and text.lstrip()[:1] == "{":
        try:
            parsed = orjson.loads(text)
        except orjson.JSONDecodeError:
            parsed = None
        if isinstance(parsed, dict):
            given = {
                name: value for name, value in parsed.items() if not isinstance(value, (dict, list))
            } | given
    plain: dict[str, tuple[int, Any]] = {}
    found: dict[str, tuple[int, Any]] = {}
    for name, value in given.items():
        for at, into in ((picked.find(name), found), (names.find(name), plain)):
            if (
                at
                and value not in (None, "", "-")
                and (at[0] not in into or at[1] < into[at[0]][0])
            ):
                into[at[0]] = at[1], value
    conventional = {name: value for name, (_, value) in found.items()}
    event = {name: value for name, (_, value) in plain.items()} | request(
        about | conventional, name="", error=False
    )
    if not {"status", "outcome", "ok"} & (plain.keys() | conventional.keys() & {"status", "grpc"}):
        return None
    if "status" in event and "grpc" not in conventional and event.get("outcome") == "ok":
        del event["outcome"]  # the status says more
    if "time" not in event and EARLIEST_NS <= record.time <= LATEST_NS:
        event["time"] = record.time
    return event


# ---- protobuf ------------------------------------------------------------------------------------


def _proto_groups(body: bytes) -> Iterator[tuple[Any, Iterable[Any]]]:
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NotOtlp("The body is no ExportTraceServiceRequest in protobuf") from error
    for one in message.resource_spans:
        for scope in one.scope_spans:
            yield one.resource.attributes, scope.spans


def _proto_logs(body: bytes) -> Iterator[tuple[Any, Iterable[Any]]]:
    try:
        message = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise NotOtlp("The body is no ExportLogsServiceRequest in protobuf") from error
    for one in message.resource_logs:
        for scope in one.scope_logs:
            yield one.resource.attributes, scope.log_records


def _proto_value(value: Any) -> Any:
    """Return a scalar, the first of a list, or None: nothing else says what we could use."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        values = value.array_value.values
        return _proto_value(values[0]) if values else None
    if kind in {None, "kvlist_value", "bytes_value"}:
        return None
    return getattr(value, kind)


def _proto_span(span: Any) -> Span | None:
    if span.kind not in COUNTS:
        return None
    return (
        span.attributes,
        span.name,
        span.status.code == ERROR,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
    )


def _pick_proto(picked: Attributes, attributes: Any) -> Found:
    """Return the attributes that we need, under our names; of several for one, the one that stands first."""
    found: Found = {}
    ranks: dict[str, int] = {}
    find = picked.find
    for one in attributes:
        at = find(one.key)
        if at is None or (at[0] in ranks and ranks[at[0]] <= at[1]):
            continue
        given = one.value
        # Nearly all are texts and numbers: what a value is need only be asked where it is neither.
        value = given.string_value or given.int_value or _proto_value(given)
        if value is not None and value not in ("", "-"):
            found[at[0]], ranks[at[0]] = value, at[1]
    return found


class _ProtoRecord:
    """A log record of a decoded message."""

    def __init__(self, record: Any) -> None:
        self._record = record
        self.time: int = record.time_unix_nano or record.observed_time_unix_nano
        self.text: str = record.body.string_value

    @property
    def said(self) -> Iterator[tuple[str, Any]]:
        for one in (*self._record.body.kvlist_value.values, *self._record.attributes):
            yield one.key, _proto_value(one.value)


# ---- JSON ----------------------------------------------------------------------------------------


def _json_groups(body: bytes, signal: str, members: str) -> Iterator[tuple[Any, Iterable[Any]]]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotOtlp(f"The body is not JSON: {error.msg}") from error
    if not isinstance(message, dict):
        raise NotOtlp("The body is no JSON object")
    for one in _dicts(message.get(f"resource{signal}")):
        resource = one.get("resource")
        attributes = resource.get("attributes") if isinstance(resource, dict) else None
        for scope in _dicts(one.get(f"scope{signal}")):
            yield attributes, _dicts(scope.get(members))


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _json_value(value: object) -> Any:
    if not isinstance(value, dict):
        return None
    for kind, given in value.items():
        if kind in {"stringValue", "boolValue", "doubleValue", "intValue"}:
            return given if isinstance(given, str | int | float) else None
        if kind == "arrayValue":
            values = given.get("values") if isinstance(given, dict) else None
            return _json_value(values[0]) if isinstance(values, list) and values else None
    return None


def _count(value: object) -> int:
    """Return a 64-bit number, which JSON carries as a string; 0 for anything else."""
    if isinstance(value, int):
        return max(0, value)
    return (
        int(value)
        if isinstance(value, str) and value.isdecimal() and len(value) < 21 and value.isascii()
        else 0
    )


def _json_span(span: dict[str, Any]) -> Span | None:
    """Return what a span says; whatever has the wrong type says nothing."""
    kind = span.get("kind")
    if (kind if isinstance(kind, int) else _KINDS.get(str(kind), 0)) not in COUNTS:
        return None
    status = span.get("status")
    code = status.get("code") if isinstance(status, dict) else 0
    return (
        span.get("attributes"),
        _json_text(span.get("name")),
        code in (ERROR, "STATUS_CODE_ERROR"),
        _count(span.get("startTimeUnixNano")),
        _count(span.get("endTimeUnixNano")),
        _json_text(span.get("traceId")).lower(),
        _json_text(span.get("spanId")).lower(),
        _json_text(span.get("parentSpanId")).lower(),
    )


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else ""


class _JsonRecord:
    """A log record of a decoded body."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record
        body = record.get("body")
        self._body = body if isinstance(body, dict) else {}
        self.time: int = _count(record.get("timeUnixNano")) or _count(
            record.get("observedTimeUnixNano")
        )
        text = self._body.get("stringValue")
        self.text: str = text if isinstance(text, str) else ""

    @property
    def said(self) -> Iterator[tuple[str, Any]]:
        listed = self._body.get("kvlistValue")
        inner = listed.get("values") if isinstance(listed, dict) else None
        for one in (*_dicts(inner), *_dicts(self._record.get("attributes"))):
            if isinstance(name := one.get("key"), str):
                yield name, _json_value(one.get("value"))


def _pick_json(picked: Attributes, attributes: Any) -> Found:
    """Return what `_pick_proto` does."""
    found: Found = {}
    ranks: dict[str, int] = {}
    for one in _dicts(attributes):
        name = one.get("key")
        at = picked.find(name) if isinstance(name, str) else None
        if at is None or ranks.get(at[0], 1 << 20) <= at[1]:
            continue
        value = _json_value(one.get("value"))
        if value is not None and value not in ("", "-"):
            found[at[0]], ranks[at[0]] = value, at[1]
    return found
