"""The story of a kept snapshot in words, for who reads it now, each sentence with the figure under it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.analytics import story
from apps.analytics.stats import Interval
from apps.analytics.story import Fact, Voice

#: Bases of sentences that name a customer: not for people who may see only some of them.
NAMING = ("customers.outage", "customers.attempts")

ENGLISH = Voice()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The figure under a sentence: where it stands in the JSON, its value, and how it was measured."""

    number: int  # of its footnote
    key: str
    value: str
    usual: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """A sentence of the story; an old snapshot's has no figure."""

    text: str
    figure: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class Words:
    """Sentences in a language, for the `lang` of what shows them."""

    sentences: tuple[str, ...]
    language: str = "en"


def to_us(result: Mapping[str, Any], *, reader: str, names_all: bool) -> list[Told]:
    """Return the story for somebody of ours; without `names_all`, sentences that name a customer are left out.

    All that is known, the story's sentences (an opening and MAX_FACTS more) first. What cannot be told stands
    in a list of its own, with what closes it.
    """
    kept = story.kept(result.get("facts") or ())
    if not kept:
        return [Told(text=text) for text in _as_kept(result, names_all=names_all)]
    facts = [
        fact
        for fact in story.ranked(kept, reader, most=None)
        if fact.kind != "gap" and (names_all or fact.basis not in NAMING)
    ]
    return [
        Told(text=story.words(fact, ENGLISH), figure=_figure(number, fact, result))
        for number, fact in enumerate(facts, start=1)
    ]


def _as_kept(result: Mapping[str, Any], *, names_all: bool) -> list[str]:
    """The sentences of a snapshot that was taken before facts were kept."""
    told = [str(one) for one in result.get("story") or []]
    basis = result.get("story_basis") or []
    if len(basis) != len(told):
        # Without a basis nothing says whom a sentence names; the first names nobody.
        return told if names_all else told[:1]
    return [
        text
        for text, based in zip(told, basis, strict=True)
        if not based.startswith("gaps.") and (names_all or based not in NAMING)
    ]


def to_them(
    facts: Iterable[Mapping[str, Any]] | None, kept: Sequence[object], *, language: str, zone: str
) -> Words:
    """Return what a customer reads of what happened to them, in their language and on their clock.

    `kept` are the sentences that were kept in English; an old snapshot has nothing else.
    """
    found = story.kept(facts or ())
    if not found:
        return Words(sentences=tuple(str(sentence) for sentence in kept))
    voice = Voice.of(language, zone)
    told = story.sentences(found, voice)
    return Words(sentences=tuple(one.text for one in told), language=voice.language)


def to_everybody(result: Mapping[str, Any]) -> list[str] | None:
    """Return the sentences that everybody may read, best first; None where facts were not kept."""
    kept = story.kept(result.get("facts") or ())
    if not kept:
        return None
    public = [fact for fact in story.ranked(kept) if fact.public]
    if not public:
        public = [fact for fact in kept if fact.public and fact.kind == "failed"]
    return [story.words(fact, ENGLISH) for fact in public]


# ---- what a sentence stands on -------------------------------------------------------------------

_COUNTED = (
    "Attempts: all requests that one person made to get one thing done, however often they tried."
)
_OF = {
    "journey": " did not get through or were stopped before",
    "promises": " broken",
    "promises_kept": " broken",
    "hardest": " at the first",
    "waiting": " in all",
}
_HOW = {
    "hit": "Distinct people with at least one failed request of an attempt.",
    "hit_at_least": "Distinct people with a failed request, of those that can be told apart.",
    "waiting": "From the first try to the success, less what it usually takes.",
    "slow": "Attempts that worked at once, and took longer than the promised latency.",
    "meter": "Calls reported as failed, by what the same callers did next: the same again, or something else.",
    "value": "What was given up or never tried, times what one is worth.",
    "businesses": "Businesses with an attempt that did not get through.",
    "hardest": "Businesses by attempts that did not get through.",
    "trait": "People with an attempt that did not get through, against people at the other values (Katz 1978).",
    "dark": "The longest stretch without any success and with at least five failures, by customer.",
    "uptime": "Each person’s time here is up or down by their last request, changed half way between two"
    " (Hauer et al., NSDI 2020).",
    "promises": "Attempts that went badly against how many each promise allows.",
    "promises_kept": "Attempts that went badly against how many each promise allows.",
    "all_fine": "Requests of customers; bots, probes and duplicates are counted apart.",
    "nothing_seen": "Requests of customers; bots, probes and duplicates are counted apart.",
    "begun_before": "Requests of customers; bots, probes and duplicates are counted apart.",
}


