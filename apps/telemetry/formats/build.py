"""From named columns, whatever wrote them, to `Columns`: times, latencies, statuses, declared outcomes."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apps.analytics.events import Outcome
from apps.telemetry.formats import times
from apps.telemetry.formats.columns import MISSING, Block, Columns, Floats, Ints, Rejects, Smalls
from apps.telemetry.formats.fields import SESSION_COOKIES

FUTURE_MS = 5 * 60 * 1000
"""An event this far ahead of our clock is a sender's wrong clock or a wrong date, not an event."""

NUMERIC = frozenset(
    {
        "time",
        "latency_ms",
        "latency_s",
        "latency_us",
        "latency_ns",
        "request_time",
        "status",
        "arrived",
    }
)
FLAGS = frozenset({"ok", "error", "outcome", "bot"})

OUTCOMES = {
    **dict.fromkeys(("ok", "success", "succeeded", "successful", "passed", "true"), Outcome.OK),
    **dict.fromkeys(("failed", "failure", "fail", "error", "timeout", "false"), Outcome.FAILED),
    **dict.fromkeys(
        ("client_abort", "abort", "aborted", "cancelled", "canceled", "client_closed"),
        Outcome.CLIENT_ABORT,
    ),
}
TRUE = frozenset({"true", "1", "yes", "y", "t"})
FALSE = frozenset({"false", "0", "no", "n", "f", "", "-", "none", "null"})

Meaning = Callable[[str], int]
Named = Mapping[str, Sequence[pa.Array]]


def text_of(column: pa.Array) -> pa.Array:
    """Return a column as strings."""
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    return column.cast(pa.string())


def blanks_to_null(column: pa.Array) -> pa.Array:
    blank = pc.or_(pc.equal(column, ""), pc.equal(column, "-"))
    return pc.if_else(blank, pa.scalar(None, pa.string()), column)


def first_given(columns: Sequence[pa.Array]) -> pa.Array:
    """Return the first of several columns; rows where it says nothing take the next one's word."""
    if len(columns) == 1:
        return columns[0]
    return pc.coalesce(*(blanks_to_null(text_of(column)) for column in columns))


