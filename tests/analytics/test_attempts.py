"""The attempt rule: against brute force, against plain SQL, and its properties."""

import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.analytics.attempts import Frame, attempt_sql
from apps.analytics.impact import connect
from tests.analytics.world import (
    DAY,
    HOUR,
    MINUTE,
    START,
    ask,
    brute_force,
    event,
    write,
)

CLASSES = ("first_try", "slow", "retried", "gave_up", "came_back", "open", "cannot_tell")

events_strategy = st.lists(
    st.builds(
        event,
        at=st.one_of(
            st.integers(-1200, 4800),
            st.integers(-7000, 90_000),
            st.sampled_from([0, 10, 20, 30, 3600]),
        ),
        latency_ms=st.sampled_from([0, 100, 2000, 5000]),
        customer=st.sampled_from([1, 1, 2]),
        actor=st.sampled_from([11, 11, 12, None]),
        operation=st.sampled_from([3, 3, 2]),
        target=st.sampled_from([None, None, 7, 8]),
        outcome=st.sampled_from([0, 0, 1, 1, 1, 2]),
        key=st.sampled_from([None, None, None, 5, 6]),
        request=st.sampled_from([None, None, 101, 102, 103, 104]),
        traffic=st.sampled_from([0, 0, 0, 0, 1]),
    ),
    min_size=1,
    max_size=40,
)


def by_class(result):
    found = Counter()
    for operation in result.operations:
        for name in CLASSES:
            n = getattr(operation.figures.attempts, name)
            if n:
                found[operation.id, name] += n
    return dict(found)


@settings(max_examples=40, deadline=None)
@given(events=events_strategy, seen=st.sampled_from([30 * MINUTE, 62 * MINUTE, 3 * HOUR, 2 * DAY]))
def test_attempts_are_what_brute_force_finds(events, seen):
    with tempfile.TemporaryDirectory() as folder:
        result = ask(Path(folder), events, as_of_ms=START + seen)
    slow = brute_force(events, start=START, end=START + HOUR, as_of=START + seen)
    expected = Counter()
    for (_, operation, name), n in slow.items():
        expected[operation, name] += n
    assert by_class(result) == dict(expected)


def test_a_key_tried_again_after_the_window_still_joins(tmp_path):
    events = [event(0, actor=12, key=5, outcome=1), event(3600, actor=12, key=5)]

    result = ask(tmp_path, events, as_of_ms=START + 62 * MINUTE)

    assert by_class(result) == {(3, "retried"): 1}


@settings(max_examples=10, deadline=None)
@given(events=events_strategy, parts=st.integers(1, 5), seed=st.integers())
def test_any_split_and_order_of_events_gives_the_same_answer(events, parts, seed):
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        whole = ask(Path(folder), events).as_json()
        split = ask(Path(folder), shuffled, parts=parts).as_json()
    whole["basis"].pop("files")
    split["basis"].pop("files")
    assert whole == split


@settings(max_examples=10, deadline=None)
@given(events=events_strategy)
def test_doubling_every_event_with_a_request_id_changes_nothing_but_their_count(events):
    events = [{**e, "request": number} for number, e in enumerate(events)]
    with tempfile.TemporaryDirectory() as folder:
        once = ask(Path(folder), events).as_json()
        twice = ask(Path(folder), events + events).as_json()
    inside = sum(START <= e["ts"] < START + HOUR for e in events)
    assert twice["requests"].pop("duplicates") == inside
    assert once["requests"].pop("duplicates") == 0
    for scope in ("journeys", "operations", "customers"):
        for row in (*once[scope], *twice[scope]):
            row["requests"].pop("duplicates")
    assert once == twice


