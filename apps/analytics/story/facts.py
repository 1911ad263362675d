"""The facts that follow, each with its harm times certainty, and what is not known."""

from collections.abc import Iterator
from math import log10, sqrt
from typing import Any

from apps.analytics.results import (
    CustomerImpact,
    Fact,
    Gap,
    ImpactResult,
    rfc3339,
)
from apps.analytics.stats import Z95, Interval, Lost, NetLost
from apps.analytics.story.disclosure import public_failed, public_hit, public_part
from apps.analytics.story.opening import (
    harm,
    journey_fact,
    of_interval,
    whom,
    window,
    worst_journey,
)

MAX_GAPS = 3
POWER = (Z95 + 0.8416212335729143) / Z95
"""How far beyond half an interval a change must be to be seen four times in five: (1.96 + 0.84) / 1.96."""
TOO_BLUNT = 0.2
"""What could only be seen when it takes more than this share of all is "cannot tell", not "nobody"."""
PROMISES_NAMED = 2


def score(weight: float, low: float, usual: float = 0.0) -> float:
    """Harm times certainty: the lower bound of the excess over the usual, so that a vague number cannot win."""
    return weight * log10(1 + max(0.0, low - usual))


def detectable(interval: Interval) -> float:
    """The smallest number that would have been seen: by the interval's width, with a power of 80 %."""
    return max(1.0, interval.high, POWER * (interval.estimate - interval.low))


def every_fact(result: ImpactResult) -> Iterator[Fact]:
    """All that can be told after the opening, in no order."""
    yield from _journey_facts(result)
    yield from _people_facts(result)
    yield from _waiting_facts(result)
    yield from _lost_facts(result)
    yield from _gone_facts(result)
    yield from _value_facts(result)
    yield from _business_facts(result)
    yield from _dark_facts(result)
    yield from _trait_facts(result)
    yield from _uptime_facts(result)
    yield from _promise_facts(result)


def _journey_facts(result: ImpactResult) -> Iterator[Fact]:
    worst = worst_journey(result)
    others = [j for j in result.journeys if j is not worst and harm(j)]
    for journey in sorted(others, key=harm, reverse=True)[:2]:
        weight = 5.0 if journey.declared else 3.0
        yield journey_fact(journey, result, score(weight, harm(journey)))


def _counted(n: float) -> dict[str, Any]:
    return {"value": n, "low": n, "high": n}


def _people_facts(result: ImpactResult) -> Iterator[Fact]:
    """How many were hit, and how many requests stand behind it."""
    actors, requests = result.figures.actors, result.figures.requests
    if requests.failed:
        # The plain count is nobody's story. It is what is left for everybody where no more may be told.
        yield Fact(
            "failed",
            "requests.failed",
            **_counted(requests.failed),
            public=public_failed(result),
            detail={**window(result), "failed": requests.failed, "total": requests.total},
        )
    detail = {"whom": whom(result), "failed": requests.failed, "total": requests.total}
    if requests.failed and actors.hit is not None:
        yield Fact(
            "hit",
            "actors.hit",
            **_counted(actors.hit),
            score=score(3.0, actors.hit),
            public=public_hit(result),
            detail={**detail, "actors": actors.total or 0},
        )
    elif requests.failed and actors.at_least_hit:
        least = actors.at_least_hit
        yield Fact(
            "hit_at_least",
            "actors.at_least.hit",
            value=least,
            low=least,
            score=score(3.0, least),
            detail=detail,
        )


def _waiting_facts(result: ImpactResult) -> Iterator[Fact]:
    wait = result.figures.extra_wait
    if wait.n and (wait.p50 is not None or wait.sum >= 1):
        yield Fact(
            "waiting",
            "extra_wait_s",
            **_counted(wait.sum),
            score=score(2.0, wait.n),
            public=public_part("retried", result),
            detail={
                "attempts": wait.n,
                "p50": wait.p50,
                "p95": wait.p95,
                "sum": wait.sum,
                "paused": wait.paused,
            },
        )
    if slow := result.figures.attempts.slow:
        yield Fact("slow", "attempts.slow", **_counted(slow), score=score(1.0, slow))


