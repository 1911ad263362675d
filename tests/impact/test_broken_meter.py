"""A meter that reports every call as failed while callers carry on is told as that, not as an outage."""

import json
import re
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from django.core.management import call_command

from apps.analytics.simulate import Plan
from tests.impact.planted import result_of, with_column
from tests.impact.test_traits import START
from tests.telemetry.test_ingest import REAL

pytestmark = pytest.mark.django_db


def told(tmp_path, lines, capsys, *window):
    log = tmp_path / "access.log"
    log.write_text("\n".join(lines) + "\n")
    call_command("ingest", str(log))
    capsys.readouterr()
    call_command("impact", "--json", *(window or ("--all",)))
    return json.loads(capsys.readouterr().out)


def lying(plan, operations):
    """A meter that reports each call of these operations in the window as failed."""
    start, end = plan.window_ms

    def change(table):
        ts, outcome = table["ts"].to_numpy(), table["outcome"].to_numpy()
        hit = (ts >= start) & (ts < end) & np.isin(table["operation"].to_numpy(), operations)
        said = np.where(hit & (outcome == 0), 1, outcome).astype(np.int8)
        return with_column(table, "outcome", pa.array(said))

    return change


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize("fault", ["total", "journey"])
def test_a_true_outage_is_never_taken_for_a_broken_meter(fault, seed):
    plan = Plan.scenario(fault, seed=seed, events=60_000, weeks=1)
    result = result_of(plan)
    assert result.meters == ()
    assert result.figures.attempts.failed > 0


def test_a_meter_of_everything_that_lies_is_found():
    plan = Plan.scenario("none", seed=7, events=200_000, weeks=1)
    result = result_of(plan, change=lying(plan, range(1, 20)))
    figures, (meter,) = result.figures, result.meters
    assert abs(meter.after.again - meter.usual.again) < 0.1
    assert meter.calls == figures.requests.doubted
    assert figures.requests.failed == 0
    assert figures.actors.hit is None
    assert figures.attempts.failed == figures.attempts.retried == 0
    assert figures.attempts.cannot_tell >= meter.calls
    assert figures.user_uptime.during is None
    assert not any(one.outage for one in result.customers)
    assert {one.grade for one in result.customers if one.figures.requests.doubted} == {
        "cannot_tell"
    }
    assert "meter" in [gap.code for gap in result.gaps]
    assert "We take the meter for broken, not the service" in result.story[0].text


def test_of_one_operation_the_rest_stays_right():
    plan = Plan.scenario("none", seed=8, events=200_000, weeks=1)
    before = result_of(plan)
    result = result_of(plan, change=lying(plan, [1]))
    assert [meter.operations for meter in result.meters] == [("operation 1",)]
    same = [
        [one.figures.attempts for one in sorted(each.operations, key=lambda one: one.id)][1:]
        for each in (before, result)
    ]
    assert same[0] == same[1]
    assert result.figures.attempts.failed == sum(one.failed for one in same[1])


def visits(*, status, start=START, people=40):
    """People who look at five things, one after the other, and go."""
    for number in range(people):
        for step in range(5):
            at = start + timedelta(seconds=7 * number + 20 * step)
            yield json.dumps(
                {
                    "ts": at.isoformat(),
                    "user": f"p{number}",
                    "method": "GET",
                    "path": f"/page-{step}",
                    "status": status,
                }
            )


def test_without_anything_to_compare_with_going_on_is_enough(tmp_path, capsys):
    answer = told(tmp_path, visits(status=500), capsys)
    (meter,) = answer["broken_meters"]
    assert meter["calls"] == 200
    assert meter["usual"] is None
    assert answer["requests"]["failed"] == 0
    assert answer["attempts"]["cannot_tell"] == answer["attempts"]["total"] == 200
    assert answer["actors"] == {
        "total": 40,
        "hit": None,
        "at_least": {"total": 40, "hit": 0},
        "by_kind": {"end_user": 40},
    }


def test_people_who_leave_after_a_failure_are_believed(tmp_path, capsys):
    lines = [line for at, line in enumerate(visits(status=503)) if at % 5 == 0]
    answer = told(tmp_path, [*lines, *visits(status=200, start=START - timedelta(hours=1))], capsys,
                  "--from", START.isoformat(), "--to", (START + timedelta(hours=1)).isoformat())  # fmt: skip
    assert answer["broken_meters"] == []
    assert answer["attempts"]["gave_up"] == 40


@pytest.mark.parametrize(("second", "after_s"), [("favicon.ico", 0), ("shop", 15)])
def test_a_second_failure_is_no_going_on(second, after_s, tmp_path, capsys):
    """A browser asks for its icon after an error page too, and people try another page."""
    home = [json.loads(line) for at, line in enumerate(visits(status=503)) if at % 5 == 0]
    lines = []
    for one in home:
        then = datetime.fromisoformat(one["ts"]) + timedelta(seconds=after_s, milliseconds=200)
        lines += [one, one | {"ts": then.isoformat(), "path": f"/{second}"}]
    answer = told(tmp_path, map(json.dumps, lines), capsys)
    assert answer["broken_meters"] == []
    assert answer["requests"]["failed"] == answer["attempts"]["gave_up"] == 80


def test_too_few_people_and_programs_are_believed(tmp_path, capsys):
    answer = told(tmp_path, visits(status=500, people=19), capsys)
    assert answer["broken_meters"] == []
    assert answer["requests"]["failed"] == 95


@pytest.mark.parametrize("log", ["nginx_timed.log", "nginx_combined.log"])
def test_a_real_log_whose_every_status_is_overwritten(log, tmp_path, capsys):
    lines = re.sub(r'" (\d{3}) ', '" 500 ', (REAL / log).read_text())
    lines = re.sub(r'us="[^"]*"', 'us="500"', lines).splitlines()
    answer = told(tmp_path, lines, capsys)
    assert answer["requests"]["total"] == 862
    if log == "nginx_timed.log":  # 20 sessions; the other log knows 10 people by address
        assert answer["broken_meters"]
        assert "not the service" in answer["story"][0]
