"""The rule that proposes a severity, and the words that may be proposed in public."""

import pytest

from apps.incidents import severity, wording
from apps.incidents.models import Incident, State


def customer(total=100, *, kind="business", grade="partly_hit", outage=None, **counts):
    ended = {"gave_up": 0, "came_back": 0, "open": 0, "retried": 0, "cannot_tell": 0, **counts}
    return {
        "kind": kind,
        "grade": grade,
        "attempts": {"total": total, **ended},
        "requests": {"total": total, "failed": sum(ended.values())},
        "actors": {"total": total, "hit": sum(ended.values())},
        "outage": outage,
    }


FINE = customer(grade="not_hit")
DARK = customer(gave_up=1, outage={"from": "x", "to": None, "failures": 9})


@pytest.mark.parametrize(
    ("customers", "level"),
    [
        ([], None),
        ([FINE], None),
        ([customer(gave_up=25)], 1),
        ([customer(open=25)], 1),
        ([customer(gave_up=24)], 2),
        ([DARK, DARK, FINE, FINE], 1),
        ([DARK, DARK, FINE, FINE, FINE], 2),
        ([DARK], 2),
        ([customer(gave_up=5)], 2),
        ([customer(gave_up=1), FINE], 2),
        ([customer(gave_up=4)], 3),
        ([customer(came_back=1), FINE, FINE], 3),
        ([customer(retried=5)], 3),
        ([customer(retried=4)], 4),
        ([customer(cannot_tell=100, gave_up=0, grade="cannot_tell")], 3),
        ([customer(50, gave_up=10, cannot_tell=10)], 1),
        ([{"kind": "business", "grade": "cannot_tell"}], 4),
    ],
)
def test_how_bad_it_is(customers, level):
    found = severity.propose(customers)
    assert (found and found.level) == level
    if found:
        assert found.reason
        assert len(found.reason) <= 300


def test_each_kind_is_judged_for_itself():
    found = severity.by_kind([customer(gave_up=30), customer(kind="consumers", retried=1)])
    assert {kind: one.level for kind, one in found.items()} == {"business": 1, "consumers": 4}
    assert found["business"].reason == (
        "30 of 100 attempts (30 %) did not get through; 30 of 100 people met a failure"
    )


def result(**columns):
    attempts = {"total": 100, "first_try": 60, "retried": 10, "gave_up": 30}
    return {
        "window": {"from": "2026-11-22T10:04:00Z", "to": "2026-11-22T10:30:00Z"},
        "requests": {"total": 300, "failed": 90},
        "actors": {"total": 100, "hit": 40},
        "people": {"retried": 10},
        "journeys": [
            {
                "name": "Purchase",
                "declared": True,
                "attempts": attempts,
                "people": {name: n for name, n in attempts.items() if name != "total"},
                "blocked_at": [],
            }
        ],
        "story": [
            "100 people tried “Purchase”.",
            "Acme had no success for 22 minutes.",
            "What was not completed is worth 4,000 EUR.",
            "40 of 100 people met a failure.",
            "How many? We cannot say.",
        ],
        "story_basis": [
            "journeys.Purchase",
            "customers.outage",
            "journeys.Purchase.value_at_risk",
            "actors.hit",
            "gaps.actor",
        ],
        **columns,
    }


def test_only_what_everybody_may_read_is_proposed():
    assert list(wording.public_sentences(result())) == [
        "100 people tried “Purchase”.",
        "40 of 100 people met a failure.",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"people": {"first_try": 60, "retried": 10, "gave_up": 4}},
        {"declared": False},
        {"blocked_at": [{"step": "Cart", "actors": 4}]},
        {"people": {}},
    ],
)
def test_nobody_can_be_made_out_in_a_journey(change):
    journey = {**result()["journeys"][0], **change}
    told = list(wording.public_sentences(result(journeys=[journey])))
    assert told == ["40 of 100 people met a failure."]


def test_few_are_not_told_at_all():
    few = result(actors={"total": 100, "hit": 4}, requests={"total": 300, "failed": 4}, journeys=[])
    assert list(wording.public_sentences(few)) == []


def test_without_a_basis_the_plain_count_is_proposed():
    assert list(wording.public_sentences(result(story_basis=[]))) == [
        "Between 10:04 and 10:30 UTC, 90 of 300 requests failed."
    ]


def test_the_proposal_says_what_they_cannot_do_and_what_we_do():
    incident = Incident(title="Checkout fails", cannot="pay by card.")
    assert wording.proposed_text(incident, state=State.IDENTIFIED, result=None) == (
        "Some customers cannot pay by card.\n\nWe know the cause and are working on it."
    )
    over = wording.proposed_text(incident, state=State.RESOLVED, result=result())
    assert over.startswith("Some customers could not pay by card.\n\n100 people tried")
    assert over.endswith("It works again.")
    bare = Incident(title="Checkout fails")
    assert wording.proposed_text(bare, state=State.REVIEWED, result={}) == "Checkout fails."
