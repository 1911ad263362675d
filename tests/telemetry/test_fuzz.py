"""Mutated real payloads through every door, a few of what `drill fuzz` sends by the million."""

import random
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import ApiKey, Scope
from apps.telemetry.drills.fuzz import REFUSED, Reader, Seed, _Sender, mutated, seeds
from tests.telemetry.test_ingest import DATA

SEEDS = seeds(DATA)
READER = Reader()
KINDS = [("traces", "application/x-protobuf"), ("logs", "application/json"), ("events", "application/x-ndjson"),
         ("events", "application/json"), ("file", "")]  # fmt: skip


def test_every_door_has_a_payload_that_is_read():
    doors = {one.door for one in SEEDS if READER.read(one)}
    assert doors == {"traces", "logs", "events", "file"}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_mutated_payloads_are_read_or_refused(seed, number):
    with suppress(*REFUSED):
        READER.read(mutated(seed, random.Random(number)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(door, body):
    with suppress(*REFUSED):
        READER.read(Seed(*door, body))


@pytest.mark.django_db
def test_no_door_answers_with_an_error_of_its_own(client):
    _, token = ApiKey.objects.issue(name="fuzz", scopes=[Scope.INGEST])
    dice = random.Random(7)
    for number in range(80):
        one = mutated(SEEDS[number % len(SEEDS)], dice)
        answer = client.generic(
            "POST",
            _Sender.paths[one.door],
            one.body,
            content_type=one.kind or "text/plain",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code in {200, 400, 413, 422}, answer.content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 2018-07-02T22:22:48.364000Z ", b" 2018-02-31T22:22:48.364000Z "),
        (b' "2018-07-02T22:22:48.364000Z"', b' "2018-02-31T22:22:48.364000Z"'),
        (b" 0.000 0.001 0.000 ", b" 0.0.1 0.001 0.000 "),
        (b" 0.000 0.001 0.000 ", b" -1 -1 -1 "),
    ],
)
def test_a_load_balancer_with_a_wrong_date_or_number(old, new):
    body = (DATA / "goldens" / "alb_vrl_vectors.log").read_bytes()
    READER.read(Seed("file", "", body.replace(old, new).replace(b"2018-07-02", b"2018-02-31")))


@pytest.mark.parametrize("value", [b'{"intValue": "x"}', b'{"stringValue": "abc"}', b'{"doubleValue": 1e999}',
                                   b'{"intValue": 1615846383389117740}', b'{"boolValue": true}'])  # fmt: skip
def test_a_number_of_the_wrong_kind_in_otlp(value):
    record = b"""{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1795377600000000001","attributes":[
        {"key":"status","value":{"intValue":200}},{"key":"duration_ns","value":%s}]}]}]}]}"""
    with suppress(*REFUSED):
        READER.read(Seed("logs", "application/json", record % value))
    span = b"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":2,"startTimeUnixNano":"1795377600000000001",
        "endTimeUnixNano":"99999999999999999999"}]}]}]}"""
    assert READER.read(Seed("traces", "application/json", span)) == 1
