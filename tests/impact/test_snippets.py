"""What each snippet to paste has a log say, read by our own parsers: the wanted fields are in it."""

import json
import re
from datetime import UTC, datetime

import pytest

from apps.analytics import gaps
from apps.impact.snippets import SNIPPETS, snippets_for
from apps.telemetry.formats.columns import MISSING, Block, Rejects
from apps.telemetry.formats.detect import find
from apps.telemetry.formats.fields import FieldNames

NOW_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)

#: What a proxy would put in place of its variables.
SAID = {
    "remote_addr": "198.51.100.7",
    "remote_user": "-",
    "time_local": "22/Nov/2026:10:04:05 +0000",
    "time_iso8601": "2026-11-22T10:04:05+00:00",
    "request": "POST /orders HTTP/1.1",
    "status": "502",
    "body_bytes_sent": "12",
    "http_referer": "-",
    "http_user_agent": "Mozilla/5.0 (X11; Linux)",
    "request_time": "0.250",
    "upstream_status": "502",
    "upstream_cache_status": "MISS",
    "cookie_sid": "s-42",
    "http_idempotency_key": "order-7",
    "request_id": "9f3c",
    "http_x_forwarded_for": "203.0.113.9, 10.0.0.1",
    "host": "shop.example.com",
    "upstream_http_x_tenant_id": "acme",
    "upstream_http_x_client_id": "acme-app",
    "traffic": "probe",
}
ENVOY = {
    "START_TIME": "2026-11-22T10:04:05.000Z",
    "DURATION": 250,
    "REQ(:METHOD)": "POST",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)": "/orders",
    "RESPONSE_CODE": 502,
    "RESPONSE_FLAGS": "-",
    "REQ(USER-AGENT)": "Mozilla/5.0 (X11; Linux)",
    "REQ(X-FORWARDED-FOR)": "203.0.113.9, 10.0.0.1",
    "REQ(X-SESSION-ID)": "s-42",
    "REQ(IDEMPOTENCY-KEY)": "order-7",
    "REQ(X-REQUEST-ID)": "9f3c",
}
APACHE = {
    "h": "198.51.100.7",
    "l": "-",
    "u": "-",
    "t": "[22/Nov/2026:10:04:05 +0000]",
    "s": "502",
    "b": "12",
    "r": "POST /orders HTTP/1.1",
    "Referer": "-",
    "User-Agent": "Mozilla/5.0 (X11; Linux)",
    "D": "250000",
    "sid": "s-42",
    "Idempotency-Key": "order-7",
    "L": "9f3c",
}
WANTED = {
    "session": "s-42",
    "key": "order-7",
    "request_id": "9f3c",
    "forwarded": "203.0.113.9, 10.0.0.1",
    "customer": "acme",
    "api_key": "acme-app",
    "host": "shop.example.com",
    "traffic": "probe",
    "reporter": "web-1",
}
ALL = list(dict.fromkeys(one for many in SNIPPETS.values() for one in many))


def line_of(text):
    """What the pasted setting or call would have written of one request; None where it writes no log."""
    if "log_format " in text and "access_log" in text:
        quoted = re.findall(r"'([^']*)'", text.split("log_format", 1)[1].split(";\naccess_log")[0])
        named = r"\$([a-z_0-9]+)"
        assert set(re.findall(named, "".join(quoted))) <= SAID.keys()
        return re.sub(named, lambda m: SAID[m[1]], "".join(quoted))
    if "LogFormat " in text:
        said = text.split('"', 1)[1].rsplit('" portal', 1)[0].replace('\\"', '"')
        named = r"%>?(?:\{([\w-]+)\})?([a-zA-Z])"
        return re.sub(named, lambda m: APACHE[m[1] or m[2]], said)
    if "json_format:" in text:
        fields = re.findall(r'^ {8}(\w+): "%(.*)%"$', text, re.MULTILINE)
        return json.dumps({name: ENVOY[what] for name, what in fields})
    span = {"start_time": "2026-11-22T10:04:05Z", "duration_ms": 250, "status": 502}
    if attributes := re.findall(r'et(?:_a|A)ttribute\("([^"]+)"', text):
        values = {"session.id": "s-42", "idempotency.key": "order-7"}
        return json.dumps(span | {name: values[name] for name in attributes})
    if "arrived" in text:
        names = re.findall(r'(?:event\["|^\.)(\w+)', text, re.MULTILINE)
        values = {"arrived_at": "2026-11-22T10:04:06+00:00", "hostname": "web-1"}
        return json.dumps(span | {name: values[name] for name in names})
    if "json.dumps" in text:
        names = re.findall(r'^    "(\w+)":', text, re.MULTILINE)
        values = {
            "time": "2026-11-22T10:04:05Z",
            "operation": "POST /orders",
            "status": 202,
            "outcome": "failed",
            "session_id": "s-42",
        }
        return json.dumps({name: values[name] for name in names})
    return None


def read(line):
    data = f"{line}\n".encode()
    names = FieldNames()
    found = find(data, wanted="auto", names=names)
    rejects = Rejects()
    [columns] = found.parser.parse(Block(data), rejects=rejects, now_ms=NOW_MS)
    assert not rejects.total
    assert len(columns) == 1
    return columns


@pytest.mark.parametrize("snippet", ALL, ids=lambda one: one.where)
def test_what_a_snippet_writes_is_read(snippet):
    line = line_of(snippet.text)
    assert (line is not None) == bool(snippet.fields)
    if line is None:
        return
    columns = read(line)
    for field in snippet.fields:
        if field == "arrived":
            assert columns.arrived[0] != MISSING
        elif field == "request_time":
            assert columns.latency_ms[0] == 250
        elif field == "outcome":
            assert columns.declared[0] == 1
        elif field in {"upstream", "cache"}:
            assert columns.text[field][0].as_py() in {"502", "MISS"}
        else:
            assert columns.text[field][0].as_py() == WANTED[field]


def test_what_only_time_closes_has_nothing_to_paste():
    assert snippets_for("provisional") == ()
    assert snippets_for("open") == ()
    assert all(snippets_for(code) for code in ("actor", "attempts", "lost_attempts", "sender"))


def test_the_named_cookie_and_header_are_those_of_the_short_advice():
    assert "cookie_sid" in gaps.SESSION_SNIPPET
    assert "Idempotency-Key" in gaps.KEY_SNIPPET