@settings(max_examples=10, deadline=None)
@given(events=events_strategy, longer=st.integers(1, 3000))
def test_a_longer_window_never_turns_a_success_into_a_failure(events, longer):
    events = [e for e in events if START <= e["ts"] < START + HOUR]
    with tempfile.TemporaryDirectory() as folder:
        short = ask(Path(folder), events).figures.attempts
        windows = {("consumers", op): 300 + longer for op in (2, 3)}
        windows |= {("business", op): 300 + longer for op in (2, 3)}
        long = ask(Path(folder), events, windows=windows).figures.attempts
    assert long.through == short.through
    assert long.failed <= short.failed


@settings(max_examples=10, deadline=None)
@given(events=events_strategy)
def test_classes_sum_to_the_total_in_every_scope(events):
    with tempfile.TemporaryDirectory() as folder:
        answer = ask(Path(folder), events).as_json()
    for row in (answer, *answer["journeys"], *answer["operations"], *answer["customers"]):
        assert row["attempts"]["total"] == sum(row["attempts"][name] for name in CLASSES)
    for name in CLASSES:
        total = answer["attempts"][name]
        assert total == sum(row["attempts"][name] for row in answer["operations"])
        assert total == sum(row["attempts"][name] for row in answer["customers"])


def test_plain_sql_by_hand_gives_the_same_counts(tmp_path):
    chance = random.Random(7)
    events = [
        event(
            chance.uniform(-3000, 9000),
            customer=chance.choice([1, 2]),
            actor=chance.randrange(40),
            operation=chance.choice([1, 2, 3]),
            outcome=chance.choices([0, 1, 2], [70, 25, 5])[0],
            request=chance.randrange(1500),
        )
        for _ in range(3000)
    ]
    result = ask(tmp_path, events)
    frame = Frame(
        files=tuple(write(tmp_path, events)),
        start_ms=START,
        end_ms=START + HOUR,
        as_of_ms=START + 2 * DAY,
        data_end_ms=START + 2 * DAY,
    )
    with connect() as con:
        by_hand = Counter()
        for _, operation, name, n, _ in con.execute(attempt_sql(frame)).fetchall():
            by_hand[operation, name] += n
    assert by_class(result) == dict(by_hand)


# ---- single rules ------------------------------------------------------------------------------


def attempts(tmp_path, *events, **arguments):
    found = ask(tmp_path, list(events), **arguments).figures.attempts
    return {name: getattr(found, name) for name in CLASSES if getattr(found, name)}


def test_a_failure_then_a_success_is_one_attempt_and_the_wait_is_counted(tmp_path):
    result = ask(tmp_path, [event(-60), event(0, outcome=1), event(48)])
    assert result.figures.attempts.retried == 1
    assert result.figures.extra_wait.sum == pytest.approx(48.0)


def test_another_product_is_another_attempt(tmp_path):
    found = attempts(tmp_path, event(0, outcome=1, target=7), event(20, target=8))
    assert found == {"gave_up": 1, "first_try": 1}


def test_the_same_key_joins_across_targets_and_pauses(tmp_path):
    found = attempts(tmp_path, event(0, outcome=1, target=7, key=5), event(3000, target=8, key=5))
    assert found == {"retried": 1}


def test_a_replay_after_success_with_the_same_key_is_no_new_attempt(tmp_path):
    assert attempts(tmp_path, event(0, key=5), event(9, key=5)) == {"first_try": 1}


def test_an_attempt_that_began_before_the_window_is_not_taken_for_a_new_one(tmp_path):
    found = attempts(tmp_path, event(-30, outcome=1), event(10, outcome=1), event(60))
    assert found == {}


def test_a_success_after_the_window_counts_as_retried_or_came_back(tmp_path):
    assert attempts(tmp_path, event(3590, outcome=1), event(3700)) == {"retried": 1}
    assert attempts(tmp_path, event(0, outcome=1), event(20_000)) == {"came_back": 1}
    assert attempts(tmp_path, event(0, outcome=1), event(90_100)) == {"gave_up": 1}


