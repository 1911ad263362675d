"""`POST /api/v1/events`."""

import gzip
import io
import json

import pyarrow as pa
import pytest
from django.db import OperationalError, connection

from apps.accounts.models import ApiKey, Scope
from apps.catalog.models import Service
from apps.customers.models import Customer, IdentificationRule
from apps.telemetry.models import Batch, Segment
from tests.telemetry.test_ingest import rows

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/events"
NDJSON = "application/x-ndjson"
EVENT = {
    "ts": "2026-11-22T22:00:00.123Z",
    "service": "shop",
    "operation": "Pay",
    "status": 200,
    "user": "u1",
}


def lines(*events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@pytest.fixture
def send(client):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    def post(body, *, content_type=NDJSON, token=token, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return client.post(URL, body, content_type=content_type, headers=headers)

    return post


def test_events_are_stored_before_they_are_acknowledged(send):
    acme = Customer.objects.create(name="Acme", slug="acme", kind="business", external_id="c-1")

    answer = send(lines(EVENT | {"customer": "c-1"}, EVENT | {"status": 503, "latency_ms": 12.4}))

    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2,
        "rejected": 0,
        "errors": [],
        "batch": Batch.objects.get().batch_id,
    }
    assert rows("ts, customer, outcome, status, latency_ms, actor_kind") == [
        (1795384800123, acme.pk, 0, 200, None, 1),
        (1795384800123, 0, 1, 503, 12, 1),
    ]
    assert Service.objects.get(slug="shop").proposed


def test_the_same_body_again_adds_nothing(send):
    first, second = send(lines(EVENT)), send(lines(EVENT))

    assert second.json() == first.json() | {"duplicate": True}
    assert rows("count(*)") == [(1,)]


def test_the_same_idempotency_key_gets_the_first_answer(send):
    first = send(lines(EVENT), **{"Idempotency-Key": "a"})
    second = send(lines(EVENT, EVENT), **{"Idempotency-Key": "a"})
    third = send(lines(EVENT), **{"Idempotency-Key": "b"})

    assert second.json() == first.json() | {"duplicate": True}
    assert "duplicate" not in third.json()
    assert rows("count(*)") == [(2,)]


def test_lines_that_are_no_events_are_named(send):
    answer = send(
        lines(EVENT)
        + b"nonsense\n[1]\n"
        + lines({"status": 200}, EVENT | {"ts": "2126-01-01T00:00:00Z"})
    )

    assert answer.status_code == 200
    assert answer.json() | {"batch": 0} == {
        "accepted": 1,
        "rejected": 4,
        "batch": 0,
        "errors": [
            {"line": 2, "reason": "not valid JSON"},
            {"line": 3, "reason": "not a JSON object"},
            {"line": 4, "reason": "no time that can be read"},
            {"line": 5, "reason": "in the future"},
        ],
    }


def test_array_and_gzip(send):
    body = gzip.compress(json.dumps([EVENT, EVENT | {"status": 500}, 7]).encode())

    answer = send(body, content_type="application/json", **{"Content-Encoding": "gzip"})

    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)


CLOUD = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": "request",
    "time": "2026-11-22T22:00:00.123Z",
}


@pytest.mark.parametrize("batch", [False, True])
def test_cloud_events(send, batch):
    """What their data leaves open, their envelope says: when it was, and which event it is."""
    data = {name: value for name, value in EVENT.items() if name != "ts"}
    own = CLOUD | {"id": "2", "data": data | {"ts": "2026-11-22T22:00:01Z", "status": 500}}
    events = [CLOUD | {"data": data}, own, CLOUD | {"id": "3", "data": "x"}]
    kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"

    sent = [events] if batch else events
    answers = [send(json.dumps(one).encode(), content_type=kind) for one in sent]
    again = send(json.dumps([events[0]] * 2).encode(), content_type=kind)

    assert [one.status_code for one in answers] == ([200] if batch else [200, 200, 422])
    assert again.status_code == 200
    found = rows("ts, status, request")
    assert {row[:2] for row in found} == {(1795384800123, 200), (1795384801000, 500)}
    assert len({row[2] for row in found}) == 2, "the same source and id are the same event"


