"""The story reads right: an outage, a fault that hurt nobody, silence, emptiness, a small customer."""

import re
from dataclasses import replace

import numpy as np
import pytest

from apps.analytics import story
from apps.analytics.measures import NotReturned
from apps.analytics.names import Catalogue, CustomerName
from apps.analytics.stats import Interval, Lost
from apps.analytics.story import about, duration, story_for
from tests.analytics.test_impact import asked
from tests.analytics.world import DAY, START, ask, event


def told(result):
    return [sentence.text for sentence in result.story]


def for_them(result, customer):
    return [sentence.text for sentence in story_for(result, customer)]


def outage(n_retried, n_gave_up, n_fine, customer=2):
    """People who got through at once, on another try after 40 s, or never."""
    events, actor = [], 0
    for kind, n in (("fine", n_fine), ("retried", n_retried), ("gave up", n_gave_up)):
        for _ in range(n):
            actor += 1
            at = 300 + actor % 600
            events.append(event(at, actor=actor, customer=customer, outcome=int(kind != "fine")))
            if kind == "retried":
                events.append(event(at + 40, actor=actor, customer=customer))
    return events


def test_an_outage_is_told_by_what_people_could_not_do(tmp_path):
    first, *rest = told(ask(tmp_path, outage(280, 32, 3808, customer=1), minutes=26))
    assert first == (
        "Between 10:00 and 10:26 UTC on 19 November 2025, 4,120 people tried “Purchase”."
        " 4,088 got through, 280 of them only on another try; 32 gave up."
    ).replace("19 November 2025", first.split(" on ")[1].split(",")[0])
    assert "312 of 4,120 people met a failure: 312 of 4,400 requests failed." in rest
    assert any("half of them 40 seconds or more" in text for text in rest)
    assert len(rest) <= 10


def test_every_number_in_the_story_names_its_basis(tmp_path):
    result = ask(tmp_path, outage(30, 9, 50))
    assert all(sentence.basis for sentence in result.story)
    answer = result.as_json()
    assert len(answer["story"]) == len(answer["story_basis"])


def test_a_fault_that_hurt_nobody_is_told_as_that(tmp_path):
    first = told(ask(tmp_path, outage(3, 0, 100)))[0]
    assert "3 requests of 106 failed, and nobody gave up" in first
    assert "got through on another try" in first


def test_no_failure_at_all(tmp_path):
    first = told(ask(tmp_path, outage(0, 0, 20, customer=1)))[0]
    assert first.endswith("20 people made 20 requests and none failed.")


def test_an_empty_window_says_what_it_does_not_know(tmp_path):
    first = told(ask(tmp_path, [event(-9000)]))[0]
    assert first.startswith("No customer request was recorded between")
    assert "cannot tell" in first


def test_a_silent_outage_is_told_as_one(tmp_path):
    nobody = told(asked(tmp_path, lost=1.0))[0]
    assert "no customer request reached us at all" in nobody
    assert re.search(
        r"about \d+ attempts that usually come at this hour, between \d+ and \d+, never", nobody
    )
    few = told(asked(tmp_path, lost=0.7))[0]
    assert "no request failed, yet many never came" in few


def test_failures_of_nobody_known_are_not_told_as_people(tmp_path):
    events = [event(n, actor=None, outcome=int(n < 30)) for n in range(100)]
    text = " ".join(told(ask(tmp_path, events)))
    assert "cannot be told" in text
    assert "100 % of requests carry nothing that tells who made them" in text
    assert " people tried" not in text


def test_a_customer_reads_their_own_numbers(tmp_path):
    result = ask(tmp_path, outage(280, 32, 3808), minutes=26)
    first = for_them(result, 2)[0]
    assert first.startswith("312 of your 4,120 attempts at “Purchase” met a failure between 10:00")
    assert first.endswith("; 280 went through on another try, 32 gave up.")
    assert for_them(result, 3) == [
        f"We saw no request of yours {first.split('met a failure ')[1].split(';')[0]}."
    ]


@pytest.mark.parametrize(("retried", "gave_up"), [(280, 4), (1, 30), (2, 2), (0, 1)])
def test_fewer_than_five_people_are_never_broken_down(tmp_path, retried, gave_up):
    result = ask(tmp_path, outage(retried, gave_up, 50))
    text = " ".join(for_them(result, 2))
    assert "gave up" not in text
    assert "another try" not in text
    failed = retried + gave_up
    assert (
        f"{failed:,} of your {50 + 2 * retried + gave_up:,} requests for “Purchase” failed" in text
    )


