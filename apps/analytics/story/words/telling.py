"""Which function tells which kind of fact."""

from collections.abc import Callable

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice, capital

Teller = Callable[[Fact, Voice], str]
TELLERS: dict[str, Teller] = {}


def words(fact: Fact, voice: Voice) -> str:
    """The sentence, or two, that tell a fact. Raises KeyError for a kind that nobody has words for."""
    return capital(TELLERS[fact.kind](fact, voice))


def tells(*kinds: str) -> Callable[[Teller], Teller]:
    """Let a function tell these kinds of facts."""

    def register(teller: Teller) -> Teller:
        TELLERS.update(dict.fromkeys(kinds, teller))
        return teller

    return register
