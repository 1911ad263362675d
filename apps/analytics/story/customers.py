"""What happened to one customer, as facts addressed to them."""

from collections.abc import Iterator
from typing import Any

from apps.analytics.results import (
    Attempts,
    CustomerImpact,
    CustomerJourney,
    Fact,
    ImpactResult,
    rfc3339,
)
from apps.analytics.story.disclosure import (
    may_break_down,
    outcomes_told,
    requests_told,
    slow_told,
)
from apps.analytics.story.opening import ended, window

MOST_JOURNEYS = 2


def facts_for(result: ImpactResult, customer_id: int) -> tuple[Fact, ...]:
    """What one customer may read of what happened to them, in the order in which it is told.

    Totals of their own requests are always told. Of a journey, and of how attempts ended, they read
    only what `disclosure` lets them; otherwise the total alone.
    """
    customer = result.customer(customer_id)
    if customer is None:
        return (_fact("theirs_unseen", "customers.requests.total", result),)
    return facts_of(customer, result)


def facts_of(customer: CustomerImpact, result: ImpactResult) -> tuple[Fact, ...]:
    """The same for a customer of the result at hand."""
    return tuple(_facts(customer, result))


def _facts(customer: CustomerImpact, result: ImpactResult) -> Iterator[Fact]:
    requests = customer.figures.requests
    if not requests.total:
        yield _fact("theirs_unseen", "customers.requests.total", result)
        return
    if not requests.failed:
        yield _fact(
            "theirs_fine", "customers.requests.failed", result, customer, total=requests.total
        )
        if slow_told(customer):
            yield _fact(
                "theirs_slow",
                "customers.attempts.slow",
                result,
                customer,
                value=customer.figures.attempts.slow,
            )
        return
    journeys = list(_their_journeys(customer, result))
    yield from journeys
    if not journeys:
        yield _fact(
            "theirs_failed",
            "customers.requests.failed",
            result,
            customer,
            value=requests.failed,
            total=requests.total,
        )
    if customer.outage is not None:
        yield _fact(
            "theirs_dark",
            "customers.outage",
            result,
            customer,
            outage_from=rfc3339(customer.outage.from_ms),
            outage_to=rfc3339(customer.outage.to_ms),
        )
    if result.provisional and may_break_down(customer.figures.attempts, customer.figures.people):
        yield _fact("theirs_provisional", "provisional", result, customer)


def _fact(
    kind: str,
    basis: str,
    result: ImpactResult,
    customer: CustomerImpact | None = None,
    *,
    who: str = "",
    value: float | None = None,
    **detail: Any,
) -> Fact:
    # Staff read of consumers; nobody is addressed as all of them.
    consumers = customer is not None and customer.kind == "consumers"
    return Fact(
        kind,
        basis,
        who=who,
        value=value,
        low=value,
        high=value,
        detail={**window(result), "consumers": consumers, **detail},
    )


def _their_journeys(customer: CustomerImpact, result: ImpactResult) -> Iterator[Fact]:
    """The journeys that were hit worst: by how attempts ended, else by requests, else not at all."""
    struck = [journey for journey in customer.journeys if journey.failed_requests]
    struck.sort(key=lambda j: (-j.attempts.failed, -j.failed_requests, j.name))
    struck = struck[:MOST_JOURNEYS]
    by_outcome = outcomes_told(customer, [one for one in struck if _troubled(one).total])
    by_request = requests_told(customer, [one for one in struck if one not in by_outcome])
    for journey in struck:
        basis = f"customers.journeys.{journey.name}"
        if journey in by_outcome:
            troubled = _troubled(journey)
            yield _fact(
                "theirs_ended",
                basis,
                result,
                customer,
                who=journey.name,
                value=troubled.total,
                verb=journey.verb,
                **{**ended(troubled), "attempts": journey.attempts.total},
            )
        elif journey in by_request:
            yield _fact(
                "theirs_failed",
                basis,
                result,
                customer,
                who=journey.name,
                value=journey.failed_requests,
                verb=journey.verb,
                total=journey.requests,
            )


def _troubled(journey: CustomerJourney) -> Attempts:
    """Its attempts that met a failure."""
    attempts = journey.attempts
    return Attempts(
        retried=attempts.retried,
        gave_up=attempts.gave_up,
        came_back=attempts.came_back,
        open=attempts.open,
    )
