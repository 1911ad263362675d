"""How long people pause before they try again, also those whom W takes for two attempts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from apps.analytics.attempts.pauses import (
    LEAST_PAUSES,
    LONGEST_MS,
    SHORTEST_MS,
    STEPS,
    fit,
)
from tests.analytics.world import ask, event

STEP = float(np.log(300_000 / SHORTEST_MS) / STEPS)
EDGES = np.log(SHORTEST_MS) + STEP * np.arange(int(np.log(LONGEST_MS / SHORTEST_MS) / STEP) + 2)
NOTHING = np.zeros(len(EDGES) - 1, np.int64)


def drawn(n, *, median_s, spread, seed=1):
    """How many of `n` pauses lie in each step."""
    rng = np.random.default_rng(seed)
    return np.histogram(np.log(median_s * 1000) + rng.normal(0, spread, n), EDGES)[0]


@settings(max_examples=15, deadline=None)
@given(
    median_s=st.floats(10, 90), spread=st.floats(0.4, 1.0), n=st.integers(3_000, 20_000),
    others=st.integers(0, 30),
)  # fmt: skip
def test_pauses_beyond_the_window_are_told_from_those_within(median_s, spread, n, others):
    pauses = drawn(n, median_s=median_s, spread=spread)
    followed = pauses + np.where(np.arange(len(pauses)) >= STEPS, others, 0)

    found = fit(pauses, followed, NOTHING, STEP)

    true = 1 - ndtr((np.log(300_000) - np.log(median_s * 1000)) / spread)
    if true > 0.08:
        assert found is None or found.beyond > 0.05
        return
    assert found.median_ms / 1000 == pytest.approx(median_s, rel=0.15)
    assert found.spread == pytest.approx(spread, rel=0.15)
    late = followed[STEPS:]
    told = (np.array(found.shares) * late).sum()
    assert told == pytest.approx(pauses[STEPS:].sum(), abs=0.015 * n + 5)


def test_what_people_ask_for_anyway_is_no_pause():
    pauses = drawn(5_000, median_s=30, spread=0.8)
    anyway = drawn(3_000, median_s=900, spread=1.5, seed=2)
    alone = fit(pauses, pauses, NOTHING, STEP)

    found = fit(pauses + anyway, pauses + anyway, anyway, STEP)

    assert found.median_ms == pytest.approx(alone.median_ms, rel=0.15)
    assert found.beyond == pytest.approx(alone.beyond, abs=0.01)
    assert max(found.shares) < 0.5


def test_nothing_is_learned_from_few_or_from_what_knows_no_retry():
    assert fit(drawn(LEAST_PAUSES - 1, median_s=30, spread=0.1), NOTHING, NOTHING, STEP) is None
    flat = np.full(len(NOTHING), 40)
    assert fit(flat, flat, NOTHING, STEP) is None


def paused_people(n=1_500):
    """People of two customers who fail once and try again after a pause; returns events and seconds waited."""
    rng = np.random.default_rng(7)
    pauses = np.minimum(60 * np.exp(rng.normal(0, 0.9, n)), 1_700)
    events = []
    for person, (began, pause) in enumerate(zip(rng.uniform(0, 3_000, n), pauses, strict=True)):
        who = {"actor": 1_000 + person, "actor_kind": 1, "customer": 1 + person % 2}
        events += [event(began, outcome=1, **who), event(began + 0.1 + pause, **who)]
    return events, float((pauses + 0.1).sum())


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    return ask(tmp_path_factory.mktemp("pauses"), paused_people()[0])


def test_who_paused_for_longer_than_the_window_has_waited_too(answer):
    true = paused_people()[1]
    wait = answer.figures.extra_wait

    assert wait.sum - wait.paused < 0.9 * true  # what was seen without them
    assert wait.sum == pytest.approx(true, rel=0.05)
    assert answer.as_json()["extra_wait_s"]["paused"] == pytest.approx(wait.paused, abs=0.001)
    assert answer.basis["pauses"]["median_s"] == pytest.approx(60, rel=0.1)


def test_what_customers_waited_adds_up_to_what_all_did(answer):
    parts = [one.figures.extra_wait for one in answer.customers]

    assert len(parts) == 2
    assert sum(one.sum for one in parts) == pytest.approx(answer.figures.extra_wait.sum, abs=0.01)
    assert all(one.paused > 0 for one in parts)


def test_any_order_of_events_gives_the_same_waiting(tmp_path, answer):
    events = paused_people()[0]

    again = ask(tmp_path, events[::-1], parts=3)

    assert again.figures.extra_wait == answer.figures.extra_wait


def test_programs_that_come_back_late_with_their_key_have_not_paused(tmp_path):
    events = [{**one, "key": one["actor"]} for one in paused_people(300)[0]]

    assert ask(tmp_path, events).figures.extra_wait.paused == 0
