"""What may be told to whom without making anybody out: nobody's number is another's.

A part of a breakdown is told only when at least five people stand behind it, and so for what is left
when the told parts are taken from the totals: "7 of 10 got through" tells of the three who did not.
People behind several parts may be the same, so the largest part is what is known to stand behind them.
"""

from collections.abc import Iterable, Iterator, Sequence

from apps.analytics.results import (
    CLASSES,
    Attempts,
    CustomerImpact,
    CustomerJourney,
    ImpactResult,
    JourneyImpact,
)

K_ANONYMOUS = 5
"""At least so many people stand behind every part that somebody else reads."""


def enough(people: int | None) -> bool:
    """Whether so many people are too many to make one of them out."""
    return people is not None and people >= K_ANONYMOUS


def enough_or_none(people: int | None) -> bool:
    """The same for what is left beside a told part: nobody at all gives nobody away."""
    return people == 0 or enough(people)


def may_break_down(attempts: Attempts, people: Attempts) -> bool:
    """Whether attempts may be told by how they ended: each part that is not empty has its five people."""
    return all(
        enough(getattr(people, name)) for name in CLASSES if getattr(attempts, name)
    ) and bool(attempts.total)


# ---- to everybody --------------------------------------------------------------------------------


def public_journey(journey: JourneyImpact, result: ImpactResult) -> bool:
    """Whether everybody may read how attempts at it ended, every customer beside their own numbers."""
    figures = journey.figures
    return (
        journey.declared
        and may_break_down(figures.attempts, figures.people)
        and all(enough(blocked.actors) for blocked in journey.blocked_at)
        and all(
            enough_or_none(getattr(figures.people, name) - getattr(theirs.people, name))
            for theirs in _at(journey.name, result)
            for name in CLASSES
        )
    )


def public_hit(result: ImpactResult) -> bool:
    """Whether everybody may read how many were hit, of how many."""
    actors = result.figures.actors
    if actors.total is None or actors.hit is None or not enough(actors.hit):
        return False
    of_customers = [one.figures.actors for one in result.customers]
    return (
        enough(actors.total)
        and enough_or_none(actors.total - actors.hit)
        and all(enough_or_none(actors.hit - (one.hit or 0)) for one in of_customers)
    )


def public_failed(result: ImpactResult) -> bool:
    """Whether everybody may read how many requests failed: a customer could take their own from it."""
    hit = result.figures.actors.at_least_hit
    return enough(hit) and all(
        enough_or_none(hit - one.figures.actors.at_least_hit) for one in result.customers
    )


def public_part(name: str, result: ImpactResult) -> bool:
    """Whether everybody may read how many attempts ended in this way."""
    people = getattr(result.figures.people, name)
    return enough(people) and all(
        enough_or_none(people - getattr(one.figures.people, name)) for one in result.customers
    )


def _at(name: str, result: ImpactResult) -> Iterator[CustomerJourney]:
    for customer in result.customers:
        yield from (one for one in customer.journeys if one.name == name)


# ---- to a customer -------------------------------------------------------------------------------


def outcomes_told(
    customer: CustomerImpact, wanted: Sequence[CustomerJourney]
) -> list[CustomerJourney]:
    """Which of these journeys may be told to them by how attempts ended.

    All their attempts by how they ended may stand beside it, so what is left of these must be of
    five people or of nobody.
    """
    each = [
        one
        for one in wanted
        if not one.attempts.cannot_tell and may_break_down(one.attempts, one.people)
    ]
    while each and not _outcomes_left(customer, each):
        each.pop()
    return each


def _outcomes_left(customer: CustomerImpact, told: Sequence[CustomerJourney]) -> bool:
    rest = [one for one in customer.journeys if one not in told]
    for name in CLASSES:
        total = getattr(customer.figures.attempts, name)
        left = total - sum(getattr(one.attempts, name) for one in told)
        if left and not enough(_most(getattr(one.people, name) for one in rest)):
            return False
    return True


def requests_told(
    customer: CustomerImpact, wanted: Sequence[CustomerJourney]
) -> list[CustomerJourney]:
    """Which of these journeys may be told to them by how many of their requests failed.

    The total of their own requests, and how many failed, is always told: it is of their traffic, not
    of a person. So a journey may be named that is all their traffic.
    """
    requests = customer.figures.requests
    if whole := [one for one in wanted if one.requests == requests.total]:
        return [one for one in whole if one.failed_requests == requests.failed]
    each = [
        one
        for one in wanted
        if enough(one.actors_hit)
        and (
            one.failed_requests == one.requests
            or enough(max(one.people.first_try, one.people.slow, one.people.retried))
        )
    ]
    while each and not _requests_left(customer, each):
        each.pop()
    return each


def _requests_left(customer: CustomerImpact, told: Sequence[CustomerJourney]) -> bool:
    rest = [one for one in customer.journeys if one not in told]
    requests = customer.figures.requests
    failed = requests.failed - sum(one.failed_requests for one in told)
    total = requests.total - sum(one.requests for one in told)
    return (not failed or enough(_most(one.actors_hit for one in rest))) and (
        not total or enough(_most(one.actors for one in rest))
    )


def slow_told(customer: CustomerImpact) -> bool:
    """Whether they may read how many of their attempts took too long."""
    attempts, people = customer.figures.attempts, customer.figures.people
    others = [name for name in CLASSES if name != "slow"]
    left = sum(getattr(attempts, name) for name in others)
    return enough(people.slow) and (
        not left or enough(_most(getattr(people, name) for name in others))
    )


def _most(people: Iterable[int]) -> int:
    return max(people, default=0)
