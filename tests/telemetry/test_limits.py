"""What is kept, what is refused before anything breaks, and that whoever is refused may come again."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as live
from django.core.management import CommandError, call_command

from apps.accounts.models import ApiKey, Scope
from apps.telemetry import actions, jobs, queries, retention, rollups
from apps.telemetry.admission import admitted
from apps.telemetry.models import Batch, CustomerDay, HourCount, Segment
from tests.telemetry.test_ingest import REAL

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
EVENT = {"ts": "2026-11-22T10:00:00Z", "service": "shop", "operation": "Pay", "status": 200}


@pytest.fixture
def token(db):
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[1]


def post(client, token, path="/api/v1/events", body=b"", kind="application/x-ndjson"):
    return client.post(
        path,
        body or json.dumps(EVENT).encode() + b"\n",
        content_type=kind,
        headers={"Authorization": f"Bearer {token}"},
    )


def test_every_door_refuses_while_the_disk_is_nearly_full_and_takes_in_again_afterwards(
    client, token, settings, capsys
):
    free = queries.disk().free
    settings.EVENTS_LEAST_FREE = free + 10**12
    answer = post(client, token)
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert answer.json()["error"]["code"] == "store_full"
    answer = post(client, token, "/v1/traces", b"{}", "application/json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "nearly full" in answer.json()["message"]
    with pytest.raises(CommandError):
        call_command("ingest", str(REAL / "nginx_timed.log"))
    assert "EVENTS_LEAST_FREE" in capsys.readouterr().err
    assert not Batch.objects.exists()
    assert not list(live.EVENTS_DIR.rglob("*.parquet"))
    assert (queries.disk().full, queries.disk().days_left) == (True, 0.0)

    settings.EVENTS_LEAST_FREE = 0
    assert post(client, token).json()["accepted"] == 1
    assert (queries.disk().full, queries.disk().days_left) == (False, None)


def test_more_than_can_be_taken_in_is_told_to_come_again(client, token, settings):
    settings.EVENTS_AT_ONCE, settings.EVENTS_WAITING = 1, 0
    with admitted():
        for answer in (
            post(client, token),
            post(client, token, "/v1/logs", b"{}", "application/json"),
        ):
            assert (answer.status_code, answer["Retry-After"]) == (503, "2")
    assert not Batch.objects.exists()
    assert post(client, token).json()["accepted"] == 1


def test_one_that_waits_has_its_turn(client, token, settings):
    settings.EVENTS_AT_ONCE, settings.EVENTS_WAITING = 1, 1
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with admitted():
            inside.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(10)
    threading.Timer(0.1, leave.set).start()
    assert post(client, token).json()["accepted"] == 1
    holder.join()


@pytest.fixture
def four_days(token):
    """One request an hour for four days."""
    body = b"".join(
        json.dumps(EVENT | {"ts": (NOW - timedelta(hours=hour)).isoformat()}).encode() + b"\n"
        for hour in range(96)
    )
    key = ApiKey.objects.get()
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=NOW)
    jobs.count_customers()


def oldest() -> datetime:
    return datetime.fromtimestamp(queries.data_span()[0] / 1000, UTC)


def test_whole_days_go_by_age(four_days, settings):
    jobs.sweep(now=NOW)
    assert Segment.objects.live().count() == 96
    settings.EVENTS_KEEP_DAYS = 2
    retention.retain(now=NOW)
    assert Segment.objects.live().count() == 96, "all of it came in today"
    Segment.objects.update(came_at=NOW - timedelta(days=2, minutes=1))
    retention.retain(now=NOW)
    assert oldest() == datetime(2026, 11, 20, 0, 30, tzinfo=UTC)
    first = 20_777  # 20 November 2026, days since 1970
    assert min(CustomerDay.objects.values_list("day", flat=True)) == first
    assert min(HourCount.objects.values_list("hour", flat=True)) >= first * 24
    left = Segment.objects.live().count()
    assert len(list(live.EVENTS_DIR.rglob("*.parquet"))) == 96, "a run may have begun to read them"
    jobs.drop_replaced(now=NOW + jobs.GRACE)
    assert len(list(live.EVENTS_DIR.rglob("*.parquet"))) == left == Segment.objects.count()


def test_the_oldest_hours_go_by_size_and_their_day_is_rolled_up_again(four_days, settings):
    while rollups.make_next(now=NOW):
        pass
    sizes = list(Segment.objects.order_by("-min_ts").values_list("bytes", flat=True))
    settings.EVENTS_KEEP_BYTES = sum(sizes[:40])
    assert retention.retain(now=NOW) == 56
    assert oldest() == NOW - timedelta(hours=39)
    assert retention.retain(now=NOW) == 0
    later = NOW + rollups.AGAIN
    assert len(rollups.due(now=later)) == 1, "the day that is there in part"
    rollups.sweep_files(now=later)
    assert len(rollups.days(0, 2**50).rolled) == 1
    settings.EVENTS_KEEP_BYTES = 1
    retention.retain(now=NOW)
    assert Segment.objects.live().count() == 1, "the newest hour stays"


def test_growth_and_days_left(four_days, settings):
    found = queries.disk()
    whole = Segment.objects.filter(min_ts__lt=datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000)
    size = sum(whole.values_list("bytes", flat=True))
    assert found.daily_growth == pytest.approx(size / 4, abs=1)
    settings.EVENTS_KEEP_DAYS = 0
    settings.EVENTS_LEAST_FREE = 10**9
    found = queries.disk()
    assert found.days_left == pytest.approx((found.free - 10**9) / found.daily_growth)
