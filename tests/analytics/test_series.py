"""Series: bins that sum to the figures, what lies around the window, user-uptime by bin, what is usual."""

import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.attempts import Frame
from apps.analytics.measures import Bins
from apps.analytics.names import Catalogue, CustomerName, Week
from tests.analytics.world import DAY, MINUTE, NAMES, START, ask, event, write

WEEK = 7 * DAY


def crowd(seed=1, n=4000, minutes=90, **changes):
    """Many people around a window in which half fails: retries, keys, callers without a name."""
    drawn = random.Random(seed)
    found = []
    for number in range(n):
        at = drawn.uniform(-minutes, 2 * minutes) * 60
        bad = 0 <= at < minutes * 60 and drawn.random() < 0.5
        actor = None if drawn.random() < 0.1 else drawn.randrange(1, 900)
        key = number if drawn.random() < 0.2 else None
        common = {"actor": actor, "key": key, "operation": drawn.choice((1, 2, 3)), **changes}
        latency = drawn.choice((100, 100, 900))
        found.append(event(at, outcome=int(bad), latency_ms=latency, **common))
        while bad and drawn.random() < 0.6:
            at += drawn.uniform(5, 60)
            bad = drawn.random() < 0.5
            found.append(event(at, outcome=int(bad), **common))
        if drawn.random() < 0.02:
            found.append(event(at, outcome=2, latency_ms=drawn.choice((10, 5000)), **common))
    return found


@pytest.mark.parametrize("minutes", [7, 26, 90])
def test_bins_sum_to_the_figures(tmp_path, minutes):
    events = crowd(minutes, minutes=minutes)
    result = ask(tmp_path, events, minutes=minutes, latency_tenets_ms={1: 500, 3: 500})

    answer = result.as_json()
    series = answer["series"]
    first, last = series["window"]

    assert 20 <= last - first <= 50
    summed = {name: sum(counts) for name, counts in series["attempts"].items()}
    assert {name: n for name, n in answer["attempts"].items() if n} == {
        "total": sum(summed.values()),
        **summed,
    }
    assert {"first_try", "slow", "retried", "gave_up", "cannot_tell"} <= set(summed)
    assert {len(counts) for counts in series["attempts"].values()} == {last - first}
    assert min(min(counts) for counts in series["attempts"].values()) >= 0
    # a caller who left after a long wait is no failed request, but failed there
    left = sum(
        e["outcome"] == 2
        and e["latency_ms"] == 5000
        and START <= e["ts"] < START + minutes * MINUTE
        for e in events
    )
    assert sum(series["requests"]["failed"][first:last]) == answer["requests"]["failed"] + left


def test_around_the_window_requests_are_counted_and_nothing_is_judged(tmp_path):
    result = ask(
        tmp_path,
        [
            event(-1790),
            event(-61, outcome=1, actor=12),
            event(5),
            event(1795),
            event(1801),
            event(1802, outcome=1, actor=12),
        ],
        minutes=30,
    )
    series = result.as_json()["series"]

    assert (series["bins"], series["window"]) == (90, [30, 60])
    assert series["requests"]["ok"][0] == series["requests"]["ok"][30] == 1
    assert series["requests"]["ok"][59] == series["requests"]["ok"][60] == 1
    assert (series["requests"]["failed"][28], series["requests"]["failed"][60]) == (1, 1)
    assert sum(map(sum, series["attempts"].values())) == 2


def test_what_is_not_known_yet_is_said(tmp_path):
    result = ask(
        tmp_path,
        [event(5), event(600, outcome=1)],
        minutes=60,
        as_of_ms=START + 15 * MINUTE,
        data_end_ms=START + 14 * MINUTE - 1,
    )
    series = result.as_json()["series"]

    assert series["window"] == [30, 60]
    assert series["bins"] == 60  # nothing is known after the window
    assert series["known"] == 37  # seven bins of two minutes


