"""What the story opens with: who tried what, and the outcome that hurts most."""

from dataclasses import replace
from typing import Any

from apps.analytics.names import PEOPLE_KINDS
from apps.analytics.results import (
    Attempts,
    Fact,
    ImpactResult,
    JourneyImpact,
    rfc3339,
)
from apps.analytics.stats import Interval, Lost
from apps.analytics.story.disclosure import public_failed, public_journey, public_part


def opening(result: ImpactResult) -> Fact:
    """The fact that the story begins with; its words begin with the window."""
    fact = _opening(result)
    return replace(fact, detail={**window(result), "whom": whom(result), **fact.detail})


def _opening(result: ImpactResult) -> Fact:
    requests, attempts = result.figures.requests, result.figures.attempts
    if requests.total == 0:
        return _nothing(result)
    if result.meters and not attempts.failed:
        return _meter(result)
    silent = _silent(result)
    if silent is not None and not attempts.failed:
        return silent
    if requests.failed == 0:
        actors = result.figures.actors
        return Fact(
            "all_fine",
            "requests.failed",
            value=0,
            detail={
                "total": requests.total,
                "actors": actors.total,
                "at_least": actors.at_least_total,
            },
        )
    worst = worst_journey(result)
    if worst is None or not harm(worst):
        return _harmless(result)
    return journey_fact(worst, result)


def window(result: ImpactResult) -> dict[str, Any]:
    """The window of a fact's figures, for its words."""
    return {"from": rfc3339(result.start_ms), "to": rfc3339(result.end_ms)}


def of_interval(interval: Interval) -> dict[str, Any]:
    """An interval as a fact keeps it."""
    return {"value": interval.estimate, "low": interval.low, "high": interval.high}


def _nothing(result: ImpactResult) -> Fact:
    """No request at all: missing, usual at this hour, or not known."""
    lost = result.figures.lost
    if not isinstance(lost, Lost):
        return Fact("nothing_seen", "requests.total", value=0)
    kind = "nothing_came" if lost.interval.low > 0 else "nothing_usual"
    return Fact(kind, "lost_attempts", usual=0, **of_interval(lost.interval))


def _meter(result: ImpactResult) -> Fact:
    """Everything is reported as failed, and nobody behaves as if it had."""
    worst = max(result.meters, key=lambda one: one.calls)
    return Fact(
        "meter",
        "broken_meters",
        value=worst.calls,
        detail={
            "services": list(worst.services),
            "again": worst.after.again,
            "onward": worst.after.onward,
        },
    )


def _silent(result: ImpactResult) -> Fact | None:
    """Traffic fell away without an error: at least a fifth of what usually comes is missing."""
    lost, requests = result.figures.lost, result.figures.requests
    if not isinstance(lost, Lost) or lost.interval.low < 0.2 * lost.expected:
        return None
    if requests.failed > 0.05 * max(1, requests.total):
        return None
    return Fact(
        "silent",
        "lost_attempts",
        usual=0,
        **of_interval(lost.interval),
        detail={"failed": requests.failed, "observed": lost.observed},
    )


def _harmless(result: ImpactResult) -> Fact:
    """Requests failed, yet no attempt is known to have been lost by it."""
    attempts, requests = result.figures.attempts, result.figures.requests
    detail: dict[str, Any] = {"failed": requests.failed, "total": requests.total}
    if attempts.failed:
        detail["attempts"] = attempts.failed
        return Fact("some_lost", "attempts", value=attempts.failed, detail=detail)
    if attempts.cannot_tell:
        return Fact(
            "lost_unclear", "attempts.cannot_tell", value=attempts.cannot_tell, detail=detail
        )
    if attempts.retried:
        detail["attempts"] = attempts.retried
        return Fact(
            "none_lost",
            "attempts.retried",
            value=attempts.retried,
            public=public_part("retried", result) and public_failed(result),
            detail=detail,
        )
    return Fact(
        "begun_before",
        "requests.failed",
        value=requests.failed,
        public=public_failed(result),
        detail=detail,
    )


def whom(result: ImpactResult) -> str:
    """What actors are called: "people", "callers" (of businesses), or "either"."""
    kinds = {customer.kind for customer in result.customers}
    if kinds <= PEOPLE_KINDS:
        return "people"
    return "callers" if kinds == {"business"} else "either"


def harm(journey: JourneyImpact) -> int:
    """How many attempts at it failed, and how many people never got there."""
    return journey.figures.attempts.failed + sum(b.actors for b in journey.blocked_at)


def worst_journey(result: ImpactResult) -> JourneyImpact | None:
    """The journey whose first sentence hurts most: declared ones first, then by failed attempts."""
    if not result.journeys:
        return None
    return max(
        result.journeys,
        key=lambda j: (harm(j) > 0, j.declared, harm(j), j.figures.requests.failed),
    )


def journey_fact(journey: JourneyImpact, result: ImpactResult, score: float = 0.0) -> Fact:
    """How attempts at a journey ended, and where people were stopped before its last step."""
    attempts = journey.figures.attempts
    worst = max(journey.blocked_at, key=lambda b: b.actors, default=None)
    lost = harm(journey)
    return Fact(
        "journey",
        f"journeys.{journey.name}",
        who=journey.name,
        value=lost,
        low=lost,
        high=lost,
        score=score,
        public=public_journey(journey, result),
        detail={
            "whom": whom(result),
            "verb": journey.verb,
            "actors": journey.figures.actors.total,
            **ended(attempts),
            "blocked": sum(b.actors for b in journey.blocked_at),
            "step": worst.step if worst else "",
            "steps": len(journey.blocked_at),
        },
    )


def ended(attempts: Attempts) -> dict[str, int]:
    """How attempts ended, for the words: those that got through together, and each other class."""
    return {
        "attempts": attempts.total,
        "through": attempts.through,
        "retried": attempts.retried,
        "gave_up": attempts.gave_up,
        "came_back": attempts.came_back,
        "open": attempts.open,
        "cannot_tell": attempts.cannot_tell,
    }
