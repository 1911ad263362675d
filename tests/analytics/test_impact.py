"""Counts, actors, people behind proxies, uptime, outages, the lost and the gone, and every refusal."""

import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from apps.analytics.daily import Days, write_day
from apps.analytics.impact import Carried, compute, connect
from apps.analytics.measures import CannotTell
from apps.analytics.names import Week
from apps.analytics.sql import Cancelled, Runner, fill
from apps.analytics.stats import (
    Interval,
    Lost,
    Stratum,
    excess_gone,
    lost_attempts,
    net_lost,
    wilson,
)
from tests.analytics.world import DAY, HOUR, MINUTE, NAMES, PLAIN, START, ask, event, write

WEEK = 7 * DAY


def codes(result):
    return {gap.code for gap in result.gaps}


# ---- counts ------------------------------------------------------------------------------------


def test_requests_bots_probes_duplicates_and_coverage(tmp_path):
    result = ask(
        tmp_path,
        [
            event(0, request=1, key=4),
            event(0, request=1, key=4),
            event(1, outcome=1, actor=12),
            event(2, traffic=1),
            event(3, traffic=2, outcome=1),
            event(4, customer=0, actor=13),
            event(5, outcome=2, actor=14, customer=2),
            event(-5, outcome=1, actor=15),
            event(3600, outcome=1, actor=16),
        ],
    )
    answer = result.as_json()
    assert answer["requests"] == {
        "total": 4,
        "failed": 1,
        "client_aborts": 1,
        "bots": 1,
        "probes": 1,
        "duplicates": 1,
    }
    assert answer["coverage"] == {"named_customer": 0.75, "actor": 1.0, "key": 0.25}
    assert (answer["actors"]["total"], answer["actors"]["hit"]) == (4, 1)
    assert {row["id"] for row in answer["customers"]} == {1, 2}
    assert "customer" in codes(result)
    assert answer["window"]["from"].endswith("T10:00:00Z")


def test_rows_without_a_request_id_are_never_merged(tmp_path):
    assert ask(tmp_path, [event(0), event(0)]).figures.requests.total == 2


def test_one_service_only(tmp_path):
    events = [event(0), event(1, service=2, operation=9, outcome=1)]
    assert ask(tmp_path, events, service=1).figures.requests.failed == 0
    assert ask(tmp_path, events, service=2).figures.requests.failed == 1


def test_wrong_windows_and_cancelling(tmp_path):
    with pytest.raises(ValueError, match="end after it starts"):
        ask(tmp_path, [event()], minutes=0)
    with pytest.raises(Cancelled):
        ask(tmp_path, [event()], cancelled=lambda: True)
    with pytest.raises(TypeError):
        fill("SELECT $x", x="1; DROP TABLE events")


def test_progress_is_told_and_the_connection_serves_again(tmp_path):
    seen = []
    files = write(tmp_path, [event(0, outcome=1), event(9)])
    with connect() as con:
        answers = [
            compute(
                con,
                files=files,
                start_ms=START,
                end_ms=START + HOUR,
                as_of_ms=START + DAY,
                data_end_ms=START + DAY,
                names=NAMES,
                progress=lambda *step: seen.append(step),
            ).as_json()
            for _ in range(2)
        ]
        left = con.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone()
    assert answers[0] == answers[1]
    assert left == (0,)
    assert all(0 < step <= steps for step, steps, _ in seen)


# ---- people ------------------------------------------------------------------------------------


def test_twenty_addresses_with_one_browser_each_are_twenty_people(tmp_path):
    events = [
        event(n, actor=100 + n % 20, addr=n % 20, actor_kind=3, outcome=int(n % 20 < 6))
        for n in range(860)
    ]
    result = ask(tmp_path, events)
    assert (result.figures.actors.total, result.figures.actors.hit) == (20, 6)
    assert "address" in codes(result)


def test_many_browsers_behind_a_proxy_are_not_counted_as_people(tmp_path):
    events = [
        event(n, actor=100 + n % 30, addr=1, actor_kind=3, outcome=int(n % 10 == 0))
        for n in range(600)
    ]
    result = ask(tmp_path, events)
    assert (result.figures.actors.total, result.figures.actors.hit) == (None, None)
    assert result.figures.attempts.cannot_tell == 600
    assert {"proxy", "actor", "attempts"} <= codes(result)
    assert result.figures.requests.failed == 60
    assert "None" not in " ".join(s.text for s in result.story)


