"""The simulation: the same dice, the planted rates, and a truth that agrees with the log."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from apps.analytics.events import EVENT_SCHEMA, ActorKind, Outcome, Traffic
from apps.analytics.simulate import (
    ABSENCE_SCHEMA,
    ATTEMPT_SCHEMA,
    FAULTS,
    OPERATIONS,
    Plan,
    build_world,
    simulate,
    to_ndjson,
)

DAY_MS = 86_400_000


def run(plan: Plan) -> tuple[pa.Table, pa.Table, pa.Table]:
    chunks = list(simulate(plan))
    return (
        pa.concat_tables(chunk.events for chunk in chunks),
        pa.concat_tables(chunk.attempts for chunk in chunks),
        pa.concat_tables(chunk.absences for chunk in chunks),
    )


def text(table: pa.Table, column: str) -> np.ndarray:
    return np.array(table[column].cast(pa.string()).to_pylist(), object)


def col(table: pa.Table, column: str) -> np.ndarray:
    return np.asarray(table[column].fill_null(0).to_numpy())


@pytest.fixture(scope="module")
def partial():
    plan = Plan.scenario("partial", seed=3, events=300_000, weeks=2, chunk=40_000)
    return plan, *run(plan)


@pytest.fixture(scope="module")
def total():
    plan = Plan.scenario("total", seed=4, events=300_000, weeks=1)
    return plan, *run(plan)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not():
    plan = Plan.scenario("partial", seed=7, events=20_000)
    first, again, other = run(plan), run(plan), run(replace(plan, seed=8))
    assert all(a.equals(b) for a, b in zip(first, again, strict=True))
    assert not first[0].equals(other[0])


def test_forms(partial):
    _, events, attempts, absences = partial
    assert events.schema == EVENT_SCHEMA
    assert attempts.schema == ATTEMPT_SCHEMA
    assert absences.schema == ABSENCE_SCHEMA
    assert abs(events.num_rows / 300_000 - 1) < 0.05


def test_chunks_follow_each_other_and_are_sorted():
    plan = Plan(seed=1, events=60_000, weeks=1, chunk=10_000)
    chunks = list(simulate(plan))
    assert len(chunks) > 4
    assert chunks[0].begin == plan.start_ms
    assert chunks[-1].end == plan.end_ms
    for chunk, following in pairwise(chunks):
        assert chunk.end == following.begin
    for chunk in chunks:
        ts = col(chunk.events, "ts")
        assert (np.diff(ts) >= 0).all()
        assert ts.min() >= chunk.begin - 300
        assert ts.max() < chunk.end + 2010


def test_the_chunk_size_does_not_cut_attempts(partial):
    _, events, attempts, _ = partial
    seen = set(col(events, "request").tolist())
    wanted = col(attempts, "request")
    assert set(wanted.tolist()) <= seen
    assert len(set(wanted.tolist())) == len(wanted)


def test_truth_agrees_with_the_log(partial):
    """Tries and failed tries of all attempts are the customers' requests in the log, each once."""
    plan, events, attempts, _ = partial
    once = np.unique(col(events, "request"), return_index=True)[1]
    log = events.take(once)
    probes = {int(build_world(plan).actor[one]) for one in build_world(plan).probes}
    mine = (col(log, "traffic") == Traffic.CUSTOMERS) & ~np.isin(col(log, "actor"), list(probes))
    # What the last attempts still do after the end is not in the log.
    late = col(attempts, "end") >= plan.end_ms
    assert late.sum() < 50
    tries = int(col(attempts, "tries").sum())
    assert 0 <= tries - mine.sum() <= int(col(attempts, "tries")[late].sum())
    failed = int((col(log, "outcome")[mine] == Outcome.FAILED).sum())
    assert (
        0 <= int(col(attempts, "failed").sum()) - failed <= int(col(attempts, "failed")[late].sum())
    )


def test_classes_are_what_they_say(partial):
    _, _, attempts, _ = partial
    label = text(attempts, "class")
    failed, took = col(attempts, "failed"), col(attempts, "end") - col(attempts, "start")
    promised = np.array([0, *(one.promised_ms for one in OPERATIONS)])[col(attempts, "operation")]
    assert {"first_try", "slow", "retried", "came_back", "gave_up"} == set(label)
    tries = col(attempts, "tries")
    assert (failed[np.isin(label, ["first_try", "slow"])] == 0).all()
    assert (tries[np.isin(label, ["first_try", "slow"])] == 1).all()
    assert (took[label == "first_try"] <= promised[label == "first_try"]).all()
    assert (took[label == "slow"] > promised[label == "slow"]).all()
    assert (tries[label == "retried"] > 1).all()
    extra = col(attempts, "extra_ms")
    assert (extra[label == "retried"] > 0).mean() > 0.9
    assert (extra[label != "retried"] == 0).all()


