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