def test_a_customer_without_failures_reads_so(tmp_path):
    assert for_them(ask(tmp_path, outage(0, 0, 7)), 2)[0].startswith(
        "None of your 7 requests failed"
    )


def test_a_customers_outage_is_in_their_words(tmp_path):
    events = [event(n * 60, customer=2, actor=n, outcome=int(1 < n < 12)) for n in range(20)]
    text = for_them(ask(tmp_path, events), 2)
    assert (
        "For 10 minutes, from 10:02:00 to 10:12:00 UTC, none of your requests got through." in text
    )


def test_intervals_are_rounded_to_what_they_support():
    assert about(Interval(241.3, 178.2, 312.9)) == "about 240, between 180 and 310"
    assert about(Interval(3.2, 1.1, 6.0)) == "about 3, between 1 and 6"
    assert about(Interval(5000.0, 3000.0, 7000.0)) == "about 5,000, between 3,000 and 7,000"


def with_(result, **figures):
    """The result told again with other figures."""
    return story.told(replace(result, figures=replace(result.figures, **figures)))


def returned(low, estimate, high, exposed):
    return NotReturned(exposed, 9, Interval(estimate, low, high), 5_200, 10 * DAY)


def test_a_large_vague_number_does_not_outrank_a_smaller_sure_one(tmp_path):
    result = ask(tmp_path, outage(280, 32, 3808, customer=1))
    facts = with_(
        result,
        lost=Lost(9_000, 4_000, Interval(2_000, 3, 4_000), "ratio", 4, 90),
        not_returned=returned(91, 152, 213, 1_700),
    ).facts
    order = [fact.kind for fact in story.ranked(facts)]
    assert order.index("gone") < order.index("lost")


def test_what_may_be_as_usual_is_not_told_as_harm(tmp_path):
    """Nobody was lost, and it says from how many on we would have seen it; or that we would not."""
    result = ask(tmp_path, outage(280, 32, 3808, customer=1))
    sharp = " ".join(told(with_(result, not_returned=returned(-6, 1, 9, 300))))
    assert (
        "Nobody was lost: those who gave up (300) have been back as usual; we would have seen 10 or more"
        " stay away."
    ) in sharp
    assert "more people than usual" not in sharp
    blunt = with_(result, not_returned=returned(-16, 1, 19, 40))
    assert "Nobody was lost" not in " ".join(told(blunt))
    (unclear,) = (fact for fact in blunt.facts if fact.kind == "gone_unclear")
    assert story.words(unclear, story.Voice()).endswith("only if 24 or more had stayed away.")
    came = with_(result, lost=Lost(5_040, 5_010, Interval(30, -40, 90), "ratio", 4, 90))
    assert (
        "Nobody stayed away: 5,010 attempts came where about 5,040 are usual at this hour; we would have"
        " seen 100 or more missing."
    ) in " ".join(told(came))


def test_whoever_answers_for_the_business_reads_first_whom_we_lost(tmp_path):
    result = with_(
        ask(tmp_path, outage(280, 32, 3808, customer=1)), not_returned=returned(8, 20, 31, 320)
    )
    staff, boss = (
        [one.basis for one in story.tell(result.facts, reader=reader)] for reader in story.READERS
    )
    assert staff[0] == boss[0] == "journeys.Purchase"
    assert (staff[1], boss[1]) == ("actors.hit", "not_returned")


def test_durations_in_words():
    assert [duration(s) for s in (0.2, 48, 1320, 12_600)] == [
        "less than a second",
        "48 seconds",
        "22 minutes",
        "3.5 hours",
    ]


def test_names_from_outside_are_only_ever_text(tmp_path):
    odd = Catalogue(customers={2: CustomerName(2, "A'); DROP TABLE x --", "business")})
    chance = np.random.default_rng(1)
    events = [event(float(t), customer=2, outcome=1) for t in chance.uniform(0, 600, 8)]
    result = ask(tmp_path, events, names=odd)
    assert "DROP TABLE" in " ".join(told(result))
    assert result.as_of_ms == START + 2 * DAY