def test_came_back_means_a_later_success_at_the_same_thing_within_a_day(partial):
    _, _, attempts, _ = partial
    rows = attempts.select(["person", "operation", "target", "start", "end", "class"]).to_pylist()
    wins: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for row in rows:
        if row["class"] in {"first_try", "slow", "retried"}:
            wins.setdefault((row["person"], row["operation"], row["target"]), []).append(
                (row["start"], row["end"])
            )
    lost = [row for row in rows if row["class"] in {"came_back", "gave_up"}]
    assert len(lost) > 100
    for row in lost:
        later = wins.get((row["person"], row["operation"], row["target"]), [])
        back = any(start >= row["start"] and end <= row["end"] + DAY_MS for start, end in later)
        assert back == (row["class"] == "came_back")


def test_the_fault_fails_what_it_says_and_nothing_else(partial):
    plan, events, _, _ = partial
    begin, end = plan.window_ms
    world = build_world(plan)
    inside = (col(events, "ts") >= begin) & (col(events, "ts") < end)
    hit = world.hit[col(events, "customer")]
    failed = col(events, "outcome") == Outcome.FAILED
    assert len(world.hit_customers) == round(0.7 * plan.customers)
    assert failed[inside & hit].mean() > 0.45
    assert failed[inside & ~hit].mean() < 0.05
    usual = failed[~inside].mean()
    assert 0.002 < usual < 0.005
    search = inside & hit & (col(events, "operation") == 1)
    assert abs(failed[search].mean() - 0.5) < 0.1


def test_people_retry_as_planned(total):
    """P(retry | first failure) of people, and the median pause before the second try."""
    plan, _, attempts, _ = total
    world = build_world(plan)
    begin, end = plan.window_ms
    people = np.isin(text(attempts, "group"), ["people", "by_address"])
    web = np.array([one.uses == "web" for one in world.customers])[col(attempts, "customer") - 1]
    early = (col(attempts, "start") >= begin) & (col(attempts, "start") < end - 300_000)
    some = people & web & early
    assert some.sum() > 100
    again = (col(attempts, "tries")[some] > 1).mean()
    assert abs(again - plan.human_retry[0]) < 4 * np.sqrt(0.72 * 0.28 / some.sum())


@pytest.mark.parametrize("gap", [12.0, 40.0])
def test_the_pause_of_people_is_the_planned_one(gap):
    plan = Plan.scenario(
        "total",
        seed=9,
        events=200_000,
        weeks=1,
        human_gap_s=gap,
        duplicates=0.0,
        skewed_hosts=False,
    )
    events, _, _ = run(plan)
    world = build_world(plan)
    web = [one.id for one in world.customers if one.uses == "web"]
    begin, end = plan.window_ms
    log = events.filter(
        pc.and_(
            pc.is_in(events["customer"], pa.array(web, pa.int32())),
            pc.and_(pc.greater_equal(events["ts"], begin), pc.less(events["ts"], end)),
        )
    ).sort_by(
        [
            ("actor", "ascending"),
            ("operation", "ascending"),
            ("target", "ascending"),
            ("ts", "ascending"),
        ]
    )
    same = np.ones(log.num_rows - 1, bool)
    for name in ("actor", "operation", "target"):
        same &= np.diff(col(log, name)) == 0
    gaps = col(log, "ts")[1:] - (col(log, "ts") + col(log, "latency_ms"))[:-1]
    pauses = gaps[same & (gaps > 0) & (gaps < 600_000)] / 1000
    assert 0.75 * gap < np.median(pauses) < 1.3 * gap


def test_some_never_tried_some_were_cut_short_and_some_did_not_return(partial):
    plan, _, attempts, absences = partial
    kind, cause = text(absences, "kind"), text(absences, "cause")
    begin, _ = plan.window_ms
    shy = np.isin(kind, ["never_tried", "deferred"])
    assert shy.sum() > 5
    assert (cause[shy] == "fault").all()
    assert (col(absences, "ts")[shy] >= begin).all()
    assert build_world(plan).hit[col(absences, "customer")[shy]].all()
    assert (cause[kind == "cut_short"] == "gave_up").all()
    gone = {
        int(person): int(ts)
        for person, ts in zip(
            col(absences, "person")[kind == "not_returned"],
            col(absences, "ts")[kind == "not_returned"],
            strict=True,
        )
    }
    assert {"gave_up", "usual"} <= set(cause[kind == "not_returned"])
    last: dict[int, int] = {}
    for person, start in zip(col(attempts, "person"), col(attempts, "start"), strict=True):
        last[int(person)] = max(last.get(int(person), 0), int(start))
    assert all(last.get(person, 0) <= ts for person, ts in gone.items())


