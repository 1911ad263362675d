"""What is counted beside the segments: named share, operations seen, and groups of unnamed requests."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.models import ApiKey, Scope
from apps.customers.models import Attribute, IdentificationRule
from apps.telemetry import actions, counts, files, jobs, queries
from apps.telemetry.models import HourCount, OperationCount, Segment, UnnamedGroups
from apps.telemetry.resolve import sketch as sketches
from apps.telemetry.resolve.sketch import Sketch, cut_to_largest, merged
from tests.factories import make_customer

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
ALWAYS = (-(2**62), 2**62)


# The sketch


def sketch(stream) -> Sketch[int]:
    """Sketch a stream of small numbers exactly as a block of rows is."""
    exact = np.bincount(np.array(stream, dtype=np.int64)) if stream else np.zeros(0, np.int64)
    kept, lower, missed = cut_to_largest(exact)
    return Sketch(dict(zip(kept.tolist(), lower.tolist(), strict=True)), len(stream), missed)


@given(
    parts=st.lists(st.lists(st.integers(0, 40), max_size=80), max_size=8),
    room=st.integers(1, 12),
)
@settings(deadline=None)
def test_no_group_is_counted_too_high_nor_misses_more_than_its_share(parts, room):
    before, sketches.K = sketches.K, room
    try:
        whole = merged(sketch(part) for part in parts)
    finally:
        sketches.K = before

    true = Counter(value for part in parts for value in part)
    assert whole.total == true.total()
    assert len(whole.counts) <= room
    assert whole.missed <= whole.total / (room + 1)
    for value, count in true.items():
        assert whole.counts.get(value, 0) <= count <= whole.counts.get(value, 0) + whole.missed


# The tables


def lines(*events, **common) -> bytes:
    return b"".join(
        json.dumps({"ts": NOW.isoformat(), "status": 200, "service": "shop"} | common | e).encode()
        + b"\n"
        for e in events
    )


@pytest.fixture
def key(db):
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]


def deliver(key, body: bytes):
    return actions.accept_events(
        body=body, key=key, idempotency_key="", form="ndjson", now=timezone.now()
    )


def tables():
    return [
        sorted(HourCount.objects.values_list("hour", "service", "requests", "named")),
        sorted(
            OperationCount.objects.values_list(
                "day", "operation", "requests", "failed", "latest_ms"
            )
        ),
        sorted(
            (row.day, row.attribute, row.total, row.missed, sorted(row.groups))
            for row in UnnamedGroups.objects.all()
        ),
    ]


MIXED = lines(
    {"customer": "acme", "path": "/v2/orders/1", "method": "GET"},
    {"customer": "globex", "path": "/v2/orders/2", "method": "GET", "status": 500},
    {"customer": "globex", "path": "/v2/orders/3", "method": "GET", "api_key": "key-4711-secret"},
    {"customer": "jo@example.org", "remote_addr": "203.0.113.77", "host": "API.Example.com:8443"},
    {"remote_addr": "2001:db8:1:2::5", "user_agent": "okhttp/4.9", "user": "u77"},
    {"user_agent": "Googlebot/2.1", "customer": "globex"},
    {"customer": "globex", "ts": (NOW - timedelta(hours=30)).isoformat()},
)


def test_the_counts_are_what_the_segments_hold(key):
    make_customer("Acme")
    deliver(key, MIXED)

    found = [str(path) for path in queries.segments(*ALWAYS)]
    with duckdb.connect() as con:
        told = con.execute(
            """SELECT ts // 3600000, service, count(*), count(*) FILTER (customer <> 0)
               FROM read_parquet($files) WHERE traffic = 0 GROUP BY ALL ORDER BY ALL""",
            {"files": found},
        ).fetchall()
    assert tables()[0] == told
    assert [(row[2], row[3]) for row in told] == [(1, 0), (5, 1)]
    assert sum(row[2] for row in tables()[1]) == 6
    assert sum(row[3] for row in tables()[1]) == 1


def test_a_delivery_that_is_sent_again_is_counted_once(key):
    deliver(key, MIXED)
    before = tables()

    assert deliver(key, MIXED).duplicate
    assert tables() == before


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_taken_in_again_is_counted_once(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_bytes(MIXED * 50)
    files.ingest(str(path), now=timezone.now(), chunk_bytes=2_000)
    before = tables()

    files.ingest(str(path), now=timezone.now(), chunk_bytes=2_000)
    assert tables() == before
    assert sum(row[2] for row in before[0]) == 300


def test_folding_changes_rows_but_no_figure(key):
    for number in range(4):
        deliver(key, MIXED + lines({"customer": f"other-{number}"}))
    hour = int(NOW.timestamp()) // 3600
    window = (hour - 47, hour + 1)
    shares, groups = queries.named_by_service(*window), queries.unnamed_groups(0, 2**30)
    steps = queries.named_over_time(*window, hours=24)
    assert [(share.requests, share.unnamed) for _, share in steps] == [(4, 4), (24, 24)]
    seen = queries.seen_operations(NOW - timedelta(days=3))

    jobs.fold_counts()
    assert HourCount.objects.count() == 2
    assert UnnamedGroups.objects.count() == len({(d, a) for d, a, *_ in tables()[2]})
    assert queries.named_by_service(*window) == shares
    assert queries.named_over_time(*window, hours=24) == steps
    assert queries.unnamed_groups(0, 2**30) == groups
    assert queries.seen_operations(NOW - timedelta(days=3)) == seen
    again = tables()
    jobs.fold_counts()
    assert tables() == again


def test_hours_a_few_days_back_become_days_and_no_figure_changes(key):
    make_customer("Acme")
    hours = [0, 1, 30, 9 * 24, 9 * 24 + 1, 9 * 24 + 5, 20 * 24]
    named = [{"customer": "acme"}, {"customer": "globex"}]
    deliver(
        key,
        lines(
            *(one | {"ts": (NOW - timedelta(hours=n)).isoformat()} for n in hours for one in named)
        ),
    )
    end = int(NOW.timestamp()) // 86_400 * 24 + 24
    weeks, day = (end - 28 * 24, end), (end - 48, end)

    def figures():
        return (
            queries.named_by_service(*weeks),
            queries.named_over_time(*weeks, hours=24),
            queries.named_by_service(*day),
            queries.named_over_time(*day, hours=1),
        )

    before = figures()
    assert HourCount.objects.count() == len(hours)
    jobs.fold_counts()
    assert HourCount.objects.count() == len(hours) - 2
    assert figures() == before
    deliver(key, lines({"ts": (NOW - timedelta(hours=9 * 24)).isoformat()}))  # a late one
    late = figures()
    assert late[0][0][1].requests == before[0][0][1].requests + 1
    jobs.fold_counts()
    assert HourCount.objects.count() == len(hours) - 2
    assert figures() == late


def test_segments_from_before_the_counts_are_counted_once(key):
    deliver(key, MIXED)
    before = tables()[:2]
    HourCount.objects.all().delete()
    OperationCount.objects.all().delete()
    Segment.objects.update(counted=False)

    assert jobs.count_segments() == 2
    assert tables()[:2] == before
    assert jobs.count_segments() == 0
    assert tables()[:2] == before


def test_old_counts_are_forgotten(key):
    deliver(key, lines({}, ts=(NOW - timedelta(days=jobs.KEPT_DAYS + 2)).isoformat()))
    deliver(key, lines({}, {}))

    jobs.drop_old_counts()
    assert [row[2] for row in tables()[0]] == [2]
    assert len(tables()[1]) == 1
    assert {row[0] for row in tables()[2]} <= {int(NOW.timestamp()) // 86_400}


def test_what_could_name_a_person_is_not_kept(key):
    make_customer("Acme")
    deliver(key, MIXED)
    groups = {(g.attribute, g.value): g.at_least for g in queries.unnamed_groups(0, 2**30)}

    assert groups["customer", "globex"] == 3
    assert groups["customer", "…@example.org"] == 1
    assert groups["network", "203.0.113.0/24"] == 1
    assert groups["network", "2001:db8:1::/48"] == 1
    assert groups["host", "api.example.com"] == 1
    assert groups["agent", "okhttp"] == 1
    assert groups["path_prefix", "/v2"] == 2
    [shown] = [value for attribute, value in groups if attribute == "api_key"]
    assert shown.startswith("key-…#")
    assert "secret" not in shown
    kept = json.dumps([row[4] for row in tables()[2]])
    for person in ("u77", "jo@", "203.0.113.77", "2001:db8:1:2", "key-4711"):
        assert person not in kept


def test_a_group_is_one_over_all_services_and_says_when_there_may_be_more(key, monkeypatch):
    deliver(key, lines(*({"customer": "u", "service": f"s{n % 3}"} for n in range(7))))
    [group] = [g for g in queries.unnamed_groups(0, 2**30) if g.attribute == "customer"]
    assert (group.at_least, len(group.services), group.exact) == (7, 3, True)

    monkeypatch.setattr(sketches, "K", 2)
    deliver(key, lines(*({"customer": f"u{n}"} for n in range(5))))
    found = [g for g in queries.unnamed_groups(0, 2**30) if g.attribute == "customer"]
    assert not any(group.exact for group in found)
    assert sum(group.at_least for group in found) <= 12


def test_a_rule_made_of_a_group_names_its_requests(key):
    acme = make_customer("Acme")
    deliver(key, MIXED)
    for group in queries.unnamed_groups(0, 2**30):
        if group.attribute == "api_key":
            IdentificationRule.objects.create(
                customer=acme, attribute=Attribute.API_KEY, value=group.value
            )

    before = sum(row[3] for row in tables()[0])
    deliver(key, lines({"api_key": "key-4711-secret"}, {"api_key": "another"}))
    assert sum(row[3] for row in tables()[0]) == before + 1


def test_a_nul_in_a_value_does_not_stop_the_batch(key):
    deliver(key, lines({"customer": "a\0b" + "x" * 500}))
    [group] = [g for g in queries.unnamed_groups(0, 2**30) if g.attribute == "customer"]
    assert group.value.startswith("abxxx")
    assert len(group.value) == 200


def test_operations_seen_come_with_their_service_in_two_queries(key, django_assert_num_queries):
    deliver(key, lines(*({"operation": f"op {n}", "status": 500} for n in range(20))))
    with django_assert_num_queries(2):
        seen = queries.seen_operations(NOW)
        assert {one.operation.service.slug for one in seen} == {"shop"}
    assert [one.requests for one in seen] == [1] * 20
    assert {one.failed for one in seen} == {1}
    assert seen[0].latest_at == NOW
    assert queries.seen_operations(NOW + timedelta(days=1)) == []


def test_rows_and_sketches_are_the_same_thing(key):
    deliver(key, MIXED)
    for row in UnnamedGroups.objects.all():
        again = counts.row_of(row.day, row.attribute, counts.sketch_of(row))
        assert again.groups == row.groups
