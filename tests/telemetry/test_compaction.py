"""Many small files become one: no event is lost, doubled or counted again, and no answer changes."""

import json
import os
import random
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import connection

from apps.accounts.models import ApiKey, Scope
from apps.analytics.events import EVENT_SCHEMA
from apps.telemetry import actions, compaction, jobs, queries, rollups
from apps.telemetry.models import CustomerDay, HourCount, OperationCount, Segment
from tests.factories import make_customer

FIRST = datetime(2026, 11, 18, 10, tzinfo=UTC)
HOUR = int(FIRST.timestamp()) // 3600
NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
LATER = NOW + compaction.QUIET
ALWAYS = (-(2**62), 2**62)


@pytest.fixture
def key(db):
    make_customer("Acme")
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]


def deliver(key, *events: dict, now=NOW) -> None:
    body = b"".join(
        json.dumps({"service": "shop", "operation": "Pay", "status": 200} | one).encode() + b"\n"
        for one in events
    )
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=now)


def event(at: float, **more) -> dict:
    """A request so many minutes after FIRST."""
    return {"ts": (FIRST + timedelta(minutes=at)).isoformat(), **more}


def traffic(key, files: int, seed: int = 1) -> None:
    """Deliver in small pieces and out of order; every fifth request is reported twice, each time otherwise."""
    dice = random.Random(seed)
    for number in range(files):
        one = event(
            dice.random() * 60,
            request_id=f"{seed}-{number}",
            customer="acme",
            session=f"s{number % 7}",
        )
        other = event(dice.random() * 60, session=f"t{number}", latency_ms=number)
        deliver(key, one, other)
        if number % 5 == 0:
            deliver(key, one | {"status": 503, "latency_ms": 7})
    deliver(key, event(24 * 60 + 5))  # so that the first day is over
    jobs.count_customers()


def rows() -> Counter:
    """Every stored event that readers see, whole, with how often."""
    found: Counter = Counter()
    for path in queries.segments(*ALWAYS):
        found.update(map(tuple, (one.values() for one in pq.read_table(path).to_pylist())))
    return found


def counted() -> list:
    jobs.fold_counts()
    return [
        sorted(HourCount.objects.values_list("hour", "service", "requests", "named")),
        sorted(OperationCount.objects.values_list("day", "operation", "requests", "latest_ms")),
        sorted(CustomerDay.objects.values_list("day", "customer", "requests", "failed"), key=str),
    ]


def answers() -> dict:
    return rollups.requests_by_minute(
        int(FIRST.timestamp() * 1000), int(FIRST.timestamp() * 1000) + 7_200_000
    )


def compact_all(now=LATER) -> int:
    return sum(iter(lambda: compaction.compact_next(now=now), False))


def live_of_hour() -> list[Segment]:
    return list(Segment.objects.live().filter(min_ts__lt=(HOUR + 1) * 3_600_000))


@pytest.mark.django_db
def test_an_hour_becomes_one_file_and_no_answer_changes(key):
    traffic(key, 20)
    while rollups.make_next(now=NOW):
        pass
    rolled = rollups.days(*ALWAYS_DAYS).rolled
    before = rows(), counted(), answers()

    assert compaction.due(now=NOW) == [], "something came in a moment ago"
    assert compaction.due(now=LATER) == [HOUR]
    assert compact_all() == 1
    [one] = live_of_hour()
    assert one.rows == sum(before[0].values()) - 1
    assert (one.batch, one.counted, one.customers_counted, one.service.slug) == (
        None,
        True,
        True,
        "shop",
    )
    table = pq.read_table(Path(settings.EVENTS_DIR) / one.path)
    assert table.schema.equals(EVENT_SCHEMA)
    assert table["ts"].to_pylist() == sorted(table["ts"].to_pylist())
    assert (one.min_ts, one.max_ts) == (table["ts"][0].as_py(), table["ts"][-1].as_py())

    jobs.sweep(now=LATER)
    assert (rows(), counted(), answers()) == before
    assert rollups.days(*ALWAYS_DAYS).rolled == rolled, "the day's events are the same"
    assert rollups.due(now=LATER + timedelta(days=1)) == []
    assert compact_all() == 0


