"""The three verbs, with small entries of their own."""

import io
import json
import os
import time
from collections.abc import Iterator
from functools import partial

import pytest
from django.core.management import CommandError, call_command

from apps.core.figures import (
    BENCHES,
    DRILLS,
    EVALUATIONS,
    BenchRow,
    DrillStep,
    EvaluationRow,
    Option,
    at_least,
    at_most,
    between,
    compare,
    measure,
    measure_apart,
)


def run(*arguments: str, **options: object) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture(autouse=True)
def entries() -> Iterator[None]:
    @BENCHES.add(
        "t-sorting",
        help="sorting against sorting",
        options=[Option("--events", int, 1000, "how many", quick=10)],
    )
    def sorting(*, events: int, seed: int, quick: bool) -> Iterator[BenchRow]:
        yield BenchRow(
            f"{events} of seed {seed}", 2.0, 1.9, goal=at_most(1.3), baseline_name="by hand"
        )
        yield BenchRow("memory", 812, unit="MB", goal=at_most(1000))
        yield BenchRow("no goal", 1e7, unit="events/s")

    @BENCHES.add("t-slow", help="misses", options=[("--lines", int, 5, "how many")])
    def slow(*, lines: int, seed: int, quick: bool) -> Iterator[BenchRow]:
        yield BenchRow("slow", 3.0, 1.0, goal=at_most(1.3))

    @DRILLS.add("t-kill", help="kill it", options=[("--violations", int, 0, "planted")])
    def kill(*, violations: int, seed: int, quick: bool) -> Iterator[DrillStep]:
        yield DrillStep("killed in mid-write", tried=2 if quick else 20, violations=violations)

    @EVALUATIONS.add("t-truth", help="score it", options=[("--value", float, 0.95, "planted")])
    def truth(*, value: float, seed: int, quick: bool) -> Iterator[EvaluationRow]:
        yield EvaluationRow("people", value, goal=at_least(0.94))
        yield EvaluationRow("cover", 0.95, goal=between(0.93, 0.97))

    @EVALUATIONS.add("t-broken", help="breaks")
    def broken(*, seed: int, quick: bool) -> Iterator[EvaluationRow]:
        yield EvaluationRow("first", 1.0)
        raise ZeroDivisionError

    @EVALUATIONS.add("t-silent", help="says nothing")
    def silent(*, seed: int, quick: bool) -> Iterator[EvaluationRow]:
        return iter(())

    yield
    for registry, names in (
        (BENCHES, ["t-sorting", "t-slow"]),
        (DRILLS, ["t-kill"]),
        (EVALUATIONS, ["t-truth", "t-broken", "t-silent"]),
    ):
        for name in names:
            registry.remove(name)


def test_without_a_name_it_lists_what_there_is():
    listed = run("bench")
    assert "t-sorting" in listed
    assert "sorting against sorting" in listed
    assert "--events" in listed
    assert all("bench" in json.loads(line) for line in run("bench", "--json").splitlines())


def test_json_is_one_object_per_line_with_the_stated_keys():
    rows = [json.loads(line) for line in run("bench", "t-sorting", "--json").splitlines()]
    assert {"bench", "row", "ours", "baseline", "ratio", "goal", "ok"} <= rows[0].keys()
    assert rows[0]["bench"] == "t-sorting"
    assert rows[0]["row"] == "1000 of seed 1"
    assert rows[0]["ratio"] == pytest.approx(2.0 / 1.9)
    assert [row["ok"] for row in rows] == [True, True, None]
    step = json.loads(run("drill", "t-kill", "--json"))
    assert {"drill", "step", "tried", "violations", "ok"} <= step.keys()
    measures = [json.loads(line) for line in run("evaluate", "t-truth", "--json").splitlines()]
    assert {"measure", "value", "goal", "ok"} <= measures[0].keys()
    assert measures[1]["goal"] == [0.93, 0.97]


def test_an_entry_gets_its_own_options_the_seed_and_quick():
    def said(*arguments: str, **options: object) -> str:
        return run("bench", "t-sorting", *arguments, **options)

    assert "1000 of seed 1" in said()
    assert "1000000 of seed 7" in said("--events", "1_000_000", "--seed", "7")
    assert "10 of seed 1" in said("--quick")
    assert "30 of seed 1" in said("--quick", "--events", "30")
    assert "40 of seed 1" in said(events=40)


def test_a_missed_goal_or_a_violation_exits_non_zero_after_all_rows():
    with pytest.raises(CommandError, match=r"1 of \d+ rows miss"):
        run("bench", "t-sorting", "t-slow")
    with pytest.raises(CommandError, match="1 of 1 steps did not hold"):
        run("drill", "t-kill", "--violations", "1")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 measures miss"):
        call_command("evaluate", "t-truth", "--value", "0.5", stdout=out)
    assert "missed" in out.getvalue()
    assert "cover" in out.getvalue()


@pytest.mark.parametrize("name", ["t-broken", "t-silent"])
def test_an_entry_that_breaks_or_says_nothing_is_not_ok(name):
    with pytest.raises(CommandError):
        run("evaluate", name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "There is no bench 'nonsense'. There is: .*t-sorting"),
        (["t-sorting", "--lines", "4"], "--lines belongs to .*t-slow"),
        (["t-sorting", "--events", "many"], "--events many: "),
    ],
)
def test_wrong_input_gets_a_clear_message(arguments, words):
    with pytest.raises(CommandError, match=words):
        run("bench", *arguments)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="twice"):
        BENCHES.add("t-slow", help="again")(run)


def test_goals_bounds_are_part_of_them_and_nothing_meets_none_by_silence():
    assert at_most(1.3).met_by(1.3)
    assert at_least(0.94).met_by(0.94)
    assert not between(0.93, 0.97).met_by(0.98)
    assert not at_least(0).met_by(None)
    assert not at_most(1).met_by(float("nan"))
    assert DrillStep("nothing tried", tried=0, violations=0).ok is False
    assert BenchRow("x", 5, 1, goal=at_most(6), absolute=True).ok
    assert str(at_most(1.3)) == "≤ 1.3"


def test_measure_sees_time_and_memory():
    small = measure(lambda: time.sleep(0.02))
    large = measure(lambda: bytearray(b"x" * 80_000_000))
    assert 0.02 <= small.seconds < 2
    assert large.peak_rss_bytes > small.peak_rss_bytes + 60_000_000
    assert measure(lambda: None).peak_rss_bytes < large.peak_rss_bytes


def test_measure_apart_leaves_this_process_alone():
    measured = measure_apart(partial(bytearray, 50_000_000))
    assert measured.peak_rss_bytes > 50_000_000
    with pytest.raises(ZeroDivisionError):
        measure_apart(partial(divmod, 1, 0))
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure_apart(partial(os._exit, 3))


def test_compare_takes_turns():
    calls: list[str] = []
    compare(partial(calls.append, "ours"), partial(calls.append, "theirs"), repeats=2)
    assert calls == ["ours", "theirs", "theirs", "ours"]
