"""Parsers: two readers with one meaning, any split, any bytes."""

import itertools
import json
from datetime import UTC, datetime

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.telemetry.formats import detect, jsonlines, times
from apps.telemetry.formats.columns import MISSING, Block, Rejects, excerpt
from apps.telemetry.formats.delimited import Delimited
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.formats.jsonlines import JsonLines
from apps.telemetry.formats.weblog import WebLog
from apps.telemetry.meaning.agents import Agent, agent_of
from apps.telemetry.meaning.clients import forwarded_client, listed_client
from apps.telemetry.meaning.hashing import KeyedHash, siphash
from apps.telemetry.meaning.paths import request_of
from apps.telemetry.meaning.status import upstream_status
from apps.telemetry.resolve import Identities, Resolver
from apps.telemetry.rules import Rules
from tests.telemetry.test_ingest import REAL

NOW = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)
NAMES = FieldNames()


class Numbers:
    """A registry that numbers things as they come."""

    def __init__(self):
        self.seen = {}

    def service(self, slug):
        return self.seen.setdefault(slug, len(self.seen) + 1)

    def operations(self, service, wanted):
        return [self.seen.setdefault((service, one.name), len(self.seen) + 1) for one in wanted]

    def routed(self, service, wanted):
        return False

    def traits(self, wanted):
        return [self.seen.setdefault(one, len(self.seen) + 1) for one in wanted]


def events(parser, pieces, registry=None):
    """Return the events of pieces of an input as a sorted list, and what was rejected."""
    registry = registry or Numbers()
    resolver = Resolver(
        key=b"k", registry=registry, identities=Identities(), rules=Rules(), service="web"
    )
    rejects = Rejects()
    line = 1
    found = []
    for piece in pieces:
        block = Block(piece, line)
        for columns in parser.parse(block, rejects=rejects, now_ms=NOW):
            table, tally = resolver.resolve(columns)
            assert tally.rows == len(columns) == table.num_rows
            found += [
                (n, *row.values())
                for n, row in zip(columns.lines.tolist(), table.to_pylist(), strict=True)
            ]
        line += block.line_count
    return sorted(found, key=lambda row: row[0]), rejects


class Patient(JsonLines):
    """Reads line by line only."""

    def _quick(self, *_):
        return None


def parser_for(data):
    return detect.find(data[: 1 << 20], wanted="auto", names=FieldNames()).parser


FILES = [
    *("nginx_timed.log", "nginx_combined.log", "nginx_json.ndjson"),
    *("envoy_access_json.ndjson", "envoy_access_default.log"),
]


@pytest.mark.parametrize("name", FILES)
def test_both_readers_of_a_format_agree(name, monkeypatch):
    data = (REAL / name).read_bytes()
    registry = Numbers()

    quick, _ = events(parser_for(data), [data], registry)
    monkeypatch.setattr(JsonLines, "_quick", lambda *_: None)
    monkeypatch.setattr("apps.telemetry.formats.weblog.FEW", 10**9)
    patient, _ = events(parser_for(data), [data], registry)

    assert len(quick) == 862
    assert quick == patient


@pytest.mark.parametrize("name", FILES)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(0, 862), max_size=6))
def test_any_split_gives_the_same_events(name, cuts):
    data = (REAL / name).read_bytes()
    lines = data.splitlines(keepends=True)
    lines.insert(400, b"nonsense\n")
    lines.insert(500, b"\n")
    registry = Numbers()
    whole, _ = events(parser_for(data), [b"".join(lines)], registry)
    places = sorted({0, *cuts, len(lines)})
    pieces = [b"".join(lines[a:b]) for a, b in itertools.pairwise(places)]

    split, rejects = events(parser_for(data), pieces, registry)

    assert split == whole
    assert rejects.counts.total() == 1
    assert rejects.samples[0].line == 401


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["ts", "time", "status", "latency_ms", "request_time", "user", "session", "path", "method"]
) | (
    st.sampled_from(
        [
            "service",
            "operation",
            "ok",
            "error",
            "outcome",
            "cookie",
            "x_forwarded_for",
            "bot",
            "request",
        ]
    )
    | st.text(max_size=4)
)
EVENTS = st.dictionaries(KEYS, JSON | st.just("2026-11-22T22:00:00Z") | st.just(200), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS.map(lambda e: json.dumps(e).encode()) | st.binary(max_size=60), max_size=8))
def test_no_line_breaks_the_json_reader(lines):
    data = b"\n".join(line.replace(b"\n", b"") for line in lines) + b"\n"

    found, rejects = events(JsonLines(FieldNames()), [data])

    assert len(found) + rejects.total == sum(1 for line in data.split(b"\n") if line.strip())


@pytest.fixture
def eager(monkeypatch):
    """Let the quick reader have blocks of any size."""
    monkeypatch.setattr(jsonlines, "MANY", 1500)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(EVENTS, min_size=1, max_size=6), st.integers(0, 5))
