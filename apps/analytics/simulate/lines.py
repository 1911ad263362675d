"""Events as lines: the form that `POST /api/v1/events` and `manage.py ingest` take."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from apps.analytics.events import ActorKind, Outcome, Traffic

_BROWSERS = tuple(
    f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {browser}/{version}.0"
    for system in (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
    )
    for browser in ("Chrome", "Firefox")
    for version in range(100, 140)
)
_CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@dataclass(frozen=True)
class Names:
    """What the integers of events are called. An id without a name is left out of its line."""

    customers: Mapping[int, str]
    services: Mapping[int, str]
    operations: Mapping[int, str]


def to_ndjson(table: pa.Table, names: Names) -> bytes:
    """Return one JSON object per event, each line ended.

    Fields: time (RFC 3339 with ms), latency_ms, customer, actor or session or client_ip, service, operation and the
    path where it holds an id, status, outcome (only where the status does not say it), idempotency_key, request_id,
    hostname, arrived, user_agent. Hashes become words from which equal hashes can be told again.
    """
    if not table.num_rows:
        return b""
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    kind, actor = columns["actor_kind"], columns["actor"]
    bot = pc.equal(columns["traffic"], int(Traffic.BOT))
    fields = [
        _quoted("time", _moments(columns["ts"])),
        _bare("latency_ms", columns["latency_ms"]),
        _named("customer", columns["customer"], names.customers),
        _hashed("actor", "u", _only(actor, pc.equal(kind, int(ActorKind.END_USER)))),
        _hashed("session", "s", _only(actor, pc.equal(kind, int(ActorKind.SESSION)))),
        _quoted("client_ip", _addresses(columns["addr"])),
        _named("service", columns["service"], names.services),
        _named("operation", columns["operation"], names.operations),
        _quoted("path", _paths(columns["operation"], columns["target"], names.operations)),
        _bare("status", columns["status"]),
        _quoted("outcome", _outcomes(columns["outcome"], columns["status"])),
        _hashed("idempotency_key", "k", columns["key"]),
        _hashed("request_id", "r", columns["request"]),
        _hashed("hostname", "web", columns["host"]),
        _quoted("arrived", _moments(columns["arrived"])),
        _text("user_agent", _agents(actor, bot)),
    ]
    # Each field brings the comma in front of it; the first one's is taken off by the brace.
    lines = pc.binary_join_element_wise(*fields, pa.scalar("}\n"), "")
    lines = pc.binary_join_element_wise(pa.scalar("{"), pc.utf8_slice_codeunits(lines, start=1), "")
    return _bytes(lines)


def _bytes(texts: pa.Array) -> bytes:
    texts = texts.cast(pa.large_string())
    offsets, data = texts.buffers()[1:]
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return data[int(bounds[0]) : int(bounds[-1])].to_pybytes()  # type: ignore[no-any-return]


def _bare(name: str, values: pa.Array) -> pa.Array:
    return _field(f',"{name}":', values.cast(pa.string()), "")


def _quoted(name: str, values: pa.Array) -> pa.Array:
    """Return the field of texts that need no escaping."""
    return _field(f',"{name}":"', values, '"')


def _text(name: str, values: pa.DictionaryArray) -> pa.Array:
    escaped = pa.array(
        [word and orjson.dumps(word).decode() for word in values.dictionary.to_pylist()],
        pa.string(),
    )
    return _field(f',"{name}":', escaped.take(values.indices), "")


def _named(name: str, ids: pa.Array, words: Mapping[int, str]) -> pa.Array:
    codes = ids.dictionary_encode()
    known = pa.array([words.get(one) for one in codes.dictionary.to_pylist()], pa.string())
    return _text(name, pa.DictionaryArray.from_arrays(codes.indices, known))


def _hashed(name: str, prefix: str, values: pa.Array) -> pa.Array:
    unsigned = values.cast(pa.int64()).view(pa.uint64())
    return _field(f',"{name}":"{prefix}-', unsigned.cast(pa.string()), '"')


def _field(before: str, values: pa.Array, after: str) -> pa.Array:
    """Return before + value + after, and nothing where the value is null."""
    whole = pc.binary_join_element_wise(pa.scalar(before), values, pa.scalar(after), "")
    return pc.fill_null(whole, "")


def _moments(ms: pa.Array) -> pa.Array:
    return pc.strftime(ms.cast(pa.timestamp("ms")), format="%Y-%m-%dT%H:%M:%SZ")


def _only(values: pa.Array, where: pa.Array) -> pa.Array:
    return pc.if_else(where, values, pa.scalar(None, values.type))


def _addresses(hashes: pa.Array) -> pa.Array:
    """Return an address of the range kept for documentation (2001:db8::/32) for each hash."""
    codes = hashes.dictionary_encode()
    unsigned = (one & 0xFFFF_FFFF_FFFF_FFFF for one in codes.dictionary.to_pylist())
    words = [
        f"2001:db8:{one >> 48:x}:{one >> 32 & 0xFFFF:x}:{one >> 16 & 0xFFFF:x}:{one & 0xFFFF:x}::1"
        for one in unsigned
    ]
    return pa.array(words, pa.string()).take(codes.indices)


def _paths(operations: pa.Array, targets: pa.Array, words: Mapping[int, str]) -> pa.Array:
    """Return the concrete path of an operation called "METHOD /path/{id}"; null where there is no id in it."""
    codes = operations.dictionary_encode()
    patterns = [
        words.get(one, "").partition(" ")[2].partition("{id}")
        for one in codes.dictionary.to_pylist()
    ]
    before, after = (
        pa.array([part[side] if part[1] else None for part in patterns], pa.string()).take(
            codes.indices
        )
        for side in (0, 2)
    )
    # 13 digits: few enough to look like a number that people use, enough to tell things apart.
    thing = pc.bit_wise_and(targets, pa.scalar(2**43 - 1)).cast(pa.string())
    return pc.binary_join_element_wise(before, thing, after, "")


def _outcomes(outcomes: pa.Array, statuses: pa.Array) -> pa.Array:
    """Return "ok" or "failed" where the status alone would say something else."""
    status = pc.fill_null(statuses, 0)
    fails = pc.or_(
        pc.greater_equal(status, 500), pc.is_in(status, pa.array([408, 425, 429], status.type))
    )
    failed, ok = pc.equal(outcomes, int(Outcome.FAILED)), pc.equal(outcomes, int(Outcome.OK))
    said = pc.if_else(pc.and_(failed, pc.invert(fails)), "failed", pa.scalar(None, pa.string()))
    return pc.if_else(pc.and_(ok, pc.or_(fails, pc.equal(status, 0))), "ok", said)


def _agents(actors: pa.Array, bot: pa.Array) -> pa.DictionaryArray:
    who = np.asarray(pc.fill_null(actors, 0)).view(np.uint64) % np.uint64(len(_BROWSERS))
    index = np.where(np.asarray(bot), len(_BROWSERS), who.astype(np.int64)).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(index), pa.array([*_BROWSERS, _CRAWLER]))
