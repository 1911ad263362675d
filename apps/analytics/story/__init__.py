"""The story: sentences instead of a count of errors. Each rests on a figure of the result, named with it.

First who tried what and the outcome that hurts most; then at most seven facts, ranked by harm times
certainty; then what is not known. Counts are rounded to what their interval supports; a fact whose
interval includes "as usual" is not told as harm. Customer-facing text never breaks down fewer than
five people (`story_for`).
"""

from apps.analytics.results import (
    ImpactResult,
    Sentence,
)
from apps.analytics.story.customers import K_ANONYMOUS, story_for
from apps.analytics.story.facts import every_fact, gap_sentence, gaps_told
from apps.analytics.story.opening import first_sentence, worst_journey
from apps.analytics.story.words import about, between, duration

__all__ = [
    "K_ANONYMOUS",
    "about",
    "between",
    "duration",
    "story_for",
    "tell",
    "worst_journey",
]

MAX_FACTS = 7


def tell(result: ImpactResult) -> tuple[Sentence, ...]:
    """The story for staff: opening, facts by rank, what cannot be told."""
    opening = first_sentence(result)
    used = {opening.basis}
    facts = sorted(every_fact(result), key=lambda fact: -fact.score)
    chosen = [fact for fact in facts if fact.basis not in used][:MAX_FACTS]
    return (opening, *chosen, *(gap_sentence(gap) for gap in gaps_told(result)))
