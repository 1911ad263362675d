"""From an export to the columns that every format ends in."""

from typing import Any

import numpy as np
import pyarrow as pa

from apps.telemetry.formats import detect
from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import Block, Columns, Rejects
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.otlp.reading import Export

_INTEGERS = frozenset({"latency_ns"})


def columns_of(
    export: Export, *, names: FieldNames, rejects: Rejects, now_ms: int
) -> tuple[list[Columns], int]:
    """Return the requests of an export by column, and how many of its texts are no access log."""
    found: list[Columns] = []
    if export.requests:
        found.append(_from_events(export.requests, export.lines, rejects, now_ms))
    read, unread = _from_texts(export, names, now_ms)
    return found + read, unread


def _from_events(
    events: list[dict[str, Any]], lines: list[int], rejects: Rejects, now_ms: int
) -> Columns:
    fields = dict.fromkeys(name for event in events for name in event)
    named: dict[str, list[pa.Array]] = {}
    for name in fields:
        values = [event.get(name) for event in events]
        if name in _INTEGERS:
            named[name] = [pa.array([_float(one) for one in values], pa.float64())]
        elif name == "time":
            # Nanoseconds are numbers; a log's own attribute may be a text.
            texts = [_text(one) if isinstance(one, str) else None for one in values]
            numbers = [None if isinstance(one, str) else _float(one) for one in values]
            named[name] = (
                [pa.array(numbers, pa.float64())]
                if not any(texts)
                else [
                    pa.array(
                        [t or _digits(n) for t, n in zip(texts, numbers, strict=True)],
                        pa.string(),
                    )
                ]
            )
        else:
            named[name] = [_strings(values)]
    at = np.array(lines, dtype=np.int64)
    return columns_from(named, lines=at, block=Block(b""), rejects=rejects, now_ms=now_ms)


def _strings(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        return pa.array([_text(value) for value in values], pa.string())


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _float(value: object) -> float | None:
    """Return a number, or a text that is one; Arrow refuses whole numbers that a float does not hold exactly."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def _digits(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def _from_texts(export: Export, names: FieldNames, now_ms: int) -> tuple[list[Columns], int]:
    """Read bodies that are lines of an access log; what no format knows is no request."""
    if not export.texts:
        return [], 0
    body = "\n".join(text for _, text, _ in export.texts).encode("utf-8", "replace") + b"\n"
    try:
        parser = detect.find(body, wanted="auto", names=names).parser
    except detect.UnknownFormat:
        return [], len(export.texts)
    apart = Rejects()
    found = parser.parse(Block(body), rejects=apart, now_ms=now_ms)
    places = np.array([place for place, _, _ in export.texts], dtype=np.int64)
    for columns in found:
        rows = columns.lines - 1
        service = [export.texts[row][2].get("service") for row in rows.tolist()]
        if any(service) and "service" not in columns.text:
            columns.text["service"] = pa.array([_text(one) for one in service], pa.string())
        columns.lines = places[rows]
    return found, len(export.texts) - sum(len(one) for one in found)