def test_the_share_that_never_tries_is_planned():
    shares = []
    for seed in range(4):
        plan = Plan.scenario(
            "total", seed=seed, events=400_000, weeks=1, never_tries=0.5, deferred=0.0
        )
        _, attempts, absences = run(plan)
        begin, end = plan.window_ms
        visits = np.isin(text(attempts, "group"), ["people", "by_address", "nameless"])
        tried = visits & (col(attempts, "start") >= begin) & (col(attempts, "start") < end)
        # All fail, so that each visit makes one attempt at a thing and goes on in three of ten cases.
        begun = tried.sum() * (1 - plan.stays_after_giving_up)
        never = (text(absences, "kind") == "never_tried").sum() / 4.0
        shares.append(never / (never + begun))
    assert 0.4 < np.mean(shares) < 0.6


def test_dirt(partial):
    plan, events, _, _ = partial
    world = build_world(plan)
    requests = col(events, "request")
    duplicates = len(requests) - len(np.unique(requests))
    assert abs(duplicates / len(requests) - plan.duplicates) < 0.001
    assert abs((col(events, "traffic") == Traffic.BOT).mean() - plan.bot_share) < 0.003
    kinds = set(col(events, "actor_kind").tolist())
    assert kinds == {int(kind) for kind in ActorKind}
    assert (col(events, "actor")[col(events, "actor_kind") == ActorKind.NONE] == 0).all()
    # The skew of each host can be told again from arrivals, against the fleet.
    off = col(events, "ts") + col(events, "latency_ms") - col(events, "arrived")
    host = col(events, "host")
    medians = np.array([np.median(off[host == one]) for one in range(1, 7)])
    assert np.allclose(
        medians - np.median(medians), world.host_skew - np.median(world.host_skew), atol=20
    )
    shared = np.unique(world.address, return_counts=True)[1]
    assert shared.max() > 5


def test_probes_keep_their_rhythm():
    plan = Plan(seed=2, events=60_000, weeks=1, probes=2, duplicates=0.0, skewed_hosts=False)
    events, attempts, _ = run(plan)
    world = build_world(plan)
    for person in world.probes:
        actor = int(world.actor[person])
        ts = np.sort(col(events, "ts")[col(events, "actor") == actor])
        assert abs(len(ts) - 7 * 1440) <= 2
        low, middle, high = np.quantile(np.diff(ts), [0.05, 0.5, 0.95])
        assert abs(middle - 60_000) < 100
        assert high - low < 0.1 * middle
        assert actor not in col(attempts, "actor")


def test_keys_join_a_programs_tries(total):
    plan, events, attempts, _ = total
    world = build_world(plan)
    keyed = {int(one) for one in np.unique(world.actor[world.keyed])}
    log = events.take(np.unique(col(events, "request"), return_index=True)[1])
    mine = np.isin(col(log, "actor"), list(keyed))
    calls = len(np.unique(col(log, "key")[mine]))
    assert (col(log, "key")[mine] != 0).all()
    assert calls == (text(attempts, "group") == "keyed").sum()
    assert mine.sum() > calls


def test_silence_leaves_no_trace_but_a_truth():
    plan = Plan.scenario("silence", seed=1, events=300_000, weeks=1)
    events, attempts, absences = run(plan)
    begin, end = plan.window_ms
    ts = col(events, "ts")
    assert ((ts >= begin + 2010) & (ts < end - 300)).sum() == 0
    unseen = text(absences, "kind") == "unseen"
    assert unseen.sum() > 20
    assert unseen.sum() == attempts["request"].null_count


def test_latency_makes_people_leave():
    plan = Plan.scenario("latency", seed=1, events=300_000, weeks=1)
    events, attempts, _ = run(plan)
    begin, end = plan.window_ms
    inside = (col(events, "ts") >= begin) & (col(events, "ts") < end)
    left = col(events, "outcome") == Outcome.CLIENT_ABORT
    assert (col(events, "status")[left] == 499).all()
    assert left[inside].mean() > 0.05
    assert left[~inside].mean() < 0.001
    assert pc.any(attempts["aborted"]).as_py()


def test_one_customer_and_one_journey():
    world = build_world(Plan.scenario("customer", seed=1))
    assert len(world.hit_customers) == 1
    assert world.customers[world.hit_customers[0] - 1].kind == "business"
    plan = Plan.scenario("journey", seed=1, events=300_000, weeks=1)
    events, _, _ = run(plan)
    begin, end = plan.window_ms
    inside = (col(events, "ts") >= begin) & (col(events, "ts") < end)
    failed = col(events, "outcome") == Outcome.FAILED
    paying = col(events, "operation") == 4
    assert failed[inside & paying].mean() > 0.8
    assert failed[inside & ~paying].mean() < 0.03