@given(
    length=st.integers(1, 400 * DAY), start=st.integers(0, 10**6), seen=st.integers(0, 500 * DAY),
    at=st.floats(0, 1, exclude_max=True),
)  # fmt: skip
def test_bins_are_few_and_equal_and_lie_where_they_say(length, start, seen, at):
    begin = START + start
    frame = Frame(
        files=(),
        start_ms=begin,
        end_ms=begin + length,
        as_of_ms=begin + seen,
        data_end_ms=begin + seen,
    )
    bins = Bins.of(frame)

    assert bins.inside <= 50
    assert bins.inside >= 20 or length < 20_000
    assert bins.total <= 150
    assert bins.edge(bins.before) == frame.start_ms
    assert bins.edge(bins.before + bins.inside) == frame.end_ms
    assert bins.edge(0) >= frame.read_from_ms - 1
    assert bins.edge(bins.total) <= max(frame.read_to_ms, frame.end_ms) + 1
    ts = bins.edge(0) + int(at * (bins.edge(bins.total) - bins.edge(0)))
    place = ((ts - begin) * bins.inside + bins.before * length) // length  # as its SQL says
    assert bins.edge(place) <= ts < bins.edge(place + 1)


def test_user_uptime_by_bin_falls_while_it_is_down_and_is_the_window_s_on_average(tmp_path):
    # Thirty people ask every 20 s; from minute 20 to 40 of the hour everything fails.
    events = [
        event(at, actor=100 + who, outcome=int(1200 <= at < 2400))
        for who in range(30)
        for at in range(-3600 + who % 20, 7200, 20)
    ]
    result = ask(tmp_path, events)
    answer = result.as_json()
    series = answer["series"]
    first, last = series["window"]
    inside = series["user_uptime"][first:last]

    assert sum(inside) / len(inside) == pytest.approx(answer["user_uptime"]["during"], abs=0.002)
    assert inside[0] == inside[-1] == 1.0
    assert inside[len(inside) // 2] == 0.0
    assert series["user_uptime"][first - 5] == 1.0


def test_user_uptime_is_not_told_of_a_few_people(tmp_path):
    few = ask(tmp_path, [event(at, actor=at % 9) for at in range(0, 3600, 10)])
    assert set(few.as_json()["series"]["user_uptime"]) <= {None}


def weekly(back, n=600, failing=False):
    drawn = random.Random(back)
    for number in range(n):
        at = -WEEK / 1000 * back + drawn.uniform(-4 * 3600, 2 * 3600)
        bad = failing and 0 <= at < 3600 and drawn.random() < 0.5
        yield event(at, actor=back * 10_000 + number, operation=1 + number % 3, outcome=int(bad))


def test_what_is_usual_comes_from_the_same_hours_of_earlier_weeks(tmp_path):
    weeks = [
        Week(back, tuple(write(tmp_path, list(weekly(back, 500 + 50 * back)))))
        for back in (1, 2, 3)
    ]
    result = ask(tmp_path, list(weekly(0, 450, failing=True)), baseline_weeks=weeks)
    answer = result.as_json()
    usual, lost = answer["series"]["usual"], answer["lost_attempts"]
    steps = next(one for one in answer["journeys"] if one["name"] == "Purchase")["steps"]

    assert usual["weeks"] == 3
    inside = round(3600 / usual["step_s"])
    assert sum(usual["mean"][-inside:]) == pytest.approx(100, rel=0.2)
    assert all(
        low <= mean <= high
        for low, mean, high in zip(usual["low"], usual["mean"], usual["high"], strict=True)
    )
    assert sum(step["usual"]["mean"] for step in steps) == pytest.approx(
        sum(usual["mean"][-inside:]), abs=0.2
    )
    assert [step["name"] for step in steps] == [NAMES.operation(op).name for op in (1, 2, 3)]
    assert sum(step["attempts"]["total"] for step in steps) == answer["attempts"]["total"]
    assert lost["weeks"] == 3


def test_without_earlier_weeks_nothing_is_usual(tmp_path):
    answer = ask(tmp_path, crowd(n=300)).as_json()
    assert answer["series"]["usual"] is None
    assert {step["usual"] for one in answer["journeys"] for step in one["steps"]} == {None}


def test_customers_do_not_make_it_longer(tmp_path):
    many = Catalogue(
        customers={n: CustomerName(n, f"Customer {n}", "business") for n in range(1, 301)},
        services=NAMES.services, operations=NAMES.operations, journeys=NAMES.journeys,
    )  # fmt: skip
    drawn = random.Random(4)
    events = [{**one, "customer": drawn.randrange(1, 301)} for one in crowd(n=3000)]
    answer = ask(tmp_path, events, names=many, minutes=90).as_json()
    assert len(answer["customers"]) > 280
    assert len(orjson.dumps(answer["series"])) < 8_000