def numbers(column: pa.Array) -> Floats:
    """Return a column as floats, NaN where there is no finite number."""
    if pa.types.is_string(column.type):
        try:
            column = blanks_to_null(column).cast(pa.float64())
        except pa.ArrowInvalid:
            distinct = column.dictionary_encode()
            table = np.array([*map(_number, distinct.dictionary.to_pylist()), np.nan])
            codes = distinct.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
            return _finite(table[codes])
    elif not pa.types.is_floating(column.type):
        column = (
            text_of(column).cast(pa.float64())
            if pa.types.is_boolean(column.type)
            else column.cast(pa.float64())
        )
    result: Floats = column.fill_null(np.nan).to_numpy(zero_copy_only=False)
    return _finite(result)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def columns_from(
    named: Named, *, lines: Ints, block: Block, rejects: Rejects, now_ms: int
) -> Columns:
    """Build `Columns` from string or number columns under our names; rows that cannot be events are rejected."""
    n = len(lines)
    ts = times.to_ms(first_given(named["time"])) if "time" in named else np.full(n, MISSING)
    latency, ended = _latency(named, n)
    whole = ts % 1000 == 0
    took = np.nan_to_num(np.clip(ended, 0, 2**31))
    # A log that counts in seconds truncates: floor() keeps the start inside what the line allows.
    shift = np.where(whole, took // 1000 * 1000, took).astype(np.int64)
    ts = np.where(ts == MISSING, MISSING, ts - shift)
    status, wild = _status(named, n)
    declared = _declared(named, n)
    arrived = (
        times.to_ms(first_given(named["arrived"])) if "arrived" in named else np.full(n, MISSING)
    )
    parsed = Columns(lines, ts, latency, status, declared, arrived, _texts(named, n))
    no_meaning = (status == MISSING) & (declared < 0)
    return reject(
        parsed,
        [
            ("no time that can be read", ts == MISSING),
            ("before 1970", ts < 0),
            ("after the year 9999", ts > times.LATEST),
            ("in the future", ts > now_ms + FUTURE_MS),
            ("a status that HTTP does not have", wild),
            ("neither a status nor an outcome", no_meaning),
        ],
        block=block,
        rejects=rejects,
    )


def reject(
    parsed: Columns,
    reasons: Sequence[tuple[str, NDArray[np.bool_]]],
    *,
    block: Block,
    rejects: Rejects,
) -> Columns:
    """Take out the rows for which a reason holds; each is counted once, under the first."""
    bad = np.zeros(len(parsed), dtype=bool)
    for reason, holds in reasons:
        fresh = holds & ~bad
        if fresh.any():
            at = np.flatnonzero(fresh)
            rejects.add_many(
                reason, parsed.lines[at[: rejects.keep]].tolist(), block.line, count=len(at)
            )
            bad |= fresh
    return parsed.keep(~bad) if bad.any() else parsed


def _latency(named: Named, n: int) -> tuple[Floats, Floats]:
    """Return latency in ms, and by how much the stated time is later than the start."""
    result = np.full(n, np.nan)
    ended = np.full(n, np.nan)
    for field, scale in (
        ("latency_ms", 1.0),
        ("request_time", 1000.0),
        ("latency_s", 1000.0),
        ("latency_us", 0.001),
        ("latency_ns", 0.000001),
    ):
        if field in named:
            values = numbers(first_given(named[field])) * scale
            if field == "request_time":
                ended = np.where(np.isnan(result), values, np.nan)
            result = np.where(np.isnan(result), values, result)
    with np.errstate(invalid="ignore"):
        result = np.where((result >= 0) & (result < 2**31 - 1), np.round(result), np.nan)
    return result, ended


def _status(named: Named, n: int) -> tuple[Ints, NDArray[np.bool_]]:
    if "status" not in named:
        return np.full(n, MISSING), np.zeros(n, dtype=bool)
    values = numbers(first_given(named["status"]))
    missing = np.isnan(values)
    wild = ~missing & ((values < 0) | (values > 999) | (values != np.floor(values)))
    status = np.where(missing | wild, MISSING, np.nan_to_num(np.where(wild, 0, values)))
    return np.where(missing | wild, MISSING, status.astype(np.int64)), wild


def _declared(named: Named, n: int) -> Smalls:
    result = np.full(n, -1, dtype=np.int8)
    if "error" in named:
        failed = _by_word(named["error"], lambda w: -1 if w in FALSE else Outcome.FAILED)
        result = np.where(failed >= 0, failed, result)
    if "ok" in named:
        meant = _by_word(named["ok"], _ok)
        result = np.where(meant >= 0, meant, result)
    if "outcome" in named:
        meant = _by_word(named["outcome"], lambda w: OUTCOMES.get(w, -1))
        result = np.where(meant >= 0, meant, result)
    return result.astype(np.int8)


def _ok(word: str) -> int:
    if word in TRUE:
        return Outcome.OK
    return Outcome.FAILED if word in {"false", "0", "no", "n", "f"} else -1


def _by_word(columns: Sequence[pa.Array], meaning: Meaning) -> Smalls:
    distinct = text_of(first_given(columns)).dictionary_encode()
    words = [meaning((word or "").strip().lower()) for word in distinct.dictionary.to_pylist()]
    table = np.array([*words, -1], dtype=np.int8)
    result: Smalls = table[distinct.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]
    return result


def _texts(named: Named, n: int) -> dict[str, pa.Array]:
    texts = {
        field: text_of(first_given(columns))
        for field, columns in named.items()
        if field not in NUMERIC and field not in FLAGS and field != "cookie"
    }
    if "cookie" in named:
        cookie = _sessions(text_of(first_given(named["cookie"])))
        texts["session"] = (
            pc.coalesce(blanks_to_null(texts["session"]), cookie) if "session" in texts else cookie
        )
    if "bot" in named:
        said = _by_word(named["bot"], lambda w: 1 if w in TRUE else -1)
        marked = pa.array(["bot" if mark == 1 else None for mark in said.tolist()], pa.string())
        texts["traffic"] = pc.coalesce(texts["traffic"], marked) if "traffic" in texts else marked
    return {name: column for name, column in texts.items() if column.null_count < n}


def _sessions(cookies: pa.Array) -> pa.Array:
    distinct = cookies.dictionary_encode()
    found = pa.array(
        [session_of(cookie or "") for cookie in distinct.dictionary.to_pylist()], pa.string()
    )
    return found.take(distinct.indices)


def session_of(cookie: str) -> str | None:
    """Return the session that a Cookie header names, by the usual names."""
    pairs: dict[str, str] = {}
    for part in cookie.split(";"):
        name, _, value = part.strip().partition("=")
        pairs.setdefault(name.lower(), value)
    return next((pairs[name] for name in SESSION_COOKIES if pairs.get(name)), None)