def test_with_few_actors_known_their_number_is_a_lower_bound(tmp_path):
    events = [event(n, actor=None if n % 2 else n, outcome=int(n < 20)) for n in range(100)]
    actors = ask(tmp_path, events).figures.actors
    assert (actors.total, actors.hit) == (None, None)
    assert (actors.at_least_total, actors.at_least_hit) == (50, 10)


def test_a_machine_with_a_steady_rhythm_is_a_probe(tmp_path):
    probe = [event(n * 60, actor=99, operation=1) for n in range(1440)]
    people = [event(n * 100.0, actor=n % 7, operation=1) for n in range(30)]
    result = ask(tmp_path, probe + people)
    assert result.basis["probes_by_rhythm"] == 1
    assert result.figures.requests.total == 30


def test_people_blocked_at_an_earlier_step(tmp_path):
    events = [
        *(event(0, actor=n, operation=2, outcome=1) for n in range(3)),
        event(60, actor=0, operation=2),
        event(60, actor=1, operation=3),
        event(90, actor=7),
    ]
    (journey,) = ask(tmp_path, events).journeys
    assert [(b.step, b.actors) for b in journey.blocked_at] == [("POST /cart/{id}", 1)]
    assert journey.figures.attempts.total == 2


def test_journeys_are_proposed_where_none_is_declared(tmp_path):
    events = [event(0), event(1, operation=1), event(2, operation=2)]
    journeys = ask(tmp_path, events, names=PLAIN).as_json()["journeys"]
    assert [(j["name"], j["declared"]) for j in journeys] == [
        ("POST /cart/{id}", False),
        ("POST /checkout", False),
    ]
    only_reading = ask(tmp_path, [event(1, operation=1)], names=PLAIN)
    assert [j.name for j in only_reading.journeys] == ["GET /product/{id}"]


# ---- grades and outages ------------------------------------------------------------------------


def test_grades(tmp_path):
    def graded(*events):
        return ask(tmp_path, [{**e, "customer": 2} for e in events]).customer(2).grade

    fine = [event(1000 + n * 10, actor=n) for n in range(20)]
    assert graded(*fine) == "not_hit"
    assert graded(*fine, event(0, outcome=1), event(9)) == "slowed"
    assert graded(*fine, event(0, outcome=1)) == "partly_hit"
    assert graded(event(0, outcome=1), event(0, actor=12)) == "hit"
    assert graded(event(0, outcome=1, actor=None)) == "cannot_tell"


def test_a_customers_own_outage_is_the_longest_run_without_success(tmp_path):
    dark = [event(100 + n * 60, customer=2, actor=n, outcome=1) for n in range(6)]
    events = [event(0, customer=2), *dark, event(520, customer=2), event(200, customer=3)]
    result = ask(tmp_path, events)
    outage = result.customer(2).outage
    assert (outage.from_ms, outage.to_ms) == (START + 100_000, START + 520_000)
    assert outage.failures == 6
    assert result.customer(3).outage is None
    four = ask(tmp_path, [event(0, customer=2), *dark[:4]])
    assert four.customer(2).outage is None


def longest_run(rows):
    """(first failure, next success, failures) of the longest run, by plain looking."""
    runs, run = [], []
    for ts, ok in [*sorted(rows), (None, True)]:
        if not ok:
            run.append(ts)
            continue
        if len(run) >= 5:
            runs.append((run[0], ts, len(run)))
        run = []
    last = max(ts for ts, _ in rows)
    return min(runs, key=lambda r: (r[0] - (r[1] or last), r[0]), default=None)


@pytest.mark.parametrize("seed", range(8))
def test_outages_are_what_plain_looking_finds(tmp_path, seed):
    chance = random.Random(seed)
    share = chance.choice([0.3, 0.6, 0.9])
    events = [
        event(
            chance.randrange(3600),
            customer=chance.choice([2, 3]),
            actor=chance.randrange(30),
            outcome=int(chance.random() < share),
        )
        for _ in range(chance.randrange(20, 200))
    ]
    result = ask(tmp_path, events)
    for customer in (2, 3):
        rows = [(e["ts"], e["outcome"] == 0) for e in events if e["customer"] == customer]
        outage = result.customer(customer).outage
        found = outage and (outage.from_ms, outage.to_ms, outage.failures)
        assert found == longest_run(rows)


# ---- user-uptime and waiting -------------------------------------------------------------------


