"""Windowed user-uptime: the worst minute, the worst hour; one long outage is told from many short ones."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.measures.windowed import LADDER, worst_windows
from tests.analytics.world import START, ask, event, write

MINUTES = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=200)


def worst(up, down):
    found = worst_windows(np.array(up, dtype=float), np.array(down, dtype=float))
    return {minutes: share for minutes, share, _ in found}


@given(MINUTES)
def test_it_is_the_smallest_of_all_and_no_worse_the_longer_one_looks(minutes):
    up, down = (np.array(one, dtype=float) for one in zip(*minutes, strict=True))
    found = worst_windows(up, down)

    shares = [share for _, share, _ in found]
    assert all(a <= b + 1e-12 for a, b in pairwise(shares))
    for length, share, place in found:
        of = [
            up[at : at + length].sum() / (up + down)[at : at + length].sum()
            for at in range(len(up) - length + 1)
            if (up + down)[at : at + length].sum()
        ]
        assert share == pytest.approx(min(of))
        inside = slice(place, place + length)
        assert share == pytest.approx(up[inside].sum() / (up + down)[inside].sum())


def test_lengths_divide_each_other():
    assert all(b % a == 0 for a, b in pairwise(LADDER))
    assert (LADDER[0], LADDER[-1]) == (1, 90 * 1440)


def test_it_tells_one_long_outage_from_many_short_ones_of_the_same_user_uptime():
    once, often = np.ones(240), np.ones(240)
    once[100:124] = 0
    often[5::10] = 0

    assert once.mean() == often.mean() == 0.9
    assert worst(once, 1 - once) == {
        1: 0,
        5: 0,
        15: 0,
        30: 0.2,
        60: 0.6,
        180: pytest.approx(156 / 180),
    }
    assert worst(often, 1 - often) == {
        1: 0, 5: 0.8, 15: pytest.approx(13 / 15), 30: 0.9, 60: 0.9, 180: 0.9,
    }  # fmt: skip


def people(n=30, down=(1200, 2400)):
    """So many people who ask every 20 s for three hours around the window; between these seconds all fails."""
    return [
        event(at, actor=100 + who, request=at * 1000 + who, outcome=int(down[0] <= at < down[1]))
        for who in range(n)
        for at in range(-3600 + who % 20, 7200, 20)
    ]


def test_of_twenty_minutes_in_an_hour(tmp_path):
    answer = ask(tmp_path, people()).as_json()
    found = answer["windowed_user_uptime"]

    assert found["minutes"] == 180
    assert found["counted"] >= 179
    shares = {one["minutes"]: one["user_uptime"] for one in found["worst"]}
    assert shares[1] == shares[5] == shares[15] == 0
    assert shares[30] == pytest.approx(1 / 3, abs=0.005)
    assert shares[60] == pytest.approx(answer["user_uptime"]["during"], abs=0.005)
    assert shares[180] == pytest.approx(8 / 9, abs=0.005)
    assert list(shares) == [1, 5, 15, 30, 60, 180]


def test_neither_order_nor_files_nor_a_report_twice_change_it(tmp_path):
    events = people(n=15)
    mixed = [*events, *events[::7]]
    random.Random(3).shuffle(mixed)
    plain = ask(tmp_path, events)

    for parts in (1, 3):
        assert ask(tmp_path, mixed, parts=parts).windowed_uptime == plain.windowed_uptime


def test_what_is_not_known_yet_and_where_few_are_about_is_not_told(tmp_path):
    early = ask(
        tmp_path, people(), as_of_ms=START + 1_500_000, data_end_ms=START + 1_499_999
    ).as_json()["windowed_user_uptime"]
    assert early["minutes"] == 85
    assert early["worst"][1]["user_uptime"] == pytest.approx(0, abs=0.01)

    few = ask(tmp_path, people(n=9)).as_json()["windowed_user_uptime"]
    assert few == {"cannot_tell": "never were 10 known people about at once"}

    nobody = ask(tmp_path, [], files=write(tmp_path, [])).as_json()["windowed_user_uptime"]
    assert "cannot_tell" in nobody
