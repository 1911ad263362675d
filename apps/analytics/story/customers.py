"""What happened to one customer, in words addressed to them."""

from collections.abc import Iterator
from typing import NamedTuple

from apps.analytics.measures import Outage
from apps.analytics.results import (
    CLASSES,
    Attempts,
    CustomerImpact,
    CustomerJourney,
    ImpactResult,
    Sentence,
)
from apps.analytics.story.words import between, duration, many, utc, was

K_ANONYMOUS = 5


class _Whose(NamedTuple):
    """How the requests of whom we speak to, or of, are called."""

    your: str
    of_yours: str
    opening: str  # "your" where a sentence begins with it


YOURS = _Whose("your", "of yours", "Your")
#: Staff read of consumers; nobody is addressed as all of them.
CONSUMERS = _Whose("consumers’", "of consumers", "Consumers’")


def story_for(result: ImpactResult, customer_id: int) -> tuple[Sentence, ...]:
    """What happened to one customer, in words addressed to them.

    Totals of their own requests are always told. A breakdown by outcome is told only when at least
    five people stand behind each of its parts; otherwise the total alone.
    """
    customer = result.customer(customer_id)
    span = between(result)
    whose = CONSUMERS if customer and customer.kind == "consumers" else YOURS
    if customer is None:
        text = f"We saw no request of yours {span}."
        return (Sentence(text, "customers.requests.total"),)
    if customer.figures.requests.failed == 0:
        text = f"None of {whose.your} {many(customer.figures.requests.total, 'request')} failed {span}."
        if customer.figures.requests.total == 1:
            text = f"{whose.opening} one request {span} did not fail."
        return (Sentence(text, "customers.requests.failed"), *_their_slow(customer))
    sentences = [_their_journey(journey, span, whose) for journey in _their_worst(customer)]
    if not sentences:
        sentences = [_their_requests(customer, span, whose)]
    if customer.outage is not None:
        sentences.append(_their_outage(customer.outage, whose))
    if result.provisional and _may_break_down(customer.figures.attempts, customer.figures.people):
        sentences.append(
            Sentence("These numbers may still change as more becomes known.", "provisional")
        )
    return tuple(sentences)


def _their_worst(customer: CustomerImpact) -> list[CustomerJourney]:
    struck = [journey for journey in customer.journeys if journey.failed_requests]
    struck.sort(key=lambda j: (-j.attempts.failed, -j.failed_requests, j.name))
    return struck[:2]


def _may_break_down(attempts: Attempts, people: Attempts) -> bool:
    """Whether at least five people stand behind every part that a breakdown would show."""
    parts = [name for name in CLASSES if getattr(attempts, name)]
    return all(getattr(people, name) >= K_ANONYMOUS for name in parts)


def _aimed(journey: CustomerJourney, *, at: str = "for") -> str:
    """What requests or attempts were meant for: "to place an order", else "for “Purchase”"."""
    return f"to {journey.verb}" if journey.verb else f"{at} “{journey.name}”"


def _their_journey(journey: CustomerJourney, span: str, whose: _Whose) -> Sentence:
    attempts, basis = journey.attempts, f"customers.journeys.{journey.name}"
    start = (
        f"{journey.failed_requests:,} of {whose.your} {many(journey.requests, 'request')}"
        f" {_aimed(journey)} failed {span}"
    )
    troubled = Attempts(
        retried=attempts.retried,
        gave_up=attempts.gave_up,
        came_back=attempts.came_back,
        open=attempts.open,
    )
    if troubled.total and not attempts.cannot_tell and _may_break_down(troubled, journey.people):
        return Sentence(
            f"{troubled.total:,} of {whose.your} {many(attempts.total, 'attempt')} {_aimed(journey, at='at')}"
            f" met a failure {span}; {_their_outcomes(troubled)}.",
            basis,
        )
    return Sentence(f"{start}.", basis)


def _their_outcomes(troubled: Attempts) -> str:
    parts = [
        f"{n:,} {words}"
        for n, words in (
            (troubled.retried, "went through on another try"),
            (troubled.came_back, "came back later and got through"),
            (troubled.gave_up, "gave up"),
            (troubled.open, was(troubled.open) + " still being tried"),
        )
        if n
    ]
    if len(parts) == 1 and troubled.retried == troubled.total:
        return "all went through on another try"
    return ", ".join(parts)


def _their_requests(customer: CustomerImpact, span: str, whose: _Whose) -> Sentence:
    requests = customer.figures.requests
    return Sentence(
        f"{requests.failed:,} of {whose.your} {many(requests.total, 'request')} failed {span}.",
        "customers.requests.failed",
    )


def _their_outage(outage: Outage, whose: _Whose) -> Sentence:
    if outage.to_ms is None:
        text = f"From {utc(outage.from_ms):%H:%M:%S} UTC on we saw no request {whose.of_yours} succeed."
    else:
        length = duration((outage.to_ms - outage.from_ms) / 1000)
        text = (
            f"For {length}, from {utc(outage.from_ms):%H:%M:%S} to {utc(outage.to_ms):%H:%M:%S} UTC,"
            f" none of {whose.your} requests got through."
        )
    return Sentence(text, "customers.outage")


def _their_slow(customer: CustomerImpact) -> Iterator[Sentence]:
    slow = customer.figures.attempts.slow
    if slow and customer.figures.people.slow >= K_ANONYMOUS:
        yield Sentence(
            f"{many(slow, 'attempt')} took longer than we promise.", "customers.attempts.slow"
        )
