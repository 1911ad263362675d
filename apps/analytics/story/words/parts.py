"""Parts that several sentences share: spans, amounts, who."""

from datetime import datetime

from apps.analytics.results import Fact
from apps.analytics.stats import Interval
from apps.analytics.story.voice import Voice, rounded


def moment(text: str) -> datetime:
    """A fact's time, which it keeps as RFC 3339."""
    return datetime.fromisoformat(text)


def span_of(fact: Fact, voice: Voice) -> str:
    """The window, "between 10:04 and 10:30 UTC on 3 November 2026"."""
    return voice.span(moment(fact.detail["from"]), moment(fact.detail["to"]))


def interval_of(fact: Fact) -> Interval:
    """The fact's value with its bounds; what was counted is its own."""
    value = fact.value or 0.0
    low = value if fact.low is None else fact.low
    high = value if fact.high is None else fact.high
    return Interval(value, low, high)


def about(fact: Fact, voice: Voice) -> tuple[int, str]:
    """The estimate and its range, rounded to what the interval supports."""
    low, middle, high = rounded(interval_of(fact))
    return middle, voice.between(low, high)


def who_of(fact: Fact, voice: Voice, n: int) -> str:
    """So many people, or callers where they may be programs, as those who do something."""
    whom = fact.detail.get("whom")
    if whom == "people":
        return voice.many("{n} person", "{n} people", n)
    if whom == "callers":
        return voice.many("{n} caller", "{n} callers", n)
    return voice.many("{n} person or program", "{n} people and programs", n)


def of_whom(fact: Fact, voice: Voice, n: int) -> str:
    """The same after "of"."""
    whom = fact.detail.get("whom")
    if whom == "people":
        return voice.case("of", "{n} person", "{n} people", n)
    if whom == "callers":
        return voice.case("of", "{n} caller", "{n} callers", n)
    return voice.case("of", "{n} person or program", "{n} people and programs", n)


def some_requests(voice: Voice, n: int) -> str:
    return voice.many("{n} request", "{n} requests", n)


def some_attempts(voice: Voice, n: int) -> str:
    return voice.many("{n} attempt", "{n} attempts", n)


def some_failures(voice: Voice, n: int) -> str:
    return voice.many("{n} failure", "{n} failures", n)


def what_of(fact: Fact, voice: Voice) -> str:
    """What was tried: "to place an order" where somebody said so in English, else the journey's name."""
    verb = fact.detail.get("verb")
    return f"to {verb}" if verb and voice.language == "en" else voice.quoted(fact.who)