def test_still_trying_until_the_gap_has_passed(tmp_path):
    one = event(0, outcome=1)
    assert attempts(tmp_path, one, as_of_ms=START + 200_000) == {"open": 1}
    assert attempts(tmp_path, one, as_of_ms=START + 301_000) == {"gave_up": 1}
    assert ask(tmp_path, [one], as_of_ms=START + 301_000).provisional
    assert not ask(tmp_path, [one]).provisional


def test_client_aborts_are_counted_and_left_out_of_attempts(tmp_path):
    result = ask(tmp_path, [event(0, outcome=1), event(5, outcome=2), event(9)])
    assert result.figures.requests.client_aborts == 1
    assert result.figures.attempts.as_json()["total"] == 1
    assert result.figures.requests.failed == 1


def test_who_leaves_after_a_long_wait_has_tried_and_failed(tmp_path):
    left = event(0, outcome=2, latency_ms=5000)
    assert attempts(tmp_path, left) == {"gave_up": 1}
    assert attempts(tmp_path, left, event(20)) == {"retried": 1}
    assert attempts(tmp_path, left, event(1000)) == {"came_back": 1, "first_try": 1}
    assert ask(tmp_path, [left]).figures.requests.failed == 0
    assert ask(tmp_path, [left]).figures.requests.client_aborts == 1
    # what is promised takes the place of 3 s
    assert attempts(tmp_path, left, event(1000), latency_tenets_ms={3: 8000}) == {"first_try": 1}
    short = event(0, outcome=2, latency_ms=900)
    assert attempts(tmp_path, short, event(1000), latency_tenets_ms={3: 500})["came_back"] == 1


def test_slow_is_a_success_over_the_promised_latency(tmp_path):
    events = [event(0, latency_ms=900), event(600, latency_ms=90)]
    found = attempts(tmp_path, *events, latency_tenets_ms={3: 500})
    assert found == {"slow": 1, "first_try": 1}
    other = [event(n, operation=2, latency_ms=9000) for n in range(2)]
    assert attempts(tmp_path, *events, *other, latency_tenets_ms={3: 500})["first_try"] == 3


def test_a_busy_caller_without_keys_cannot_be_told_and_with_keys_can(tmp_path):
    busy = [event(n * 10, customer=2, outcome=int(n % 50 == 0)) for n in range(-300, 360)]
    result = ask(tmp_path, busy)
    found = result.figures.attempts
    assert (found.retried, found.failed) == (0, 0)
    # a failure joins the success after it and blurs those up to 300 s on: 1 + 29, at the end 1 + 8
    assert found.cannot_tell == 7 * 30 + 9
    assert found.first_try == 352 - 8 - (7 * 29 + 8)
    assert result.customer(2).grade == "cannot_tell"
    assert "attempts" in {gap.code for gap in result.gaps}
    keyed = [{**e, "key": 1000 + n} for n, e in enumerate(busy)]
    told = ask(tmp_path, keyed).figures.attempts
    assert (told.cannot_tell, told.came_back, told.first_try) == (0, 8, 352)


def test_clocks_of_hosts_are_set_right_where_arrival_is_known(tmp_path):
    events = []
    for n in range(60):
        host, shift = (1, 0) if n % 2 else (2, 2000)
        at = n * 20
        made = event(at, host=host, actor=100 + n, request=n)
        events.append({**made, "ts": made["ts"] + shift, "arrived": made["ts"] + 150})
    # really: failed on host 2, then ok one second later on host 1
    events.append({**event(1302, host=2, outcome=1, request=900), "arrived": START + 1_300_150})
    events.append({**event(1301, host=1, request=901), "arrived": START + 1_301_150})
    result = ask(tmp_path, events)
    assert result.basis["hosts_with_clock_skew"] == 2
    assert result.figures.attempts.retried == 1


def test_batches_that_arrive_late_say_nothing_about_clocks(tmp_path):
    events = [
        {**event(n, host=n % 2, actor=n), "arrived": START + (5 * HOUR if n % 2 else 9 * HOUR)}
        for n in range(2000)
    ]
    assert ask(tmp_path, events).basis["hosts_with_clock_skew"] == 0
