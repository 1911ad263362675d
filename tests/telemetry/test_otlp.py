"""OTLP over HTTP: what real exporters sent, what the specification wants to hear, and what is no export."""

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from apps.accounts.models import ApiKey, Scope
from apps.catalog.models import Operation
from apps.telemetry import queries
from apps.telemetry.models import Batch
from tests.telemetry.test_ingest import ALWAYS

pytestmark = pytest.mark.django_db(transaction=True)

DATA = Path(__file__).parent.parent / "data" / "otlp"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
START = 1_795_384_804_325_003_513
SEEN = "ts, outcome, status, latency_ms, actor_kind"
NAMED = "s.name || ' ' || o.name"


@pytest.fixture
def send(client):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    def post(body, *, to="traces", content_type=PROTOBUF, token=token, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        headers["Content-Type"] = content_type
        return client.generic("POST", f"/v1/{to}", body, headers=headers)

    return post


def rows(columns):
    """Return these columns of each stored event, in order of time."""
    files = [str(path) for path in queries.segments(*ALWAYS)]
    if not files:
        return []
    with duckdb.connect() as con:
        sql = f"SELECT {columns} FROM read_parquet($files) ORDER BY ts, request"  # noqa: S608
        return con.execute(sql, {"files": files}).fetchall()


def names() -> list[str]:
    """Service and operation of each event, in order of time."""
    of = {o.pk: f"{o.service.slug}: {o.name}" for o in Operation.objects.select_related("service")}
    return [of[number] for (number,) in rows("operation")]


def export(*spans, service="shop", attributes=()):
    """An export in JSON, of spans given as dicts; attributes are given as a plain dict."""
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {
                        "attributes": listed({"service.name": service, **dict(attributes)})
                    },
                    "scopeSpans": [{"spans": [as_span(n, one) for n, one in enumerate(spans)]}],
                }
            ]
        }
    ).encode()


def as_span(number, given):
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": f"{number + 1:016x}",
        "kind": 2,
        "startTimeUnixNano": str(START + number * 1_000_000),
        "endTimeUnixNano": str(START + number * 1_000_000 + 25_000_000),
        "name": "",
        **{k: v for k, v in given.items() if k != "attributes"},
        "attributes": listed(given.get("attributes", {})),
    }


def listed(attributes):
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [
        {
            "key": key,
            "value": {"arrayValue": {"values": [{"stringValue": v} for v in value]}}
            if isinstance(value, list)
            else {kinds[type(value)]: value},
        }
        for key, value in attributes.items()
    ]


def both(send, body, to="traces"):
    """Send it as JSON, and the same as protobuf under ids of its own; both must be answered with 200."""
    kind = ExportTraceServiceRequest if to == "traces" else ExportLogsServiceRequest
    # The mapping of protobuf to JSON has bytes in base64 where OTLP has hex: ids are set apart.
    message = json.loads(body)
    as_protobuf = Parse(json.dumps(_without_ids(message)), kind()).SerializeToString()
    answers = send(body, to=to, content_type=JSON), send(as_protobuf, to=to)
    assert [one.status_code for one in answers] == [200, 200]
    return answers


def _without_ids(value):
    if isinstance(value, dict):
        ids = {"traceId", "spanId", "parentSpanId"}
        return {k: _without_ids(v) for k, v in value.items() if k not in ids}
    return [_without_ids(v) for v in value] if isinstance(value, list) else value


# ---- real exporters ------------------------------------------------------------------------------


def test_what_the_python_sdk_sends_in_protobuf_and_gzip(send):
    body = (DATA / "python_proto_gzip_traces.bin.gz").read_bytes()

    answer = send(body, **{"Content-Encoding": "gzip"})

    assert answer.status_code == 200
    assert answer["Content-Type"] == PROTOBUF
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    message = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    spans = [s for r in message.resource_spans for sc in r.scope_spans for s in sc.spans]
    servers = [span for span in spans if span.kind == 2]
    assert 0 < len(servers) < len(spans), "the database's spans are no requests"
    assert len(rows("ts")) == len(servers)
    assert set(names()) == {"checkout: POST /cart/checkout"}
    status = {a.value.int_value for s in servers for a in s.attributes if "status_code" in a.key}
    assert {row[0] for row in rows("status")} == status
    assert {row[0] for row in rows("actor_kind")} == {1}