def _figure(number: int, fact: Fact, result: Mapping[str, Any]) -> Figure:
    return Figure(
        number=number,
        key=fact.basis,
        value=_value(fact),
        usual=_amount(fact, fact.usual) if fact.kind == "uptime" and fact.usual is not None else "",
        how=_how(fact, result),
    )


def _value(fact: Fact) -> str:
    if fact.value is None:
        return ""
    if fact.low is None or fact.high is None or fact.low == fact.high:
        return f"{_amount(fact, fact.value)}{_OF.get(fact.kind, '')}"
    if fact.kind == "trait":
        times = (ENGLISH.decimal(x) for x in (fact.value, fact.low, fact.high))
        return "{} times, between {} and {}, at 95 %".format(*times)
    if fact.kind == "value":
        low, high = _amount(fact, fact.low), _amount(fact, fact.high)
        return f"{_amount(fact, fact.value)}, between {low} and {high}"
    return f"{ENGLISH.about(Interval(fact.value, fact.low, fact.high))}, at 95 %"


def _amount(fact: Fact, amount: float) -> str:
    if fact.kind in {"waiting", "dark"}:
        least = "at least " if fact.kind == "dark" and fact.high is None else ""
        return f"{least}{ENGLISH.duration(amount)}"
    if fact.kind == "uptime":
        return ENGLISH.percent(amount, 1)
    if fact.kind == "value":
        return ENGLISH.money(amount, fact.detail.get("currency", ""))
    return ENGLISH.number(round(amount))


def _how(fact: Fact, result: Mapping[str, Any]) -> str:
    if fact.basis == "lost_attempts":
        lost = result.get("lost_attempts") or {}
        weeks, placebos = lost.get("weeks"), lost.get("placebos")
        return (
            f"Expected by the {lost.get('method') or 'same window of earlier weeks'};"
            f" {weeks} earlier weeks, {placebos} placebo windows."
        )
    if fact.basis == "net_lost_attempts":
        net = result.get("net_lost_attempts") or {}
        if "estimate" not in net:
            return ""
        left = ENGLISH.about(Interval(net["estimate"], net["low"], net["high"]))
        return (
            "Expected in the six hours after from the same three hours before; attempts of those who had"
            f" failed are no part of it. Never made, nor made up for: {left}, at 95 %."
        )
    if fact.basis == "not_returned":
        gone = result.get("not_returned") or {}
        return (
            f"Compared with {ENGLISH.number(gone.get('compared_with') or 0)} people who were as active in"
            " the same hours of earlier weeks; both followed for"
            f" {ENGLISH.duration(gone.get('within_s') or 0)}.{_doses(gone)}"
        )
    return _HOW.get(fact.kind, _COUNTED)


def _doses(gone: Mapping[str, Any]) -> str:
    """Whether the whole curve differs, and how it was for those to whom less happened; nothing of old snapshots."""
    said = ""
    if test := gone.get("log_rank"):
        than = "under 0.001" if test["p"] < 0.001 else f"{test['p']:.3f}"
        said = f" Day by day as well, by the log-rank test in the same strata: p {than}."
    told = {one["dose"]: one for one in gone.get("by_dose") or ()}
    others = [
        f"{ENGLISH.about(Interval(one['estimate'], one['low'], one['high']))} of"
        f" {ENGLISH.number(one['people'])} {words}"
        for dose, words in _LESS.items()
        if (one := told.get(dose))
    ]
    return f"{said} More than usual away of others: {'; '.join(others)}." if others else said


_LESS = {
    "recovered": "who got through on another try",
    "slow": "who only waited longer",
    "untouched": "to whom nothing happened",
}