def test_the_quick_json_reader_says_what_the_patient_one_says(eager, odd, place):
    whole = {"ts": "2026-11-22T22:00:00Z", "status": 200, "user": "u", "latency_ms": 1}
    lines = [orjson.dumps(whole)] * 300
    for number, event in enumerate(odd):
        text = json.dumps(event)
        if "\\ud" not in text and "Infinity" not in text and "NaN" not in text:
            lines[place * 40 + number] = text.encode()
    data = b"\n".join(lines) + b"\n"
    registry = Numbers()

    quick, some = events(JsonLines(FieldNames()), [data], registry)
    patient, same = events(Patient(FieldNames()), [data], registry)

    assert quick == patient
    assert some.counts == same.counts


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=80) | st.tuples(TEXT, TEXT, TEXT, TEXT), max_size=8), st.booleans()
)
def test_no_line_breaks_the_log_reader(lines, many):
    made = [
        line
        if isinstance(line, bytes)
        else '{} - {} [22/Nov/2026:22:14:37 +0000] "GET /{} HTTP/1.1" 200 2 "-" "{}"'.format(
            *line
        ).encode()
        for line in lines
    ]
    data = b"\n".join(line.replace(b"\n", b"") for line in made * (80 if many else 1)) + b"\n"

    found, rejects = events(WebLog(FieldNames()), [data])

    assert len(found) + rejects.total == sum(1 for line in data.split(b"\n") if line.strip())


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=4).map(",".join) | TEXT, max_size=6))
def test_no_line_breaks_the_csv_reader(lines):
    parser = Delimited(FieldNames(), ["ts", "status", "user"])

    events(parser, [("ts,status,user\n" + "\n".join(lines)).encode()])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T22:14:37Z", 1795385677000),
        ("2026-11-22 22:14:37.123456789+01:00", 1795382077123),
        ("22/Nov/2026:22:14:37 +0000", 1795385677000),
        ("22/Nov/2026:22:14:37 -0530", 1795405477000),
        ("31/Dec/2016:23:59:60 +0000", 1483228799000),
        ("1795385677", 1795385677000),
        ("1795385677.25", 1795385677250),
        ("1795385677123", 1795385677123),
        ("1795385677123456", 1795385677123),
        ("1795385677123456789", 1795385677123),
        ("yesterday", MISSING),
        ("", MISSING),
        ("99/Nov/2026:22:14:37 +0000", MISSING),
        ("1e400", MISSING),
        ("9" * 400, MISSING),
    ],
)
def test_times(text, expected):
    assert times.parsed_or_missing(text) == expected
    assert times.to_ms(pa.array([text])).tolist() == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200", 200),
        ("502 : 200", 502),
        ("502, 200", 200),
        ("200, -", -1),
        ("-", -1),
        ("", -1),
        ("500, 502 : 200", 502),
    ],
)
def test_what_the_upstream_said(text, expected):
    assert upstream_status(text) == expected


@pytest.mark.parametrize(
    ("line", "name", "ids"),
    [
        ("GET /product/1517085 HTTP/1.1", "GET /product/{id}", "1517085"),
        ("GET /a/1/b/2?x=3", "GET /a/{id}/b/{id}", "1/2"),
        (
            "DELETE /u/550e8400-e29b-41d4-a716-446655440000",
            "DELETE /u/{id}",
            "550e8400-e29b-41d4-a716-446655440000",
        ),
        ("GET /logstash-monitorama-2013/slides", "GET /logstash-monitorama-2013/slides", ""),
        ("GET /c/cus_9s6XKzkNRiz8i3", "GET /c/{id}", "cus_9s6XKzkNRiz8i3"),
        ("GET /img/a/b/kibana.png", "GET /img/*.png", ""),
        ("GET http://shop.example:80/x/12 HTTP/1.1", "GET /x/{id}", "12"),
        ("", "(malformed request)", ""),
        ("\x16\x03\x01", "(malformed request)", ""),
        ("PATCHp /products/42 HTTP/1.1", "(malformed request)", ""),
    ],
)
def test_operations_of_requests(line, name, ids):
    request = request_of(line)

    assert (request.name, request.ids) == (name, ids)


def test_many_ids_are_hashed_as_one_by_one():
    lines = [f"GET /a/{n}/b/{n % 7}?q={n} HTTP/1.1" for n in range(50)] + [
        f"GET /c/{n}" for n in range(9)
    ]
    data = b"".join(
        f'{{"ts":1795385677,"status":200,"request":{json.dumps(line)}}}\n'.encode()
        for line in lines
    )
    key = KeyedHash(b"k")

    found, _ = events(JsonLines(FieldNames()), [data])

    targets = [row[9] for row in found]
    expected = key.quick("target", pa.array([request_of(line).ids for line in lines]))
    assert targets == expected.tolist()


def test_clients():
    assert forwarded_client("unknown, 198.51.100.7:4711, 10.0.0.1") == "198.51.100.7"
    assert forwarded_client("nobody") is None
    assert listed_client("10.0.0.2, 10.0.0.1, 85.181.35.98") == "85.181.35.98"
    assert listed_client("10.0.0.2 127.0.0.1") == "10.0.0.2"
    assert listed_client("[2001:db8::1]:443") == "2001:db8::1"
    assert listed_client("db.internal") == "db.internal"


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130 Safari/537.36",
            Agent.ANYBODY,
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Agent.BOT),
        ("kube-probe/1.29", Agent.PROBE),
        ("python-requests/2.31", Agent.MACHINE),
        ("okhttp/4.9", Agent.MACHINE),
        ("-", Agent.MACHINE),
    ],
)
def test_agents(agent, expected):
    assert agent_of(agent) == expected


def test_siphash_is_siphash():
    """The vectors of the SipHash-2-4 paper's reference code: key 00…0f, inputs 00, 00 01, …"""
    key = np.frombuffer(bytes(range(16)), "<u8")
    raw = np.frombuffer(bytes(range(15)), np.uint8)

    hashes = siphash(raw, np.zeros(3, np.int64), np.array([0, 8, 15]), (key[0], key[1]))

    assert [hex(h) for h in hashes] == [
        "0x726fdb47dd0e0e31",
        "0x93f5f5799a932462",
        "0xa129ca6149be45e5",
    ]


def test_excerpts_are_one_safe_line():
    assert excerpt(b"a\x00b\x1b[31m\xff\n") == "a\\x00b\\x1b[31m\\xff"
    assert excerpt("x" * 500) == "x" * 120 + "…"