def _lost_facts(result: ImpactResult) -> Iterator[Fact]:
    """How many never even tried; when as many came as usual, how few would have been missed."""
    lost = result.figures.lost
    if not isinstance(lost, Lost) or not result.figures.requests.total:
        return
    numbers = {**of_interval(lost.interval), "usual": 0.0}
    if lost.interval.low > 0:
        yield Fact("lost", "lost_attempts", **numbers, score=score(3.0, lost.interval.low))
        net = result.figures.net_lost
        if isinstance(net, NetLost) and net.made_up.low > 0:
            late = {**of_interval(net.made_up), "usual": 0.0}
            yield Fact("made_up", "net_lost_attempts", **late, score=score(2.0, net.made_up.low))
        return
    seen = detectable(lost.interval)
    if seen <= TOO_BLUNT * lost.expected:
        detail = {"observed": lost.observed, "expected": lost.expected, "seen_from": seen}
        sharp = 0.5 * score(3.0, sqrt(lost.expected / seen))
        yield Fact("lost_none", "lost_attempts", **numbers, score=sharp, detail=detail)


def _gone_facts(result: ImpactResult) -> Iterator[Fact]:
    """How many more than usual have not been back; when nobody, how few would have been missed."""
    gone = result.figures.not_returned
    interval = getattr(gone, "interval", None)
    if interval is None:
        return
    exposed = int(getattr(gone, "exposed", 0))
    numbers = {**of_interval(interval), "usual": 0.0}
    if interval.low > 0:
        yield Fact(
            "gone",
            "not_returned",
            **numbers,
            score=score(4.0, interval.low),
            detail={"exposed": exposed},
        )
        return
    seen = detectable(interval)
    blunt = seen > TOO_BLUNT * exposed
    yield Fact(
        "gone_unclear" if blunt else "gone_none",
        "not_returned",
        **numbers,
        score=0.0 if blunt else 0.5 * score(4.0, sqrt(exposed / seen)),
        detail={"exposed": exposed, "seen_from": seen},
    )


def _value_facts(result: ImpactResult) -> Iterator[Fact]:
    for journey in result.journeys:
        value = journey.value
        if value is not None and value.low > 0:
            yield Fact(
                "value",
                f"journeys.{journey.name}.value_at_risk",
                who=journey.name,
                value=value.estimate,
                low=value.low,
                high=value.high,
                usual=0.0,
                score=score(1.5, value.low),
                detail={"currency": value.currency},
            )


def _business_facts(result: ImpactResult) -> Iterator[Fact]:
    """In how many businesses something did not get through, and which it hit hardest."""
    businesses = [customer for customer in result.customers if customer.kind == "business"]
    broken = [customer for customer in businesses if customer.figures.attempts.failed]
    if len(businesses) < 2 or not broken:
        return
    yield Fact(
        "businesses",
        "customers.grade",
        **_counted(len(broken)),
        score=score(3.5, len(broken)),
        detail={"total": len(businesses)},
    )
    broken.sort(key=lambda c: (-c.figures.attempts.failed, -c.figures.requests.failed, c.name))
    if len(broken) > 1:
        yield Fact(
            "hardest",
            "customers.attempts",
            **_counted(broken[0].figures.attempts.failed),
            score=score(2.5, len(broken)),
            detail={"names": [customer.name for customer in broken[:3]]},
        )


def _dark_facts(result: ImpactResult) -> Iterator[Fact]:
    """Customers whose own business stood still, the longest first."""
    dark = [(_dark_seconds(c, result), c) for c in result.customers if c.outage is not None]
    if not dark:
        return
    dark.sort(key=lambda one: (-one[0], one[1].name))
    seconds, worst = dark[0]
    until = worst.outage.to_ms if worst.outage else None
    yield Fact(
        "dark",
        "customers.outage",
        who=worst.name,
        value=seconds,
        low=seconds,
        high=seconds if until else None,
        score=score(5.0, len(dark)),
        detail={
            "seconds": seconds,
            "over": until is not None,
            "failures": worst.outage.failures if worst.outage else 0,
            "others": len(dark) - 1,
        },
    )