def test_what_the_python_sdk_sends_in_json(send):
    answer = send((DATA / "python_json_traces.json").read_bytes(), content_type=JSON)

    assert answer.json() == {}
    assert rows(SEEN) == [(1795384804645, 1, 503, 0, 1)]
    assert names() == ["checkout-json: GET /"]


@pytest.mark.parametrize("packing", ["json", "protobuf"])
def test_what_the_javascript_sdk_sends(send, packing):
    if packing == "json":
        send((DATA / "js_json_traces.json").read_bytes(), content_type=JSON)
    else:
        body = (DATA / "js_proto_gzip_traces.bin.gz").read_bytes()
        send(body, **{"Content-Encoding": "gzip"})

    assert sorted(rows("outcome, status, actor_kind")) == [(0, 200, 2), (0, 200, 2), (1, 502, 2)]
    service = "web-json" if packing == "json" else "web-proto"
    assert names() == [f"{service}: GET /product/{{id}}"] * 3, "ids in names are not operations"


def test_what_envoy_sends(send):
    body = (DATA / "envoy_proto_traces.bin").read_bytes()

    assert send(body).status_code == 200

    message = ExportTraceServiceRequest.FromString(body)
    spans = [s for r in message.resource_spans for sc in r.scope_spans for s in sc.spans]
    said = [{a.key: a.value.string_value for a in s.attributes} for s in spans]
    wanted = [
        2 if "DC" in one["response_flags"] else int(int(one["http.status_code"]) >= 500)
        for one in said
    ]
    assert {0, 1} <= set(wanted)
    assert [row[0] for row in rows("outcome")] == wanted
    assert all(name.startswith("edge-envoy: GET /") for name in names())


@pytest.mark.parametrize("signal", ["trace", "logs", "events", "metrics"])
def test_the_examples_of_the_specification_are_taken(send, signal):
    body = (DATA / f"proto_examples_{signal}.json").read_bytes()

    answer = send(
        body, to="traces" if signal in {"trace", "metrics"} else "logs", content_type=JSON
    )

    assert answer.status_code == 200
    assert answer.json() == {}
    assert len(rows("ts")) == (signal == "trace")


# ---- what counts, and as what --------------------------------------------------------------------

HTTP = {"http.request.method": "GET", "http.route": "/orders/{id}", "url.path": "/orders/7"}


@pytest.mark.parametrize(
    ("attributes", "more", "outcome", "status"),
    [
        ({**HTTP, "http.response.status_code": 200}, {}, 0, 200),
        ({**HTTP, "http.status_code": "503"}, {}, 1, 503),
        ({**HTTP, "http.status_code": 404}, {"status": {"code": 2}}, 0, 404),
        ({**HTTP, "http.response.status_code": 200, "error.type": "Declined"}, {}, 1, 200),
        ({**HTTP, "http.response.status_code": 200}, {"status": {"code": 2}}, 1, 200),
        ({**HTTP, "http.response.status_code": 499}, {}, 2, 499),
        ({**HTTP, "http.status_code": "0", "response_flags": "DC", "error": "true"}, {}, 2, 0),
        ({**HTTP, "http.status_code": "0", "response_flags": "UF", "error": "true"}, {}, 1, 0),
        ({**HTTP, "http.response.status_code": 200, "rpc.grpc.status_code": 14}, {}, 1, 200),
        ({"rpc.service": "a.Shop", "rpc.method": "Buy", "rpc.grpc.status_code": 0}, {}, 0, None),
        ({"rpc.service": "a.Shop", "rpc.method": "Buy", "rpc.grpc.status_code": 1}, {}, 2, None),
        ({"rpc.service": "a.Shop", "rpc.method": "Buy", "rpc.grpc.status_code": 5}, {}, 0, None),
        ({"rpc.method": "a.Shop/Buy", "rpc.response.status_code": "UNAVAILABLE"}, {}, 1, None),
        ({"messaging.destination.name": "orders"}, {"kind": 5}, 0, None),
        ({"messaging.destination.name": "orders", "error.type": "X"}, {"kind": 5}, 1, None),
    ],
)  # fmt: skip
def test_how_a_request_ended_is_told_by_meaning(send, attributes, more, outcome, status):
    both(send, export({"name": "x", "attributes": attributes, **more}))

    assert rows("outcome, status") == [(outcome, status)] * 2