@pytest.mark.parametrize("retries", [False, True])
def test_user_uptime_of_a_quarter_hour_outage_in_an_hour_is_three_quarters(tmp_path, retries):
    chance = np.random.default_rng(3)
    events = []
    for actor in range(400):
        at = float(chance.uniform(-3600, -3000))
        while at < 7200:
            down = 1200 <= at < 2100
            events.append(event(at, actor=actor, outcome=int(down), latency_ms=0))
            at += float(chance.exponential(5 if retries and down else 90))
    uptime = ask(tmp_path, events).figures.user_uptime
    assert uptime.during == pytest.approx(0.75, abs=0.01)
    assert uptime.before == 1.0
    assert uptime.after == 1.0
    assert uptime.actors == 400


def test_user_uptime_needs_ten_people(tmp_path):
    result = ask(tmp_path, [event(n, actor=n) for n in range(9)])
    assert result.figures.user_uptime.during is None
    assert "user_uptime" in codes(result)


def test_a_median_wait_needs_twenty_who_tried_again(tmp_path):
    def tried_again(n):
        events = [event(-100, actor=7)]
        for actor in range(n):
            events += [event(0, actor=actor, outcome=1), event(30, actor=actor)]
        return ask(tmp_path, events)

    few, many = tried_again(19), tried_again(20)
    assert (few.figures.extra_wait.p50, few.figures.extra_wait.sum) == (None, pytest.approx(570))
    assert "extra_wait" in codes(few)
    assert many.figures.extra_wait.p50 == pytest.approx(30)
    assert "extra_wait" not in codes(many)


# ---- earlier weeks -----------------------------------------------------------------------------


def history(
    folder, *, weeks=4, rate=120, lost=0.0, failed=0.0, gone=0.0, seed=1, hours=1, made_up=0.0
):
    """An even day and night demand, `lost` of it missing in the window, `made_up` of that later; (files, weeks)."""
    chance = np.random.default_rng(seed)
    began = START + HOUR - (weeks + 1) * WEEK
    n = chance.poisson(rate * (weeks + 1) * 7 * 24)
    ats = np.sort(chance.uniform(began - START, HOUR + DAY, n))
    people = chance.integers(1, 1500, n)
    leaving = set()
    events = []
    for at, actor in zip(ats, people, strict=True):
        inside = 0 <= at < hours * HOUR
        if inside and chance.random() < lost:
            if not made_up:
                continue
            at = chance.uniform(hours * HOUR, (hours + 5) * HOUR)  # noqa: PLW2901
            inside = False
        if at >= HOUR and int(actor) in leaving:
            continue
        bad = inside and chance.random() < failed
        if bad and chance.random() < gone:
            leaving.add(int(actor))
        events.append(event(at / 1000, actor=int(actor), outcome=int(bad)))
    files = write(folder, events)
    return files, [Week(back, ()) for back in range(1, weeks + 1)]


def asked(folder, **world):
    files, weeks = history(folder, **world)
    with connect() as con:
        return three_days_later(con, files, weeks)


def three_days_later(con, files, weeks, days=None, carried=None, hours=1, as_of_ms=START + 3 * DAY):
    return compute(
        con,
        files=files,
        start_ms=START,
        end_ms=START + hours * HOUR,
        as_of_ms=as_of_ms,
        data_end_ms=START + 3 * DAY,
        names=NAMES,
        baseline_weeks=weeks,
        days=days,
        carried=carried,
    )


def test_attempts_that_never_came_are_found_with_their_interval(tmp_path):
    result = asked(tmp_path, lost=0.5)
    lost = result.figures.lost
    assert isinstance(lost, Lost)
    assert lost.interval.low < 60 < lost.interval.high
    assert lost.interval.low > 0
    assert (lost.weeks, lost.placebos > 40) == (4, True)
    assert result.journeys[0].figures.lost == lost
    assert "lost_attempts" not in codes(result)


def test_what_is_carried_from_a_whole_computation_says_of_when_it_is(tmp_path):
    files, weeks = history(tmp_path, lost=0.5)
    with connect() as con:
        whole = three_days_later(con, files, weeks)
        kept = Carried.from_json(json.loads(json.dumps(whole.history.as_json())))
        light = three_days_later(con, files, (), carried=kept)
    assert kept == whole.history
    assert (whole.carried, whole.provisional) == (False, False)
    assert (light.carried, light.provisional) == (True, True)
    assert light.figures.lost == whole.figures.lost
    assert light.series == replace(whole.series, usual_of={})
    assert whole.as_json()["carried"] is None
    at = light.as_json()["carried"]["as_of"]
    (carried,) = [one for one in light.facts if one.kind == "lost"]
    assert carried.detail["told_as_of"] == at
    sentence = next(one.text for one in light.story if one.basis == "lost_attempts")
    assert sentence.endswith("58 were. That was so at 10:00 UTC."), sentence
    assert not [one for one in whole.facts if "told_as_of" in one.detail]


