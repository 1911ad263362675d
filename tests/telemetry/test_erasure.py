"""Who asks to be forgotten is afterwards in no file, no roll-up and no count; everybody else is where they were."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import OperationalError, connection

from apps.accounts.models import ApiKey, AuditEvent, Scope
from apps.telemetry import actions, compaction, erasure, jobs, queries, rollups
from apps.telemetry.models import CustomerDay, Erasure, HourCount, OperationCount, Segment
from tests.factories import make_customer, make_user

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 18, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
CAME = NOW - timedelta(minutes=20)
LATER = NOW + timedelta(hours=2)
ALWAYS = (-(2**62), 2**62)


def event(hour: float, **more) -> dict:
    ts = (START + timedelta(hours=hour)).isoformat()
    return {"ts": ts, "service": "shop", "operation": "Pay", "status": 200} | more


@pytest.fixture
def acme(db):
    return make_customer("Acme")


@pytest.fixture
def globex(db):
    return make_customer("Globex")


@pytest.fixture
def key(acme, globex):
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]


def take_in(key, *events: dict) -> None:
    body = b"".join(json.dumps(one).encode() + b"\n" for one in events)
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=CAME)


ANN = {"customer": "acme", "user": "ann@acme.example"}
BOB = {"customer": "acme", "session": "bob-1", "client_ip": "203.0.113.9"}
CLEO = {"customer": "globex", "user": "cleo"}
HOURS = (0, 0.5, 1, 14.2, 30, 80)


@pytest.fixture
def stored(key):
    """Three people over four days: some of it merged, some counted, days rolled up."""
    take_in(key, *(event(hour, **who) for hour in HOURS[:3] for who in (ANN, BOB, CLEO)))
    take_in(key, event(0.6, **ANN, status=500), event(0.7, **CLEO))
    jobs.count_customers()
    compaction.compact_next(now=NOW - timedelta(minutes=5))
    take_in(key, *(event(hour, **who) for hour in HOURS[3:] for who in (ANN, BOB, CLEO)))
    while rollups.make_next(now=NOW):
        pass


def everything() -> list[dict]:
    """Every row of every file below EVENTS_DIR that has people in it, named or not."""
    found = []
    for path in Path(settings.EVENTS_DIR).rglob("*.parquet"):
        table = pq.read_table(path)
        found += table.select(
            sorted({"customer", "actor", "addr"} & {*table.column_names})
        ).to_pylist()
    return found


def counted() -> dict[str, int]:
    jobs.fold_counts()
    hours, operations = HourCount.objects.all(), OperationCount.objects.all()
    return {
        "requests": sum(hours.values_list("requests", flat=True)),
        "named": sum(hours.values_list("named", flat=True)),
        "operations": sum(operations.values_list("requests", flat=True)),
        "failed": sum(operations.values_list("failed", flat=True)),
    }


def by_customer() -> dict[int | None, int]:
    jobs.count_customers()
    found: dict[int | None, int] = {}
    for customer, n in CustomerDay.objects.values_list("customer", "requests"):
        found[customer] = found.get(customer, 0) + n
    return found


def run(now=NOW, **more) -> None:
    while erasure.erase_next(clock=lambda: now, **more):
        pass


def test_a_person_is_in_no_file_roll_up_or_count(stored, acme, globex):
    [ann], _ = erasure.people("user", "ann@acme.example", customer=acme.pk)
    assert sum(row.get("actor") == ann for row in everything()) > 7
    assert counted() == {"requests": 20, "named": 20, "operations": 20, "failed": 1}
    admin = make_user("Olga", role="admin")
    wish = actions.erase_events(
        customer=acme, attribute="user", value="ann@acme.example", user=admin, now=NOW
    )
    assert "ann" not in str(AuditEvent.objects.latest("pk").after)
    run()
    wish.refresh_from_db()
    assert (wish.state, wish.events) == ("grace", 7)
    live = [str(path) for path in queries.segments(*ALWAYS)]
    with duckdb.connect() as con:
        rows = con.execute("SELECT actor FROM read_parquet(?)", [live]).fetchall()
    assert len(rows) == 13
    assert (ann,) not in rows
    assert counted() == {"requests": 13, "named": 13, "operations": 13, "failed": 0}
    assert by_customer() == {None: 13, acme.pk: 6, globex.pk: 7}
    assert not rollups.make_again(now=NOW), "made again already"

    run(LATER)
    wish.refresh_from_db()
    assert (wish.state, wish.actors, wish.done_at) == ("done", [], LATER)
    assert not [row for row in everything() if row.get("actor") == ann]
    assert len({one.path for one in Segment.objects.all()}) == Segment.objects.live().count()
    assert AuditEvent.objects.latest("pk").after == {"customer": acme.pk, "events": 7}
    assert len(rollups.days(0, 2**50).rolled) == 2


def test_a_customer_is_gone_at_once_when_nobody_reads(stored, acme, globex):
    actions.erase_events(customer=acme, user=None, now=NOW)
    run(grace=timedelta())
    assert Erasure.objects.get().state == "done"
    assert {row["customer"] for row in everything() if "customer" in row} == {globex.pk}
    assert by_customer() == {None: 7, globex.pk: 7}
    assert counted()["requests"] == 7


def test_an_address_of_whomever_and_an_earlier_key(key, settings, acme, globex):
    take_in(key, event(0, **BOB), event(1, **CLEO, client_ip="203.0.113.9"), event(2, **CLEO))
    old = settings.PORTAL_ACTOR_KEY
    settings.PORTAL_ACTOR_KEY = b"another"
    settings.PORTAL_ACTOR_KEYS = [b"another", old]
    take_in(key, event(3, **BOB), event(3, **ANN), event(4, **BOB, status=404))
    actions.erase_events(
        customer=None, attribute="address", value="203.0.113.9", user=None, now=NOW
    )
    run(grace=timedelta())
    assert sorted(row["customer"] for row in everything()) == [acme.pk, globex.pk]
    actions.erase_events(customer=None, attribute="user", value="cleo", user=None, now=NOW)
    run(grace=timedelta())
    assert [row["customer"] for row in everything()] == [acme.pk]


def test_killed_in_the_middle_and_run_again_it_takes_out_the_same(stored, acme, globex):
    actions.erase_events(customer=acme, user=None, now=NOW)
    swaps = 0

    def lost(execute, sql, params, many, context):
        nonlocal swaps
        inserts = sql.startswith('INSERT INTO "telemetry_segment"')
        swaps += inserts
        if inserts and swaps == 2:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with pytest.raises(OperationalError), connection.execute_wrapper(lost):
        run()
    assert Erasure.objects.get().state == "queued"
    assert 0 < Erasure.objects.get().events < 13
    run()
    assert Erasure.objects.get().events == 13
    assert by_customer() == {None: 7, globex.pk: 7}
    assert counted()["requests"] == 7
    for path in Path(settings.EVENTS_DIR).glob("dt=*/hh=*/*"):
        assert path.suffix == ".parquet"
    for path in Path(settings.EVENTS_DIR).glob("dt=*/hh=*/*"):
        os.utime(path, (NOW.timestamp() - 1, NOW.timestamp() - 1))
    run(LATER)
    assert Erasure.objects.get().state == "done"
    assert {row["customer"] for row in everything() if "customer" in row} == {globex.pk}


def test_who_may_ask_and_for_what(acme):
    for user, more, why in (
        (make_user("Lea", role="lead"), {"customer": acme}, "Only admins"),
        (None, {"customer": None}, "Say whose"),
        (None, {"customer": acme, "attribute": "shoe", "value": "44"}, "not by shoe"),
        (None, {"customer": acme, "attribute": "user"}, "its value"),
    ):
        with pytest.raises(actions.UnableToErase, match=why):
            actions.erase_events(**more, user=user, now=NOW)
    assert not Erasure.objects.exists()


def test_a_value_is_taken_out_of_the_excerpts_of_what_could_not_be_read(key):
    take_in(key, event(0), {"ts": "gibberish", "user": "ann@acme.example", "status": 200})
    assert "ann@acme" in str(Segment.objects.get().batch.samples)
    actions.erase_events(
        customer=None, attribute="user", value="ann@acme.example", user=None, now=NOW
    )
    assert "ann@acme" not in str(Segment.objects.get().batch.samples)


def test_a_worker_that_died_is_taken_over_from(key, globex):
    take_in(key, event(0, **CLEO), event(1, **ANN))
    wish = actions.erase_events(customer=globex, user=None, now=NOW)
    Erasure.objects.update(state="working", lease_until=NOW - timedelta(seconds=1))
    assert erasure.waits(now=NOW)
    run()
    wish.refresh_from_db()
    assert (wish.state, wish.events) == ("grace", 1)
    assert not erasure.waits(now=wish.rewritten_at + timedelta(minutes=59))
    assert erasure.waits(now=wish.rewritten_at + jobs.GRACE)