def test_operations_are_routes_methods_and_queues(send):
    send(
        export(
            {"attributes": {**HTTP, "http.response.status_code": 200}},
            {"attributes": {"rpc.service": "a.Shop", "rpc.method": "Buy", "rpc.grpc.status_code": 0}},
            {"attributes": {"rpc.method": "a.Shop/Sell", "rpc.response.status_code": "OK"}},
            {"kind": 5, "attributes": {"messaging.destination.name": "orders"}},
            {"attributes": {"http.method": "GET", "http.url": "http://x:80/cart/77?a=1", "http.status_code": 200}},
            {"name": "nightly", "attributes": {}},
        ),
        content_type=JSON,
    )  # fmt: skip

    assert names() == [
        "shop: GET /orders/{id}",
        "shop: a.Shop/Buy",
        "shop: a.Shop/Sell",
        "shop: process orders",
        "shop: GET /cart/{id}",
        "shop: nightly",
    ]


@pytest.mark.parametrize("kind", [0, 1, 3, 4])
def test_what_clients_saw_and_what_happened_inside_is_set_apart(send, kind):
    for answer in both(send, export({"kind": kind, "attributes": HTTP})):
        assert answer.content in {b"{}", b""}
    assert len(rows("ts")) == 0


def test_a_server_below_a_server_of_the_same_service_is_the_same_request(send):
    ok = {**HTTP, "http.response.status_code": 200}
    send(
        export(
            {"attributes": ok}, {"attributes": ok, "parentSpanId": f"{1:016x}"}, {"attributes": ok}
        ),
        content_type=JSON,
    )
    assert len(rows("ts")) == 2


def test_who_asked_is_told_by_the_conventions_and_by_the_names_of_other_formats(send):
    ok = {**HTTP, "http.response.status_code": 200}
    send(
        export(
            {"attributes": {**ok, "user.id": "u"}},
            {"attributes": {**ok, "session.id": "s"}},
            {"attributes": {**ok, "client.address": "203.0.113.7"}},
            {"attributes": {**ok, "http.request.header.x-forwarded-for": ["203.0.113.9"]}},
            {"attributes": {**ok, "enduser.id": "u", "http.request.header.idempotency-key": ["k"]}},
            {"attributes": {**ok, "user_agent.synthetic.type": "bot"}},
            {"attributes": {**ok, "user_agent.original": "kube-probe/1.30"}},
        ),
        content_type=JSON,
    )

    found = rows("actor_kind, traffic, key IS NOT NULL, actor")
    assert [row[0] for row in found[:5]] == [1, 2, 3, 3, 1]
    assert found[0][3] == found[4][3], "a user is the same by either name"
    assert [row[1] != 0 for row in found] == [False] * 5 + [True] * 2
    assert [row[2] for row in found] == [False] * 4 + [True, False, False]


def test_the_same_spans_again_are_known_by_their_ids(send):
    body = export({"attributes": {**HTTP, "http.response.status_code": 200}})
    send(body, content_type=JSON)
    send(body, content_type=JSON)
    assert Batch.objects.count() == 1
    send(body + b" ", content_type=JSON)  # another body, as after a split of batches
    assert len({row[0] for row in rows("request")}) == 1


# ---- log records ---------------------------------------------------------------------------------


def record(body=None, **attributes):
    return {
        "timeUnixNano": str(START),
        **({"body": {"stringValue": body}} if body is not None else {}),
        "attributes": listed(attributes),
    }