def test_what_was_put_off_and_made_up_for_is_not_lost(tmp_path):
    """Four hours in which two thirds stay away, and what came in the six hours after."""

    def net(made_up, *, hours=4, **seen):
        files, weeks = history(tmp_path, lost=0.66, hours=hours, made_up=made_up, rate=80)
        with connect() as con:
            result = three_days_later(con, files, weeks, hours=hours, **seen)
        return result, result.figures.net_lost

    result, found = net(0.0)
    gross = result.figures.lost.interval
    assert found.interval.estimate == pytest.approx(gross.estimate, abs=80)
    assert found.made_up.low < 0 < found.made_up.high
    assert found.interval.low > 0
    assert found.interval.low < gross.estimate < found.interval.high
    assert "net_lost" in codes(result)
    assert result.journeys[0].figures.net_lost == found

    result, found = net(1.0)
    assert result.figures.lost.interval.low > 0
    assert found.made_up.low > 0
    assert found.interval.low < 0 < found.interval.high
    assert "put_off" not in codes(result)
    assert "made_up" in {fact.kind for fact in result.facts}

    early, none = net(1.0, as_of_ms=START + 9 * HOUR)
    assert none == CannotTell("the six hours in which they may make up for it have not passed")
    assert "put_off" in codes(early)
    assert early.figures.lost == result.figures.lost


def test_made_up_is_what_comes_after_beyond_the_usual_without_those_who_failed():
    def lost(expected, observed, wide):
        estimate = expected - observed
        return Lost(
            expected, observed, Interval(estimate, estimate - wide, estimate + wide), "", 4, 99
        )

    found = net_lost(lost(400.0, 100, 30.0), lost(600.0, 820, 40.0), returned=20)
    assert found.made_up == Interval(200.0, 160.0, 240.0)
    assert found.interval == Interval(100.0, 50.0, 150.0)
    assert "fewer than usual" in net_lost(
        lost(400.0, 100, 30.0), lost(600.0, 500, 40.0), returned=0
    )
    assert "wanders" in net_lost(lost(40.0, 10, 9.0), lost(600.0, 620, 90.0), returned=0)


def test_an_ordinary_hour_lost_nothing(tmp_path):
    interval = asked(tmp_path).figures.lost.interval
    assert interval.low < 0 < interval.high


def test_two_weeks_or_too_few_expected_cannot_tell(tmp_path):
    two = asked(tmp_path, weeks=2, lost=0.5)
    assert two.figures.lost == CannotTell("only 2 earlier weeks to compare with; three are needed")
    assert "lost_attempts" in codes(two)
    quiet = asked(tmp_path, rate=12)
    assert "30 are needed" in quiet.figures.lost.why
    assert "30 are needed" in quiet.as_json()["lost_attempts"]["cannot_tell"]


def test_without_actors_failures_hide_the_lost(tmp_path):
    events = [event(n, actor=None, outcome=int(n % 4 == 0)) for n in range(200)]
    assert "actor" in ask(tmp_path, events).figures.lost.why


def test_those_who_did_not_return_are_compared_with_the_same_hour(tmp_path):
    result = asked(tmp_path, rate=300, failed=0.6, gone=0.5)
    gone = result.figures.not_returned
    usual = asked(tmp_path, rate=300, failed=0.6, seed=4).figures.not_returned
    assert gone.exposed > 100
    assert gone.interval.low > 0
    assert usual.interval.low < 0 < usual.interval.high

    # the more happened to people, the more of them stay away; and their whole curve differs
    doses = {one.name: one for one in gone.doses}
    untouched = doses["untouched"].interval
    assert doses["gave_up"].interval == gone.interval
    assert untouched.low < 0 < untouched.high
    assert gone.log_rank.z > 3 > abs(usual.log_rank.z)
    told = result.as_json()["not_returned"]
    assert told["log_rank"]["p"] < 0.003
    assert [one["dose"] for one in told["by_dose"]] == list(doses)
    assert told["still_away"][1]["usual"] < told["still_away"][1]["usual_high"]
    assert asked(tmp_path, failed=0.1).figures.not_returned.why.endswith("30 are needed")


def rolled_up(folder, files, days):
    """Roll the days up; what a reader of them is given."""
    folders = {}
    with connect() as con:
        for day in days:
            (folder / str(day)).mkdir()
            folders[day] = str(folder / str(day))
            write_day(Runner(con), day, files, folder / str(day))
    return Days(folders, tuple(files))


