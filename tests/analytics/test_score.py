"""Strict scoring, by hand-made cases."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from apps.analytics.score import Score, micro_f1, score
from apps.analytics.simulate import Plan, simulate


def attempts(
    *rows: tuple[int | None, str, int | None], group: str = "people", operation: int = 1
) -> pa.Table:
    requests, classes, actors = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "request": pa.array(requests, pa.int64()),
            "class": pa.array(classes, pa.string()),
            "group": pa.array([group] * len(rows), pa.string()),
            "actor": pa.array(actors, pa.int64()),
            "operation": pa.array([operation] * len(rows), pa.int32()),
        }
    )


def test_all_right():
    truth = attempts((1, "first_try", 7), (2, "gave_up", 7))
    assert micro_f1(truth, truth) == 1.0
    assert score(truth, truth).by_class["gave_up"] == Score(1, 1, 1)


def test_the_wrong_class_is_both_found_in_vain_and_missed():
    scores = score(attempts((1, "gave_up", 7)), attempts((1, "retried", 7)))
    assert scores.overall == Score(0, 1, 1)
    assert scores.overall.f1 == 0
    assert scores.by_class["gave_up"] == Score(0, 1, 0)
    assert scores.by_class["gave_up"].recall is None


def test_a_split_attempt_is_one_error_and_a_swallowed_one_is_one():
    truth = attempts((1, "retried", 7), (5, "first_try", 7))
    split = attempts((1, "retried", 7), (2, "first_try", 7), (5, "first_try", 7))
    assert score(split, truth).overall == Score(2, 3, 2)
    assert score(split, truth).by_group["people"] == Score(2, 3, 2)
    assert score(attempts((1, "retried", 7)), truth).overall == Score(1, 1, 2)


def test_an_attempt_cannot_be_found_twice():
    assert score(
        attempts((1, "retried", 7), (1, "retried", 7)), attempts((1, "retried", 7))
    ).overall == Score(1, 2, 1)


def test_what_was_refused_is_set_aside_on_both_sides_and_counted():
    truth = attempts((1, "retried", 7), (2, "first_try", 7), (3, "first_try", 8), group="unkeyed")
    found = attempts((1, "cannot_tell", 7), (3, "first_try", 8), group="unkeyed")
    scores = score(found, truth)
    assert scores.overall == Score(1, 1, 1)
    assert scores.refused == {"unkeyed": 2}
    assert scores.refused_share("unkeyed") == pytest.approx(2 / 3)
    assert scores.refused_share("people") is None


def test_open_attempts_and_those_without_a_trace_are_set_aside():
    truth = attempts((1, "gave_up", 7), (None, "gave_up", 7), (3, "first_try", 7))
    assert score(attempts((1, "open", 7), (3, "first_try", 7)), truth).overall == Score(1, 1, 1)


def test_without_an_actor_refusal_takes_the_nameless_of_that_operation_only():
    truth = attempts((1, "first_try", None), (2, "first_try", 9))
    found = attempts((1, "cannot_tell", None), (2, "first_try", 9))
    assert score(found, truth).overall == Score(1, 1, 1)


def test_nothing_found_or_nothing_planted():
    some = attempts((1, "first_try", 7))
    assert score(attempts(), some).overall == Score(0, 0, 1)
    assert score(some, attempts()).overall == Score(0, 1, 0)
    assert score(some, attempts()).by_group["unknown"].found == 1
    assert micro_f1(attempts(), attempts()) is None


def test_truth_scores_fully_against_itself():
    chunks = list(simulate(Plan.scenario("silence", seed=5, events=30_000)))
    truth = pa.concat_tables(chunk.attempts for chunk in chunks)
    scores = score(truth.filter(pc.is_valid(truth["request"])), truth)
    assert scores.overall.f1 == 1.0
    assert {
        "people",
        "keyed",
        "unkeyed",
        "by_address",
        "nameless",
        "internal",
    } <= scores.by_group.keys()