def logged(*records):
    return json.dumps(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": listed({"service.name": "edge"})},
                    "scopeLogs": [{"logRecords": list(records)}],
                }
            ]
        }
    ).encode()


def test_log_records_are_requests_where_they_say_how_one_ended(send):
    line = '203.0.113.7 - - [22/Nov/2026:22:00:04 +0000] "GET /cart/9 HTTP/1.1" 502 12 "-" "Mozilla/5.0"'
    body = logged(
        record(
            **{"http.request.method": "GET", "url.path": "/a", "http.response.status_code": 500}
        ),
        record(json.dumps({"method": "GET", "path": "/b", "status": 200, "duration_ms": 7})),
        record(line),
        record("the cache is warm"),
        record("", path="/c", method="GET", response_code="200", response_flags="-", user_id="u"),
    )

    both(send, body, to="logs")

    assert sorted(rows("outcome, status")) == sorted([(1, 500), (0, 200), (1, 502), (0, 200)] * 2)
    assert {"edge: GET /a", "edge: GET /b", "edge: GET /c", "edge: GET /cart/{id}"} == set(names())


# ---- refusals ------------------------------------------------------------------------------------


def test_what_cannot_be_stored_is_rejected_with_the_reason_and_the_rest_is_kept(send):
    ok = {**HTTP, "http.response.status_code": 200}
    body = export(
        {"attributes": ok},
        {"attributes": ok, "startTimeUnixNano": "0"},
        {"attributes": ok, "startTimeUnixNano": "9999999999999999999"},
        {"attributes": {**ok, "http.response.status_code": 70000}},
    )

    answer = send(body, content_type=JSON)

    assert answer.status_code == 200
    said = answer.json()["partialSuccess"]
    assert said["rejectedSpans"] == "3"
    assert "no time that can be read" in said["errorMessage"]
    assert len(rows("ts")) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"),
    [
        (b"\xff\xff\xff", PROTOBUF, {}, 400),
        (b"{", JSON, {}, 400),
        (b"[]", JSON, {}, 400),
        (b"", JSON, {}, 400),
        (b"[" * 100_000, JSON, {}, 400),
        (b"x", "text/plain", {}, 415),
        (b"x", JSON, {"Content-Encoding": "br"}, 400),
        (b"x", JSON, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], JSON, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * (17 << 20)), JSON, {"Content-Encoding": "gzip"}, 413),
        (b"{}", JSON, {"token": "wrong"}, 401),
        (b"{}", JSON, {"token": ""}, 401),
    ],
    ids=range(12),
)
@pytest.mark.parametrize("to", ["traces", "logs"])
def test_what_is_no_export_is_refused_in_words(send, to, body, content_type, headers, status):
    answer = send(body, to=to, content_type=content_type, **headers)

    assert answer.status_code == status
    said = answer.content if content_type == PROTOBUF else answer.json()["message"].encode()
    assert len(said) > 10
    assert Batch.objects.count() == 0


@pytest.mark.parametrize("to", ["traces", "logs"])
def test_an_empty_export_is_fine(send, to):
    assert send(b"", to=to).status_code == 200
    assert send(b"{}", to=to, content_type=JSON).json() == {}


def test_a_key_for_something_else_sends_nothing(send):
    _, other = ApiKey.objects.issue(name="x", scopes=[Scope.READ])
    assert send(b"{}", content_type=JSON, token=other).status_code == 401


@pytest.mark.parametrize("wrong", [None, 7, "x", [7], {"a": 1}, 1e400])
def test_wrong_types_anywhere_say_nothing(send, wrong):
    """Every place of an export holds something else: taken or refused, never an error of ours."""
    whole = json.loads(export({"name": "GET /a", "attributes": HTTP}))
    for path in _paths(whole):
        broken = json.loads(json.dumps(whole))
        place = broken
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        answer = send(json.dumps(broken).replace("Infinity", "1e999"), content_type=JSON)
        assert answer.status_code in {200, 400}, path


def _paths(value, at=()):
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in steps:
        yield (*at, step)
        if isinstance(inner, dict | list):
            yield from _paths(inner, (*at, step))
