"""Which function tells which kind of fact."""

from collections.abc import Callable
from datetime import datetime

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice, capital

Teller = Callable[[Fact, Voice], str]
TELLERS: dict[str, Teller] = {}
AS_OF = "told_as_of"
"""In a fact's detail: when it was found out, where that is not when the rest was."""


def words(fact: Fact, voice: Voice) -> str:
    """The sentence, or two, that tell a fact. Raises KeyError for a kind that nobody has words for."""
    text = capital(TELLERS[fact.kind](fact, voice))
    if at := fact.detail.get(AS_OF):
        time = voice.clock(datetime.fromisoformat(at))
        text += " " + voice.say("That was so at {time} {zone}.", time=time, zone=voice.where())
    return text


def tells(*kinds: str) -> Callable[[Teller], Teller]:
    """Let a function tell these kinds of facts."""

    def register(teller: Teller) -> Teller:
        TELLERS.update(dict.fromkeys(kinds, teller))
        return teller

    return register
