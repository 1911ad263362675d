"""Which facts are told to whom, and in which order: harm times certainty times relevance."""

from collections.abc import Mapping, Sequence

from apps.analytics.results import Fact

STAFF, EXECUTIVE = "staff", "executive"

RELEVANCE: Mapping[str, Mapping[str, float]] = {
    # Who runs the incident wants to know what is broken and whom to call.
    STAFF: {"value": 0.5, "hardest": 3.0},
    # Who answers for the business wants to know whom we lost, what it costs, and which word we broke.
    EXECUTIVE: {
        "gone": 2.0,
        "gone_none": 2.0,
        "value": 1.6,
        "promises": 2.0,
        "promises_kept": 2.0,
        "businesses": 1.8,
        "lost": 1.5,
        "dark": 1.2,
        "hit": 0.8,
        "hardest": 0.8,
        "trait": 0.7,
        "uptime": 0.7,
        "waiting": 0.5,
        "slow": 0.2,
    },
}
"""How much a kind of fact matters to a reader; 1 where nothing is said."""

MAX_FACTS = 7


def ranked(
    facts: Sequence[Fact], reader: str = STAFF, *, most: int | None = MAX_FACTS
) -> list[Fact]:
    """The opening, at most `most` facts (None: all) by what matters to `reader`, then what is not known.

    Raises KeyError for a reader whom we do not know.
    """
    relevance = RELEVANCE[reader]
    if not facts:
        return []
    first, *others = facts
    gaps = [fact for fact in others if fact.kind == "gap"]
    told = [fact for fact in others if fact.kind != "gap" and fact.basis != first.basis]
    told = [fact for fact in told if fact.score > 0]
    told.sort(key=lambda fact: (-fact.score * relevance.get(fact.kind, 1.0), fact.basis))
    return [first, *told[:most], *gaps]