@pytest.mark.parametrize(
    ("body", "content_type", "headers", "status"),
    [
        (lines(EVENT)[:-9], NDJSON, {}, 400),  # half a line
        (lines(EVENT) + lines(EVENT)[:-9], NDJSON, {}, 400),
        (b"\n\n", NDJSON, {}, 400),
        (b"nonsense\n", NDJSON, {}, 400),
        (b"\x00\x01\xff\n", NDJSON, {}, 400),
        (b"[" * 100_000 + b"\n", NDJSON, {}, 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"\n", NDJSON, {}, 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", {}, 400),
        (b"[{]", "application/json", {}, 400),
        (b"3", "application/json", {}, 400),
        (b'[1, "a", null]', "application/json", {}, 422),
        (b"[" + b"{}," * 200_001 + b"{}]", "application/json", {}, 413),
        (b"[" + b"[]," * 1_500_000 + b"[]]", "application/json", {}, 413),
        (lines(EVENT), NDJSON, {"Transfer-Encoding": "chunked"}, 411),
        (lines(EVENT), NDJSON, {"Content-Length": "9" * 5000}, 413),
        (b'{"ts": 1e300, "status": 200}\n', NDJSON, {}, 422),
        (lines({"ts": 10**30, "status": 200}), NDJSON, {}, 422),
        (lines({"ts": -1, "status": 200}), NDJSON, {}, 422),
        (lines({"ts": "-0001-01-01T00:00:00Z", "status": 200}), NDJSON, {}, 422),
        (lines({"ts": "9999-12-31T23:59:59Z", "status": 200}), NDJSON, {}, 422),
        (lines(EVENT | {"status": 10**25}), NDJSON, {}, 422),
        (lines(EVENT | {"status": "teapot"}), NDJSON, {}, 422),
        (b"x", NDJSON, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(lines(EVENT), mtime=0)[:-10], NDJSON, {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b" " * (65 << 20), mtime=0), NDJSON, {"Content-Encoding": "gzip"}, 413),
        (b"x", NDJSON, {"Content-Encoding": "br"}, 400),
        (b" " * ((16 << 20) + 1), NDJSON, {}, 413),
        (lines(EVENT), "image/png", {}, 415),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_stored(
    send, body, content_type, headers, status
):
    answer = send(body, content_type=content_type, **headers)

    assert answer.status_code == status, answer.content
    assert set(answer.json()["error"]) == {"code", "message", "hint"}
    assert not Batch.objects.exists()
    assert not Segment.objects.exists()


def test_a_key_is_needed_with_the_right_scope(send):
    _, reader = ApiKey.objects.issue(name="reader", scopes=[Scope.READ])

    for token in ("", "nonsense", reader, "\x00", "ü"):
        answer = send(lines(EVENT), token=token)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
    assert not Batch.objects.exists()


def test_other_methods(client):
    answer = client.get(URL)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_store_that_cannot_be_written(send, settings, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    settings.EVENTS_DIR = blocked / "events"

    answer = send(lines(EVENT))

    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert not Batch.objects.exists()


def test_database_down(send, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(refuse):
        answer = send(lines(EVENT))

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_odd_values_are_taken_as_far_as_they_go(send):
    odd = EVENT | {
        "user": {"id": 1},
        "operation": "a\u0000b" + "x" * 5000,
        "service": "\u0000 ünï/../x" + "y" * 500,
        "path": "/\u0000" + "z" * 9000,
        "latency_ms": -5,
        "user_agent": "\ud83d\ude00" * 3000,
        "session": 12,
        "ok": None,
        "idempotency_key": "k" * 100_000,
    }

    answer = send(
        lines(odd, odd | {"latency_ms": 1e308, "status": "503", "service": 7, "operation": ""})
    )

    assert answer.status_code == 200, answer.content
    assert rows("latency_ms, outcome, actor_kind") == [(None, 0, 2), (None, 1, 2)]


def test_rules_name_the_customer(send):
    acme = Customer.objects.create(name="Acme", slug="acme", kind="business")
    globex = Customer.objects.create(name="Globex", slug="globex", kind="business")
    for position, (customer, attribute, value) in enumerate(
        [
            (acme, "host", "*.acme.example"),
            (globex, "path_prefix", "/globex/"),
            (acme, "network", "203.0.113.0/24"),
            (globex, "api_key", "g-key"),
            (acme, "customer", "A"),
        ]
    ):
        IdentificationRule.objects.create(
            customer=customer, attribute=attribute, value=value, position=position
        )
    asked = [
        ({"host": "shop.acme.example:443"}, acme),
        ({"path": "/globex/pay", "host": "shop.acme.example"}, acme),
        ({"path": "/globex/pay"}, globex),
        ({"x_forwarded_for": "203.0.113.9, 10.0.0.1", "remote_addr": "10.0.0.1"}, acme),
        ({"remote_addr": "2001:db8::1", "api_key": "g-key"}, globex),
        ({"tenant": "A"}, acme),
        ({"tenant": "globex"}, globex),
        ({"tenant": "nobody"}, None),
        ({}, None),
    ]

    send(
        lines(
            *(
                EVENT | {"ts": EVENT["ts"][:-4] + f"{n:03}Z"} | extra
                for n, (extra, _) in enumerate(asked)
            )
        )
    )

    assert [c for (c,) in rows("customer")] == [
        customer.pk if customer else 0 for _, customer in asked
    ]
    actors = [a for (a,) in rows("actor")]
    assert len(set(actors)) == 3  # one end user, seen at Acme, at Globex and at nobody's


def test_names_without_end_cost_no_memory(send):
    """A table of lines times names would have 400 million cells."""
    body = b"".join(
        b'{"ts":"2026-11-22T22:00:00Z","status":200,"f%d":1}\n' % number for number in range(20_000)
    )
    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()

    answer = send(body)

    assert answer.json()["accepted"] == 20_000
    assert pool.max_memory() - before < 500 << 20


def test_a_body_that_was_cut_at_a_line_end_is_not_half_stored(client):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    answer = client.post(
        URL,
        lines(EVENT, EVENT),
        content_type=NDJSON,
        headers={"Authorization": f"Bearer {token}"},
        **{"wsgi.input": io.BytesIO(lines(EVENT))},  # the connection broke after the first line
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cut_off")
    assert not Batch.objects.exists()