def test_days_that_are_rolled_up_say_the_same_as_their_events(tmp_path):
    files, weeks = history(tmp_path, rate=300, failed=0.6, gone=0.5)
    with connect() as con:
        plain = three_days_later(con, files, weeks).figures
        for third in (1, 2, 3):
            (tmp_path / str(third)).mkdir()
            today = START // DAY
            some = [day for day in range(today - 35, today + 3) if day % 3 < third]
            days = rolled_up(tmp_path / str(third), files, some)
            rolled = three_days_later(con, files, weeks, days).figures
            assert rolled.not_returned == plain.not_returned
            assert rolled.lost == plain.lost
    assert plain.lost.observed > 100
    plain = plain.not_returned
    assert plain.within_ms == 3 * DAY - HOUR + 1
    assert [one.day for one in plain.curve] == [0, 1, 2]
    assert plain.curve[0].exposed >= plain.curve[-1].exposed > plain.curve[-1].usual
    # The end of the last day is the end of the following: the same people as in the estimate.
    assert plain.curve[-1].exposed * plain.exposed == pytest.approx(plain.missing, abs=1)


def test_not_returned_waits_until_they_could_have(tmp_path):
    assert ask(tmp_path, [event()]).figures.not_returned == CannotTell(
        "no earlier weeks to compare with"
    )


# ---- statistics --------------------------------------------------------------------------------


def test_known_intervals():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(56, 70) == pytest.approx((0.6918, 0.8770), abs=1e-4)
    newcombe = excess_gone([Stratum(70, 56, 80, 48), Stratum(0, 0, 5, 1)])
    assert (newcombe.low / 70, newcombe.high / 70) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_with_few_windows_to_compare_with_the_interval_is_students():
    found = lost_attempts(np.full((4, 60), 10), zero=54, length=6, control=36, step=6)
    assert isinstance(found, Lost)
    assert found.method.endswith("quasi-Poisson t")
    assert (found.expected, found.observed, found.placebos) == (60, 60, 12)
    # Student's 97.5 % quantile with 2 degrees of freedom, times sqrt(60 (1 + 60/180 + 60/360))
    assert found.interval.high == pytest.approx(4.30265 * 90**0.5, rel=1e-4)
    assert found.interval.low == -found.interval.high


def test_the_interval_of_the_lost_covers_what_was_planted():
    chance = np.random.default_rng(11)
    covered, tried = 0, 120
    for _ in range(tried):
        shape = 1 + 0.6 * np.sin(np.arange(2016) / 2016 * 14 * np.pi)
        day = chance.lognormal(0, 0.05, size=(5, 1)) * np.ones((5, 2016))
        starts = chance.poisson(20 * shape * day)
        planted = int(chance.binomial(int(starts[0, -6:].sum()), 0.2))
        removed = chance.multivariate_hypergeometric(starts[0, -6:], planted)
        starts[0, -6:] -= removed
        answer = lost_attempts(starts, zero=2010, length=6, control=36, step=6)
        covered += answer.interval.low <= planted <= answer.interval.high
    assert 0.88 <= covered / tried <= 1.0


def test_with_few_placebos_the_interval_is_students():
    starts = np.full((4, 36 + 6), 20)
    answer = lost_attempts(starts, zero=36, length=6, control=36, step=6)
    assert "Poisson" in answer.method
    assert answer.interval.estimate == pytest.approx(0)


def test_no_files_at_all():
    with connect() as con:
        answer = compute(
            con,
            files=[],
            start_ms=START,
            end_ms=START + 26 * MINUTE,
            as_of_ms=START + DAY,
            data_end_ms=START,
            names=NAMES,
        )
    assert answer.figures.requests.total == 0
    assert "no_events" in codes(answer)


def test_a_world_with_everything_serialises(tmp_path):
    chance = random.Random(5)
    events = [
        event(
            chance.uniform(-7000, 80_000),
            customer=chance.randrange(4),
            actor=chance.choice([None, *range(50)]),
            operation=chance.randrange(1, 6),
            outcome=chance.choices([0, 1, 2], [6, 3, 1])[0],
            key=chance.choice([None, None, chance.randrange(200)]),
        )
        for _ in range(4000)
    ]
    answer = ask(tmp_path, events).as_json()
    assert {
        "window",
        "as_of",
        "watermark",
        "provisional",
        "coverage",
        "requests",
        "actors",
        "attempts",
        "extra_wait_s",
        "user_uptime",
        "lost_attempts",
        "not_returned",
        "journeys",
        "customers",
        "tenets",
        "gaps",
        "story",
    } <= set(answer)
    with tempfile.TemporaryDirectory() as folder:
        import json

        (Path(folder) / "answer.json").write_text(json.dumps(answer))