ALWAYS_DAYS = (HOUR // 24 * 86_400_000, (HOUR // 24 + 1) * 86_400_000)


@pytest.mark.django_db
def test_replaced_files_stay_for_an_hour_and_late_events_are_merged_again(key):
    traffic(key, 3)
    old = queries.segments(*ALWAYS)
    compact_all()
    [merged] = live_of_hour()
    assert jobs.drop_replaced(now=LATER + timedelta(minutes=59)) == 0
    assert all(path.exists() for path in old), "a run may have begun to read them"
    assert jobs.drop_replaced(now=LATER + jobs.GRACE) == len(old) - 1
    assert [path.exists() for path in old] == [False] * (len(old) - 1) + [True]
    assert Segment.objects.count() == 2

    while rollups.make_next(now=LATER):
        pass
    deliver(key, event(30, session="late"), now=LATER)
    assert compaction.due(now=LATER + timedelta(hours=1)) == [], "not counted yet"
    jobs.count_customers()
    assert compaction.due(now=LATER) == []
    assert compact_all(LATER + compaction.QUIET) == 1
    [again] = live_of_hour()
    assert again.rows == merged.rows + 1
    assert rollups.due(now=LATER + timedelta(hours=1)) == [HOUR // 24]


@pytest.mark.django_db
def test_an_hour_that_is_not_quiet_is_merged_when_there_are_very_many(key, monkeypatch):
    monkeypatch.setattr(compaction, "MANY", 10)
    traffic(key, 8)
    assert compaction.due(now=NOW) == [HOUR]
    assert compact_all(NOW) == 1
    traffic(key, 2, seed=2)
    assert compact_all(NOW) == 0


@pytest.mark.django_db
def test_a_few_late_events_do_not_rewrite_a_large_file(key, monkeypatch):
    monkeypatch.setattr(compaction, "BIG_ROWS", 30)
    traffic(key, 20)
    compact_all()
    [large] = live_of_hour()
    deliver(key, event(1, session="late"))
    jobs.count_customers()
    assert compact_all() == 0
    deliver(key, event(2, session="later"))
    jobs.count_customers()
    assert compact_all() == 1
    assert sorted(one.rows for one in live_of_hour()) == [2, large.rows]


@pytest.mark.django_db
def test_a_damaged_file_becomes_part_of_no_other(key):
    traffic(key, 6)
    broken, missing, other = live_of_hour()[:3]
    root = Path(settings.EVENTS_DIR)
    data = bytearray((root / broken.path).read_bytes())
    data[len(data) // 2] ^= 1
    (root / broken.path).write_bytes(data)
    (root / missing.path).unlink()
    Segment.objects.filter(pk=other.pk).update(rows=other.rows + 1)
    rest = sum(one.rows for one in live_of_hour()[3:])
    compact_all()
    found = {one.pk: one for one in live_of_hour()}
    assert found.pop(broken.pk).damaged_at
    assert found.pop(missing.pk).damaged_at
    assert found.pop(other.pk).damaged_at
    [merged] = found.values()
    assert merged.rows == rest


@pytest.mark.django_db
def test_of_two_that_replace_the_same_file_one_is_void(key):
    traffic(key, 4)
    before = rows()
    inputs = live_of_hour()
    made = compaction._inputs(HOUR, NOW)
    assert {one.pk for one in made} == {one.pk for one in inputs}
    Segment.objects.filter(pk=inputs[0].pk).update(deleted_at=NOW)  # as an erasure does
    assert not compaction.swap(inputs, [], now=LATER)
    assert (
        Segment.objects.live().filter(pk__in=[one.pk for one in inputs]).count() == len(inputs) - 1
    )
    Segment.objects.filter(pk=inputs[0].pk).update(deleted_at=None)
    Segment.objects.filter(pk=inputs[1].pk).update(customers_counted=False)
    assert not compaction.swap(inputs, [], now=LATER), "its events would never be counted"
    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_two_compactors_at_once_and_a_reader_in_a_loop(key):
    """A real reader lists, waits and reads, again and again, while two compactors work and files are removed."""
    for hour in range(4):
        for number in range(12):
            deliver(
                key, event(hour * 60 + number, session=f"s{number}", request_id=f"{hour}-{number}")
            )
    jobs.count_customers()
    over, wrong, reads = threading.Event(), [], 0

    def compactor():
        try:
            compact_all()
        except Exception as error:  # noqa: BLE001
            wrong.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=compactor) for _ in range(2)]
    [one.start() for one in workers]
    with duckdb.connect() as con:
        while any(one.is_alive() for one in workers) or reads < 3:
            files = [str(path) for path in queries.segments(*ALWAYS)]
            found = con.execute(
                "SELECT count(*), count(DISTINCT request) FROM read_parquet(?)", [files]
            ).fetchone()
            reads += 1
            assert found == (48, 48)
    [one.join() for one in workers]
    over.set()
    assert wrong == []
    assert Segment.objects.live().count() == 4
    assert jobs.drop_replaced(now=LATER + jobs.GRACE) == 48
    named = set(Segment.objects.values_list("path", flat=True))
    root = Path(settings.EVENTS_DIR)
    there = {str(path.relative_to(root)) for path in root.glob("dt=*/hh=*/*")}
    for path in there - named:
        os.utime(root / path, (0, 0))
    jobs.sweep_orphans(now=LATER)
    assert {str(path.relative_to(root)) for path in root.glob("dt=*/hh=*/*")} == named
    assert len(rows()) == 48
