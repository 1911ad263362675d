"""The facts that follow, ranked by harm times certainty, and what is not known."""

from collections.abc import Iterator
from math import log10

from apps.analytics.results import (
    CustomerImpact,
    Gap,
    ImpactResult,
    Sentence,
)
from apps.analytics.stats import Lost
from apps.analytics.story.opening import harm, journey_sentence, people_of, worst_journey
from apps.analytics.story.words import about, capital, duration, many

MAX_GAPS = 3


def _score(weight: float, low: float) -> float:
    """Harm times certainty: the lower bound counts, so that a vague large number cannot win."""
    return weight * log10(1 + max(0.0, low))


def every_fact(result: ImpactResult) -> Iterator[Sentence]:
    yield from _journey_facts(result)
    yield from _people_facts(result)
    yield from _waiting_facts(result)
    yield from _missing_facts(result)
    yield from _business_facts(result)
    yield from _customer_facts(result)
    yield from _uptime_facts(result)


def _journey_facts(result: ImpactResult) -> Iterator[Sentence]:
    worst = worst_journey(result)
    others = [j for j in result.journeys if j is not worst and harm(j)]
    for journey in sorted(others, key=harm, reverse=True)[:2]:
        text = capital(journey_sentence(journey, result))
        weight = 5.0 if journey.declared else 3.0
        yield Sentence(text, f"journeys.{journey.name}", _score(weight, harm(journey)))


def _people_facts(result: ImpactResult) -> Iterator[Sentence]:
    """How many were hit, and how many requests stand behind it."""
    actors, requests = result.figures.actors, result.figures.requests
    if not requests.failed:
        return
    if actors.hit is None:
        if actors.at_least_hit:
            yield Sentence(
                f"At least {actors.at_least_hit:,} were hit; {many(requests.failed, 'request')} of"
                f" {requests.total:,} failed.",
                "actors.at_least.hit",
                _score(3.0, actors.at_least_hit),
            )
        return
    if actors.hit == actors.total:
        text = f"All {people_of(actors.total, result)} met a failure"
        if actors.hit == 1:
            text = "The one caller there was met a failure"
    else:
        text = f"{actors.hit:,} of {people_of(actors.total or 0, result)} met a failure"
    text += f": {requests.failed:,} of {many(requests.total, 'request')} failed."
    yield Sentence(text, "actors.hit", _score(3.0, actors.hit))


def _waiting_facts(result: ImpactResult) -> Iterator[Sentence]:
    wait = result.figures.extra_wait
    if wait.n and wait.p50 is not None and wait.p95 is not None:
        yield Sentence(
            f"Those who tried again until it worked ({many(wait.n, 'attempt')}) waited"
            f" {duration(wait.p50)} longer than usual, one in twenty over {duration(wait.p95)};"
            f" {duration(wait.sum)} in all.",
            "extra_wait_s",
            _score(2.0, wait.n),
        )
    elif wait.n and wait.sum >= 1:
        times = "attempt" if wait.n == 1 else "attempts"
        yield Sentence(
            f"{wait.n:,} {times} got through on another try, after {duration(wait.sum)} of extra"
            f" waiting{'' if wait.n == 1 else ' in all'}.",
            "extra_wait_s",
            _score(2.0, wait.n),
        )
    slow = result.figures.attempts.slow
    if slow:
        yield Sentence(
            f"{many(slow, 'attempt')} worked at once but took longer than promised.",
            "attempts.slow",
            _score(1.0, slow),
        )


def _missing_facts(result: ImpactResult) -> Iterator[Sentence]:
    lost = result.figures.lost
    if isinstance(lost, Lost) and lost.interval.low > 0:
        yield Sentence(
            f"{capital(about(lost.interval))} attempts that usually come at this hour were never"
            " made.",
            "lost_attempts",
            _score(3.0, lost.interval.low),
        )
    gone = result.figures.not_returned
    interval = getattr(gone, "interval", None)
    if interval is not None and interval.low > 0:
        yield Sentence(
            f"{capital(about(interval))} more people than usual have not been back since, of"
            f" {getattr(gone, 'exposed', 0):,} who gave up.",
            "not_returned",
            _score(4.0, interval.low),
        )
    for journey in result.journeys:
        value = journey.value
        if value is not None and value.low > 0:
            yield Sentence(
                f"What was not completed of “{journey.name}” is worth about"
                f" {value.estimate:,.0f} {value.currency}".rstrip()
                + (
                    "." if value.low == value.high else f" ({value.low:,.0f} to {value.high:,.0f})."
                ),
                f"journeys.{journey.name}.value_at_risk",
                _score(1.5, value.low),
            )


def _business_facts(result: ImpactResult) -> Iterator[Sentence]:
    """In how many businesses something did not get through."""
    businesses = [customer for customer in result.customers if customer.kind == "business"]
    broken = sum(1 for customer in businesses if customer.figures.attempts.failed)
    if len(businesses) > 1 and broken:
        them = f"{broken:,} of {len(businesses):,}"
        if broken == len(businesses):
            them = "Both" if broken == 2 else f"All {broken:,}"
        yield Sentence(
            f"{them} businesses had attempts that did not get through.",
            "customers.grade",
            _score(3.5, broken),
        )


def _customer_facts(result: ImpactResult) -> Iterator[Sentence]:
    """Customers whose own business stood still, the longest first."""
    dark = [c for c in result.customers if c.outage is not None]
    if not dark:
        return
    dark.sort(key=lambda c: (-_dark_seconds(c, result), c.name))
    worst = dark[0]
    until = "" if worst.outage and worst.outage.to_ms else " at least"
    text = f"{worst.name} had no success for{until} {duration(_dark_seconds(worst, result))}"
    if worst.outage:
        text += f" ({many(worst.outage.failures, 'failure')} in a row)"
    if len(dark) > 1:
        text += f"; {many(len(dark) - 1, 'other customer')} had an outage of their own too"
    yield Sentence(text + ".", "customers.outage", _score(5.0, sum(1 for _ in dark)))


def _dark_seconds(customer: CustomerImpact, result: ImpactResult) -> float:
    if customer.outage is None:
        return 0.0
    end = customer.outage.to_ms or max(
        customer.outage.from_ms, min(result.end_ms, result.watermark_ms)
    )
    return (end - customer.outage.from_ms) / 1000


def _uptime_facts(result: ImpactResult) -> Iterator[Sentence]:
    uptime = result.figures.user_uptime
    if uptime.during is None or uptime.during > 0.999:
        return
    before = "" if uptime.before is None else f" ({uptime.before * 100:.1f} % in the hour before)"
    yield Sentence(
        f"People could use it for {uptime.during * 100:.1f} % of the time they spent here{before}.",
        "user_uptime.during",
        _score(1.0, 10 * (1 - uptime.during)),
    )


TOLD_GAPS = ("actor", "proxy", "attempts", "open", "provisional", "lost_attempts", "not_returned")


def gaps_told(result: ImpactResult) -> list[Gap]:
    ranked = [gap for code in TOLD_GAPS for gap in result.gaps if gap.code == code]
    return ranked[:MAX_GAPS]


def gap_sentence(gap: Gap) -> Sentence:
    return Sentence(f"{gap.question} We cannot say: {gap.why}.", f"gaps.{gap.code}")
