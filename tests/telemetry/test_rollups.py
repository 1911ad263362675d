"""Who was seen on which day: rolled up once the day is over, made anew when more comes in, never wrong meanwhile."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from django.conf import settings

from apps.accounts.models import ApiKey, Scope
from apps.telemetry import actions, rollups
from apps.telemetry.models import Rollup, Segment

pytestmark = pytest.mark.django_db
DAY = 86_400_000
FIRST = datetime(2026, 11, 18, tzinfo=UTC)
START = int(FIRST.timestamp() * 1000)
NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@pytest.fixture
def key():
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]


def take_in(key, *events: tuple[int, float, str]) -> None:
    """Deliver requests, each given by its day, hour and session."""
    body = b"".join(
        json.dumps(
            {
                "ts": (FIRST + timedelta(days=day, hours=hour)).isoformat(),
                "status": 200,
                "service": "shop",
                "session": who,
            }
        ).encode()
        + b"\n"
        for day, hour, who in events
    )
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=NOW)


def age(*paths: Path, by: timedelta) -> None:
    then = (NOW - by).timestamp()
    for path in paths:
        os.utime(path, (then, then))


def make_all(now=NOW) -> int:
    made = 0
    while rollups.make_next(now=now):
        made += 1
    return made


def seen() -> list[tuple[int, int, int]]:
    """(day, hours as bits, milliseconds from first to last) of everybody, from what a reader is given."""
    found = rollups.days(START, START + 4 * DAY)
    with duckdb.connect() as con:
        return sorted(
            row
            for folder in found.rolled.values()
            for row in con.execute(
                "SELECT day, hours, last_ts - first_ts FROM read_parquet(?)",
                [f"{folder}/actors.parquet"],
            ).fetchall()
        )


def hours(given) -> list[str]:
    return ["/".join(Path(name).parts[-3:-1]) for name in given.events]


THREE_DAYS = [(0, 9.5, "ann"), (0, 11, "ann"), (0, 11, "bob"), (1, 23.9, "ann"), (3, 1, "bob")]
FIRST_DAY = START // DAY


def test_finished_days_are_rolled_up_and_the_last_one_is_not(key):
    take_in(key, *THREE_DAYS)

    assert make_all() == 2
    assert rollups.due(now=NOW) == []
    assert seen() == [
        (FIRST_DAY, 1 << 11, 0),
        (FIRST_DAY, 1 << 9 | 1 << 11, 5_400_000),
        (FIRST_DAY + 1, 1 << 23, 0),
    ]
    given = rollups.days(START, START + 4 * DAY)
    assert sorted(given.rolled) == [FIRST_DAY, FIRST_DAY + 1]
    assert hours(given) == ["dt=2026-11-19/hh=23", "dt=2026-11-21/hh=01"], (
        "with the hour before a day"
    )


def test_a_day_to_which_more_comes_in_is_read_from_its_segments_until_it_is_made_again(key):
    take_in(key, *THREE_DAYS)
    make_all()
    before = Rollup.objects.get(day=FIRST_DAY)

    take_in(key, (0, 14, "cleo"))
    given = rollups.days(START, START + 4 * DAY)
    assert sorted(given.rolled) == [FIRST_DAY + 1]
    assert len([hour for hour in hours(given) if "dt=2026-11-18" in hour]) == 3

    assert make_all() == 0, "not again so soon"
    assert make_all(NOW + rollups.AGAIN) == 1
    assert Rollup.objects.get(day=FIRST_DAY).rows == before.rows + 1 == 3
    assert (Path(settings.EVENTS_DIR) / before.path).exists(), "a run may still read it"


def test_files_that_nobody_names_are_removed_after_a_while(key):
    take_in(key, *THREE_DAYS)
    make_all()
    folder = Path(settings.EVENTS_DIR) / rollups.FOLDER
    for name in ("1-killed", ".2-killed.part", "3-at-work"):
        (folder / name).mkdir()
        (folder / name / "actors.parquet").write_bytes(b"half")
    age(folder / "1-killed", folder / ".2-killed.part", by=2 * rollups.GRACE)
    age(folder / "3-at-work", by=timedelta())

    assert rollups.sweep_files(now=NOW) == 2
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["3-at-work", *(Path(one.path).name for one in Rollup.objects.all())]
    )


def test_a_day_that_was_erased_is_forgotten_and_its_files_are_gone_an_hour_later(key):
    take_in(key, *THREE_DAYS)
    make_all()
    root = Path(settings.EVENTS_DIR)
    folder = root / Rollup.objects.get(day=FIRST_DAY).path
    age(*(root / rollups.FOLDER).iterdir(), by=timedelta(days=1))
    Segment.objects.filter(min_ts__lt=START + DAY).delete()

    assert sorted(rollups.days(START, START + 4 * DAY).rolled) == [FIRST_DAY + 1]
    assert rollups.sweep_files(now=NOW) == 0, "a run may have begun to read it"
    assert not Rollup.objects.filter(day=FIRST_DAY).exists()
    assert folder.exists()
    assert rollups.sweep_files(now=NOW + rollups.GRACE + timedelta(minutes=1)) == 1
    assert not folder.exists()


def test_a_day_of_which_only_a_part_is_asked_for_is_read_from_its_segments(key):
    take_in(key, *THREE_DAYS)
    make_all()
    given = rollups.days(START, START + DAY + DAY // 2)
    assert sorted(given.rolled) == [FIRST_DAY]
    given = rollups.days(START + DAY // 2, START + 2 * DAY)
    assert sorted(given.rolled) == [FIRST_DAY + 1]
    assert "dt=2026-11-18/hh=11" in hours(given)


def test_requests_by_minute_are_read_from_both(key):
    take_in(key, *THREE_DAYS)
    before = rollups.requests_by_minute(START, START + 4 * DAY)
    make_all()
    assert rollups.requests_by_minute(START, START + 4 * DAY) == before
    assert [one.requests for one in before.values()] == [1, 2, 1, 1]
    assert list(rollups.requests_by_minute(START + 11 * 3_600_000, START + DAY).values()) == [
        before[(START + 11 * 3_600_000) // 60_000]
    ]
    assert rollups.requests_by_minute(START - 2 * DAY, START) == {}
