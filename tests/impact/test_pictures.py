"""Pictures of a snapshot: their numbers are the snapshot's, and what it does not hold has none."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.impact import pictures
from tests.analytics.test_series import crowd
from tests.analytics.world import START, ask

BEGAN = datetime.fromtimestamp(START / 1000, UTC)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return ask(tmp_path_factory.mktemp("pictures"), crowd(minutes=26), minutes=26).as_json()


def numbers(cells):
    return [int(cell.replace(",", "")) for cell in cells if cell[0].isdigit()]


def test_attempts_over_time_are_those_of_the_snapshot(result):
    after = BEGAN + timedelta(days=9)
    chart = pictures.attempts_over_time(
        result,
        marks=[(BEGAN, "began"), (BEGAN + timedelta(minutes=9), "update 1"), (after, "late")],
    )

    assert chart.title == "What became of attempts, minute by minute"
    assert f"Of {result['attempts']['total']:,} attempts" in chart.summary
    assert len(chart.rows) == 3 * 26
    gave_up = chart.head.index("Gave up")
    assert sum(numbers([row[gave_up] for row in chart.rows])) == result["attempts"]["gave_up"]
    assert [row[gave_up] for row in chart.rows[:26]] == ["not judged"] * 26
    assert [name for _, name in chart.data["marks"]] == ["began", "update 1"]
    assert chart.drawable
    assert not chart.short


def test_what_is_not_known_yet_is_not_drawn_as_nothing(tmp_path):
    seen = START + 10 * 60_000
    result = ask(
        tmp_path, crowd(minutes=26), minutes=26, as_of_ms=seen, data_end_ms=seen + 30_000
    ).as_json()
    chart = pictures.attempts_over_time(result)

    assert len(chart.rows) == 36
    assert chart.data["known"] == "2026-11-18T10:10:00Z"
    assert len(pictures.uptime_over_time(result).rows) == 36


def test_steps_uptime_and_customers(result):
    steps = pictures.journey_steps(result)
    assert steps.title == "Purchase, step by step"
    assert [row[0] for row in steps.rows] == [
        "GET /product/{id}",
        "POST /cart/{id}",
        "POST /checkout",
    ]
    assert sum(numbers([row[1] for row in steps.rows])) == result["attempts"]["total"]
    assert {row[-1] for row in steps.rows} == {"cannot tell"}

    promised = {**result, "tenets": [{"target": 0.99}, {"target": 0.999}, {"target": None}]}
    uptime = pictures.uptime_over_time(promised)
    assert uptime.data["target"] == [0.999, "tenet: 99.9 %"]
    assert uptime.data["points"][26][1] == result["series"]["user_uptime"][26]

    hit = {"total": 40, "gave_up": 9, "came_back": 1, "cannot_tell": 20}
    rows = [(name, "hit", hit) for name in ("Acme", "Globex", "Initech")]
    chart = pictures.customers_by_harm([*rows, ("Blind", "hit", {"total": 4, "cannot_tell": 4})])
    assert chart.rows[0] == ["Acme", "hit", "20", "10", "50.0 %"]
    assert len(chart.rows) == 3


def test_the_worst_windows_stand_against_the_strictest_tenet():
    worst = [
        {"minutes": minutes, "user_uptime": share, "from": "2026-11-18T10:04:00Z"}
        for minutes, share in ((1, 0.1), (5, 0.25), (60, 0.9), (1440, 0.9991))
    ]
    result = {"windowed_user_uptime": {"worst": worst}, "tenets": [{"target": 0.99}]}
    chart = pictures.worst_windows(result)

    assert chart.rows[2] == ["1 h", "90.0 %", "18 Nov, 10:04"]
    assert chart.summary.endswith("99 % was kept in every 1 day.")
    assert pictures.worst_windows({"windowed_user_uptime": {"cannot_tell": "nobody"}}) is None


def test_who_had_not_been_seen_again_has_an_interval():
    days = [{"day": n, "exposed": 1 - n / 10, "usual": 1 - n / 5} for n in range(4)]
    chart = pictures.came_back({"not_returned": {"exposed": 100, "still_away": days}})

    assert chart.rows[3] == ["3", "70.0 %", "60.4 % to 78.1 %", "40.0 %"]

    known = [
        {**one, "usual_low": one["usual"] - 0.01, "usual_high": one["usual"] + 0.02} for one in days
    ]
    chart = pictures.came_back({"not_returned": {"exposed": 100, "still_away": known}})
    assert chart.rows[3][3:] == ["40.0 %", "39.0 % to 42.0 %"]


def test_an_old_snapshot_has_no_pictures(result):
    old = {name: value for name, value in result.items() if name != "series"}
    old["journeys"] = [{**one, "steps": []} for one in result["journeys"]]
    old["not_returned"] = {"cannot_tell": "no earlier weeks"}

    assert pictures.attempts_over_time(old) is None
    assert pictures.uptime_over_time(old) is None
    assert pictures.journey_steps(old) is None
    assert pictures.came_back(old) is None
    assert pictures.customers_by_harm([("Acme", "hit", {"total": 3, "gave_up": 1})]) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "minute by minute"), (30, "in steps of 30 seconds"), (61.4, "in steps of about 61 seconds"),
     (300, "in steps of 5 minutes"), (3600, "hour by hour"), (86_400, "day by day")],
)  # fmt: skip
def test_the_length_of_a_step_is_said(seconds, words):
    moments = [BEGAN + timedelta(seconds=seconds * n) for n in range(4)]
    assert pictures.Bins(moments, (1, 2), 3).words == words