def _dark_seconds(customer: CustomerImpact, result: ImpactResult) -> float:
    if customer.outage is None:
        return 0.0
    end = customer.outage.to_ms or max(
        customer.outage.from_ms, min(result.end_ms, result.watermark_ms)
    )
    return (end - customer.outage.from_ms) / 1000


def _trait_facts(result: ImpactResult) -> Iterator[Fact]:
    """The region, app version or the like where more people than elsewhere did not get through."""
    # How many there surely are beyond the rate of elsewhere.
    standing = [
        (one.actors_failed * (1 - 1 / one.times.low), one, one.times)
        for one in result.traits
        if one.stands_out and one.times is not None and one.times.low > 1
    ]
    if not standing:
        return
    excess, worst, times = max(standing, key=lambda found: found[0])
    yield Fact(
        "trait",
        "traits",
        who=f"{worst.name.replace('_', ' ')} {worst.value}",
        value=times.estimate,
        low=times.low,
        high=times.high,
        usual=1.0,
        score=score(3.0, excess),
        detail={
            "whom": whom(result),
            "failed": worst.actors_failed,
            "actors": worst.actors,
        },
    )


def _uptime_facts(result: ImpactResult) -> Iterator[Fact]:
    uptime = result.figures.user_uptime
    if uptime.during is None or uptime.during > 0.999:
        return
    yield Fact(
        "uptime",
        "user_uptime.during",
        **_counted(uptime.during),
        usual=uptime.before,
        score=score(1.0, 10 * (1 - uptime.during)),
    )


def _promise_facts(result: ImpactResult) -> Iterator[Fact]:
    """Promises that the window broke; when it broke none, that it did not."""
    judged = [one for one in result.tenets if one.get("verdict") in {"kept", "at_risk", "broken"}]
    broken = [str(one.get("clause", "")) for one in judged if one["verdict"] == "broken"]
    if judged:
        yield Fact(
            "promises" if broken else "promises_kept",
            "tenets",
            **_counted(len(broken)),
            usual=0.0,
            score=score(4.0, len(broken)) if broken else 0.3,
            detail={"total": len(judged), "clauses": broken[:PROMISES_NAMED]},
        )


TOLD_GAPS = (
    "sender",
    "meter",
    "actor",
    "proxy",
    "attempts",
    "open",
    "provisional",
    "lost_attempts",
    "not_returned",
)


def gaps_told(result: ImpactResult) -> list[Gap]:
    """The gaps that a story ends with, the widest first."""
    ranked = [gap for code in TOLD_GAPS for gap in result.gaps if gap.code == code]
    return ranked[:MAX_GAPS]


def gap_fact(gap: Gap, result: ImpactResult) -> Fact:
    """What is not known and why, with the numbers that its words in any language need."""
    figures = result.figures
    share = figures.coverage.actor
    return Fact(
        "gap",
        f"gaps.{gap.code}",
        detail={
            "code": gap.code,
            "question": gap.question,
            "why": gap.why,
            "unknown": None if share is None else 1 - share,
            "at_least": figures.actors.at_least_hit,
            "attempts": figures.attempts.total,
            "cannot_tell": figures.attempts.cannot_tell,
            "open": figures.attempts.open,
            "known_until": rfc3339(min(result.as_of_ms, result.watermark_ms)),
            "numbers": dict(gap.numbers),
            **_sender(gap, result),
        },
    )


def _sender(gap: Gap, result: ImpactResult) -> dict[str, Any]:
    """Which service went silent, and when it was last heard of."""
    if gap.code != "sender" or not result.silent:
        return {}
    name, last = result.silent[0]
    return {"service": name, "heard": rfc3339(last)}
