"""What the data cannot answer is refused with its reason; the rest stays right, and a gap says what closes it."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from django.core.management import call_command

from apps.analytics.gaps import find_gaps
from apps.analytics.measures import CannotTell
from apps.analytics.simulate import OPERATIONS, Plan
from apps.analytics.stats import Interval, Lost
from tests.impact.planted import result_of, with_column
from tests.telemetry.test_ingest import REAL

HOUR_MS = 3_600_000
SERVICE = {one.id: one.service for one in OPERATIONS}


def without_actors(table, *, share=1.0, service=None):
    """The same events, of which a share carries neither a person nor a key."""
    dice = np.random.default_rng(7)
    bare = dice.random(len(table)) < share
    if service is not None:
        bare &= table["service"].to_numpy() == service
    for name in ("actor", "key"):
        column = pa.chunked_array(table[name]).combine_chunks()
        kept = pa.array(column.to_pylist(), column.type)
        kept = pa.compute.if_else(pa.array(bare), pa.scalar(None, column.type), kept)
        table = with_column(table, name, kept)
    return table


def codes(result):
    return {gap.code for gap in result.gaps}


@pytest.fixture(scope="module")
def whole():
    """A plan with failures, and what is told when nothing is missing."""
    plan = Plan.scenario("partial", seed=21, events=120_000, weeks=1)
    return plan, result_of(plan)


def test_without_any_actor_people_and_attempts_cannot_be_told(whole):
    plan, full = whole
    result = result_of(plan, change=without_actors)
    figures = result.figures
    assert figures.requests == full.figures.requests
    assert (figures.actors.total, figures.actors.hit) == (None, None)
    assert figures.attempts.cannot_tell == figures.attempts.total
    assert figures.extra_wait.n == 0
    assert figures.user_uptime.during is None
    assert {"actor", "attempts", "user_uptime"} <= codes(result)
    assert not re.search(r"\d gave up", " ".join(sentence.text for sentence in result.story))


def test_of_a_journey_without_actors_its_own_gap_opens_beside_what_can_be_told(whole):
    _, full = whole
    journey = next(one for one in full.journeys if one.figures.requests.total)
    blind = replace(journey.figures, coverage=replace(journey.figures.coverage, actor=0.4))
    journeys = (replace(journey, figures=blind, declared=True),)
    [gap] = [
        one
        for one in find_gaps(replace(full, journeys=journeys), proxies=0)
        if one.journey is not None
    ]
    assert (gap.code, gap.journey) == ("actor", journey.id)
    assert "60 %" in gap.why
    assert not [one for one in full.gaps if one.journey is not None]


@pytest.mark.parametrize(("low", "opens"), [(180.0, True), (-3.0, False)])
def test_of_those_who_never_came_it_is_not_known_whether_they_tried(whole, low, opens):
    _, full = whole
    lost = Lost(900.0, 660, Interval(240.0, low, 310.0), "placebos", 4, 80)
    result = replace(full, figures=replace(full.figures, lost=lost))
    found = [one for one in find_gaps(result, proxies=0) if one.code == "net_lost"]
    assert bool(found) == opens
    assert not opens or "at least 180 fewer" in found[0].why


def test_with_a_third_missing_people_are_a_lower_bound(whole):
    plan, full = whole
    result = result_of(plan, change=lambda t: without_actors(t, share=0.31))
    figures = result.figures
    assert figures.requests == full.figures.requests
    assert figures.actors.hit is None
    assert 0 < figures.actors.at_least_hit <= full.figures.actors.hit
    gap = next(gap for gap in result.gaps if gap.code == "actor")
    assert "31 %" in gap.why or "32 %" in gap.why or "30 %" in gap.why
    assert gap.closes_by


def test_of_one_service_the_others_stay_as_they_are(whole):
    plan, full = whole
    service = SERVICE[full.operations[0].id]
    result = result_of(plan, change=lambda t: without_actors(t, service=service))
    before = {one.id: one.figures for one in full.operations}
    for one in result.operations:
        if SERVICE[one.id] == service:
            assert one.figures.attempts.cannot_tell == one.figures.attempts.total
        else:
            assert one.figures.attempts == before[one.id].attempts
            assert one.figures.actors == before[one.id].actors


def test_two_days_of_history_tell_nothing_about_who_never_came(whole):
    _, full = whole
    assert isinstance(full.figures.lost, CannotTell)
    assert isinstance(full.figures.not_returned, CannotTell)
    assert {"lost_attempts", "not_returned"} <= codes(full)
    assert full.figures.attempts.failed > 0


@pytest.mark.django_db
def test_ten_sessions_are_too_few_for_medians_and_say_so(tmp_path, capsys):
    call_command("ingest", str(REAL / "nginx_timed.log"))
    capsys.readouterr()
    call_command("impact", "--all", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["extra_wait_s"]["p50"] is None
    assert "cannot_tell" in answer["not_returned"]
    assert {gap["code"] for gap in answer["gaps"]} >= {"not_returned", "lost_attempts"}


def test_a_service_that_sends_nothing_any_more_is_no_missing_demand():
    plan = Plan.scenario("none", seed=22, events=300_000, weeks=4)
    start, end = plan.window_ms
    middle, until = (start + end) // 2, end + 3 * HOUR_MS
    full = result_of(plan, weeks=3, until_ms=until)
    assert isinstance(full.figures.lost, Lost)

    def silenced(table):
        late = (table["service"].to_numpy() == 1) & (table["ts"].to_numpy() >= middle)
        return table.filter(pa.array(~late))

    result = result_of(plan, change=silenced, weeks=3, until_ms=until)
    assert [last < middle for _, last in result.silent] == [True]
    assert isinstance(result.figures.lost, CannotTell)
    assert "sender" in codes(result)
    # which operations stand for a journey depends on what was busy; those in both say the same
    told = {one.id: one.figures.lost for one in full.operations if SERVICE[one.id] != 1}
    same = [
        (one.figures.lost, told[one.id])
        for one in result.operations
        if isinstance(one.figures.lost, Lost) and isinstance(told.get(one.id), Lost)
    ]
    assert same
    assert all(now == before for now, before in same)
    assert "never came" not in result.story[0].text


def test_silence_that_ends_is_a_silent_outage():
    plan = Plan.scenario("silence", seed=23, events=150_000, weeks=4)
    result = result_of(plan, weeks=3)
    assert result.silent == ()
    assert isinstance(result.figures.lost, Lost)
    assert result.figures.lost.interval.low > 0
    assert "never" in result.story[0].text


def test_what_is_not_known_yet_is_not_missing():
    plan = Plan.scenario("none", seed=24, events=150_000, weeks=4)
    start, end = plan.window_ms
    result = result_of(plan, weeks=3, until_ms=(start + end) // 2)
    assert isinstance(result.figures.lost, Lost)
    assert result.figures.lost.interval.low <= 0 <= result.figures.lost.interval.high
