"""Days, rolled up: the same figures as by hand, from files and from events alike."""

from collections import defaultdict

import numpy as np
import pytest

from apps.analytics.daily import APART_REQUESTS, Days, open_once, starts_sql, write_day
from apps.analytics.minutes import Requests, by_minute, by_operation, open_minutes
from apps.analytics.sql import Fragment, Runner, connect
from tests.analytics.world import DAY, HOUR, MINUTE, event, write

MIDNIGHT = 20_775 * DAY
SPAN = range(20_774, 20_777)


@pytest.fixture
def run():
    with connect() as con:
        yield Runner(con)


def at(ms, **changes):
    return {**event(**changes), "ts": MIDNIGHT + ms}


def around_midnight(seed, n=600):
    """Three actors of two customers, some with keys, some requests reported twice or of bots."""
    dice = np.random.default_rng(seed)
    events = []
    for number in range(n):
        one = at(
            int(dice.integers(-2 * HOUR, 2 * HOUR)),
            customer=int(dice.integers(0, 2)),
            operation=int(dice.integers(1, 3)),
            actor=[None, 11, 12, 13][dice.integers(0, 4)],
            target=[None, 7][dice.integers(0, 2)],
            outcome=int(dice.choice(3, p=[0.6, 0.3, 0.1])),
            traffic=int(dice.choice(3, p=[0.9, 0.05, 0.05])),
            key=[None, None, 1, 2, 3][dice.integers(0, 5)],
            request=number + 1,
            latency_ms=int(dice.lognormal(5, 1.5)),
        )
        events.append(one)
        if dice.random() < 0.1:
            events.append(dict(one))
    return events


def begins(e, before):
    """Whether it does not follow a failure within 300 s."""
    latest = max(before, key=lambda o: (o["ts"], -o["outcome"]), default=None)
    return latest is None or latest["outcome"] == 0 or e["ts"] - latest["ts"] > 300_000


def by_hand(events):
    """(minute, customer, operation, actor told apart) -> requests, starts, keyed, unkeyed. Slow, obvious."""
    tries = list(
        {e["request"]: e for e in events if e["traffic"] == 0 and e["outcome"] != 2}.values()
    )
    many = defaultdict(int)
    for e in tries:
        many[e["ts"] // DAY, e["customer"], e["operation"], e["actor"]] += 1
    found = defaultdict(lambda: np.zeros(4, int))
    for e in tries:
        same = [
            o
            for o in tries
            if e["actor"] is not None
            and all(o[name] == e[name] for name in ("customer", "operation", "actor", "target"))
            and (o["ts"], -o["outcome"], o["request"]) < (e["ts"], -e["outcome"], e["request"])
        ]
        alike = [o for o in same if o["key"] == e["key"]]

        day = e["ts"] // DAY
        apart = e["actor"] is not None and many[day, e["customer"], e["operation"], e["actor"]] >= (
            APART_REQUESTS
        )
        today = [o for o in alike if o["ts"] >= day * DAY - HOUR]
        where = e["ts"] // MINUTE, e["customer"], e["operation"], e["actor"] if apart else None
        found[where] += (
            1,
            begins(e, same),
            apart and e["key"] is not None and not today,
            apart and e["key"] is None and begins(e, alike),
        )
    return {where: tuple(int(n) for n in counts) for where, counts in found.items()}


@pytest.mark.parametrize("seed", range(3))
def test_beginnings_of_attempts_are_those_found_by_hand_also_across_midnight(tmp_path, run, seed):
    events = around_midnight(seed)
    open_once(run, write(tmp_path, events), start_ms=SPAN[0] * DAY, end_ms=SPAN[-1] * DAY)
    run.view("begun", starts_sql(days=Fragment("true")))
    rows = run.rows(
        "SELECT minute, customer, operation, actor, requests, starts, keyed, unkeyed FROM begun"
    )
    assert {row[:4]: row[4:] for row in rows} == by_hand(events)
    assert any(row[3] for row in rows)
    assert any(not row[3] for row in rows)


@pytest.mark.parametrize("rolled", [[20_774], [20_775], [20_774, 20_775]])
def test_minutes_are_the_same_from_files_and_from_events(tmp_path, run, rolled):
    files = write(tmp_path, around_midnight(5), parts=3)
    folders = {}
    for day in rolled:
        folders[day] = str(tmp_path / str(day))
        (tmp_path / str(day)).mkdir()
        write_day(run, day, files, tmp_path / str(day))
    span = {"start_ms": MIDNIGHT - HOUR - 1, "end_ms": MIDNIGHT + 40 * MINUTE}
    answers = []
    for days in (Days({}, tuple(files)), Days(folders, tuple(files))):
        open_minutes(run, days, **span, merged={2: 1})
        answers.append((by_minute(run, customer=1), by_operation(run)))
    assert answers[0] == answers[1]
    assert list(answers[0][1]) == [(1, 1)], "operation 2 became operation 1"
    assert min(answers[0][0]) * MINUTE >= MIDNIGHT - HOUR - MINUTE


def test_requests_of_a_minute_by_how_they_ended(tmp_path, run):
    events = [
        at(0, request=1),
        at(1, request=1),
        at(2, outcome=1, actor=None, customer=0),
        at(3, outcome=2, key=5),
        at(4, traffic=1),
        at(5, traffic=2),
        at(MINUTE, service=2),
    ]
    days = Days(events=tuple(write(tmp_path, events)))
    open_minutes(run, days, start_ms=MIDNIGHT, end_ms=MIDNIGHT + 2 * MINUTE)
    first = MIDNIGHT // MINUTE
    assert by_minute(run) == {
        first: Requests(3, 1, 1, 1, named=2, with_actor=2, with_key=1, bots=1, probes=1),
        first + 1: Requests(1, 1, 0, 0, named=1, with_actor=1),
    }
    assert list(by_minute(run, service=2)) == [first + 1]


def test_latencies_add_up_to_quantiles_that_are_5_percent_off_at_most(tmp_path, run):
    latencies = np.random.default_rng(2).lognormal(5, 1.5, 4000).astype(int)
    events = [at(int(n) * 100, latency_ms=int(ms)) for n, ms in enumerate(latencies)]
    days = Days(events=tuple(write(tmp_path, events)))
    open_minutes(run, days, start_ms=MIDNIGHT, end_ms=MIDNIGHT + HOUR)
    found = by_operation(run)[1, 3]
    for share in (0.01, 0.5, 0.95, 0.999, 1):
        true = float(np.quantile(np.maximum(latencies, 1), share, method="lower"))
        assert found.quantile(share) == pytest.approx(true, rel=0.05)
    assert Requests().quantile(0.5) is None
