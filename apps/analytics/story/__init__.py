"""The story: sentences instead of a count of errors, for who reads them and in their language.

A computation yields facts (`results.Fact`): data with the figure they rest on, kept in the snapshot.
Their words are made when they are read, so the same facts feed the incident room, a customer's page,
a draft and the review. First who tried what and the outcome that hurts most; then at most seven facts,
ranked by harm times certainty times relevance; then what is not known. Counts are rounded to what their
interval supports; a fact whose interval includes "as usual" is not told as harm, and where nothing
happened and we would have seen it, that is told. What a customer reads never breaks down fewer than five
people (`disclosure`).

    told(result).facts, .story           # what compute() ends with
    tell(facts, reader="executive")      # sentences for somebody of ours
    sentences(facts_for(result, 17), Voice.of("de", "Europe/Berlin"))    # for a customer
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apps.analytics.results import Fact, ImpactResult, Sentence, rfc3339
from apps.analytics.stats import Interval
from apps.analytics.story.basis import (
    got_through,
    outcome_words,
    stands_on,
    title_for_them,
    title_of_outcomes,
    unknown_title,
)
from apps.analytics.story.customers import facts_for, facts_of
from apps.analytics.story.disclosure import K_ANONYMOUS
from apps.analytics.story.facts import every_fact, gap_fact, gaps_told
from apps.analytics.story.opening import opening, worst_journey
from apps.analytics.story.ranking import EXECUTIVE, MAX_FACTS, RELEVANCE, STAFF, ranked
from apps.analytics.story.voice import LANGUAGES, Voice
from apps.analytics.story.words import AS_OF, TELLERS, gap_words, words

__all__ = [
    "EXECUTIVE",
    "K_ANONYMOUS",
    "LANGUAGES",
    "MAX_FACTS",
    "READERS",
    "STAFF",
    "Fact",
    "Voice",
    "about",
    "duration",
    "facts_for",
    "facts_of",
    "gap_words",
    "got_through",
    "kept",
    "outcome_words",
    "ranked",
    "sentences",
    "stands_on",
    "story_for",
    "tell",
    "title_for_them",
    "title_of_outcomes",
    "told",
    "unknown_title",
    "words",
    "worst_journey",
]

READERS = tuple(RELEVANCE)
ENGLISH = Voice()


def told(result: ImpactResult) -> ImpactResult:
    """The result with everything that can be told of it, and the story for staff."""
    gaps = (gap_fact(gap, result) for gap in gaps_told(result))
    facts = (opening(result), *every_fact(result), *gaps)
    if result.carried and result.history:
        facts = tuple(_as_of(fact, result.history.as_of_ms) for fact in facts)
    return replace(result, facts=facts, story=tell(facts))


def _as_of(fact: Fact, ms: int) -> Fact:
    """A fact that rests on earlier weeks says of when it is."""
    if fact.basis == "lost_attempts" or fact.kind == "value":
        return replace(fact, detail={**fact.detail, AS_OF: rfc3339(ms)})
    return fact


def kept(facts: Iterable[Mapping[str, Any]]) -> list[Fact]:
    """Read the facts of a snapshot; those that we have no words for (a later version's) are left out."""
    found = [Fact.from_json(one) for one in facts]
    return [fact for fact in found if fact.kind in TELLERS]


def tell(
    facts: Sequence[Fact], *, reader: str = STAFF, voice: Voice = ENGLISH
) -> tuple[Sentence, ...]:
    """The story for somebody of ours: opening, facts by rank, what cannot be told."""
    return sentences(ranked(facts, reader), voice)


def sentences(facts: Iterable[Fact], voice: Voice = ENGLISH) -> tuple[Sentence, ...]:
    """These facts in words, in their order."""
    return tuple(Sentence(words(fact, voice), fact.basis, fact.score) for fact in facts)


def story_for(
    result: ImpactResult, customer_id: int, voice: Voice = ENGLISH
) -> tuple[Sentence, ...]:
    """What happened to one customer, in words addressed to them."""
    return sentences(facts_for(result, customer_id), voice)


def about(interval: Interval) -> str:
    """ "about 240, between 180 and 310", in English."""
    return ENGLISH.about(interval)


def duration(seconds: float) -> str:
    """ "48 seconds", "22 minutes", in English."""
    return ENGLISH.duration(seconds)