def test_a_placebo_has_a_window_and_nothing_in_it():
    plan = Plan.scenario("none", events=50_000)
    _, _, absences = run(plan)
    begin, end = plan.window_ms
    assert datetime.fromtimestamp(begin / 1000, UTC) == datetime(2026, 2, 3, 10, 4, tzinfo=UTC)
    assert end - begin == 26 * 60_000
    assert not np.isin(text(absences, "kind"), ["never_tried", "deferred", "unseen"]).any()
    assert not build_world(plan).hit_customers


@pytest.mark.parametrize("events", [1, 7, 500])
def test_small_plans_run(events):
    log, _, _ = run(Plan(events=events, weeks=1))
    assert log.num_rows < 4 * events + 20


@pytest.mark.parametrize(
    "changes",
    [
        {"events": 0},
        {"weeks": 0},
        {"seed": -1},
        {"customers": 3},
        {"start": datetime(2026, 1, 5)},
        {"fault_at": timedelta(days=9)},
    ],
)
def test_senseless_plans_are_refused(changes):
    with pytest.raises(ValueError, match=r"must|needs"):
        Plan(**changes)


def test_an_unknown_fault_is_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"There is no fault 'nonsense'\. There is: none, total"):
        Plan.scenario("nonsense")
    assert set(FAULTS) == {"none", "total", "partial", "latency", "customer", "journey", "silence"}


def test_lines_say_what_the_events_say(total):
    plan, events, _, _ = total
    world = build_world(plan)
    some = events.slice(events.num_rows // 8, 5000)
    lines = [orjson.loads(line) for line in to_ndjson(some, world.names).splitlines()]
    assert len(lines) == some.num_rows
    identities: dict[tuple[str, ...], int] = {}
    for line, row in zip(lines, some.to_pylist(), strict=True):
        when = datetime.fromisoformat(line["time"])
        assert round(when.timestamp() * 1000) == row["ts"]
        assert line["latency_ms"] == row["latency_ms"]
        assert line["customer"] == world.customers[row["customer"] - 1].slug
        assert line["operation"] == OPERATIONS[row["operation"] - 1].name
        assert ("{id}" in line["operation"]) == ("path" in line)
        assert line["status"] == row["status"]
        assert "outcome" not in line
        assert ("idempotency_key" in line) == (row["key"] is not None)
        assert ("Googlebot" in line["user_agent"]) == (row["traffic"] == Traffic.BOT)
        said = ("actor" in line, "session" in line, "client_ip" in line)
        assert (
            said
            == {
                ActorKind.NONE: (False, False, False),
                ActorKind.END_USER: (True, False, True),
                ActorKind.SESSION: (False, True, True),
                ActorKind.ADDRESS: (False, False, True),
            }[ActorKind(row["actor_kind"])]
        )
        if row["actor"] is not None and row["traffic"] == Traffic.CUSTOMERS:
            who = (
                line.get("actor") or line.get("session") or (line["client_ip"] + line["user_agent"])
            )
            assert identities.setdefault((line["customer"], who), row["actor"]) == row["actor"]


def test_lines_give_the_outcome_that_the_status_hides():
    events, _, _ = run(Plan(events=500, weeks=1))
    names = build_world(Plan(events=500, weeks=1)).names
    hidden = events.slice(0, 2).set_column(
        9, EVENT_SCHEMA.field("outcome"), pa.array([Outcome.FAILED, Outcome.OK], pa.int8())
    )
    hidden = hidden.set_column(10, EVENT_SCHEMA.field("status"), pa.array([200, 500], pa.int16()))
    lines = [orjson.loads(line) for line in to_ndjson(hidden, names).splitlines()]
    assert [line["outcome"] for line in lines] == ["failed", "ok"]
    assert to_ndjson(events.slice(0, 0), names) == b""


def test_the_essays_outage_has_its_size_its_hour_and_its_customers():
    plan = Plan.essay()
    begin, end = plan.window_ms
    failed = rows = 0
    for chunk in simulate(plan):
        ts, status = col(chunk.events, "ts"), col(chunk.events, "status")
        failed += int(((status == 500) & (ts >= begin) & (ts < end)).sum())
        rows += chunk.events.num_rows

    assert failed == pytest.approx(65_000, rel=0.03)
    assert rows < 2_000_000
    kinds = [customer.kind for customer in build_world(plan).customers]
    assert kinds.count("business") == 40
    assert {"consumer", "internal"} < set(kinds)
    at = [datetime.fromtimestamp(ms / 1000, UTC) for ms in (begin, end)]
    assert [f"{one:%H:%M}" for one in at] == ["10:04", "10:30"]
