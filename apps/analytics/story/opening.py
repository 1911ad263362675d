"""The first sentence: who tried what, and the outcome that hurts most."""

from apps.analytics.names import PEOPLE_KINDS
from apps.analytics.results import (
    Attempts,
    ImpactResult,
    JourneyImpact,
    Sentence,
)
from apps.analytics.stats import Lost
from apps.analytics.story.words import about, between, capital, many, was


def first_sentence(result: ImpactResult) -> Sentence:
    requests, attempts = result.figures.requests, result.figures.attempts
    span = between(result)
    if requests.total == 0:
        return _opening_empty(result, span)
    silent = _silent(result)
    if silent is not None and not attempts.failed:
        return silent
    if requests.failed == 0:
        return Sentence(
            f"{capital(span)}, {everybody(result)} made {many(requests.total, 'request')}"
            " and none failed.",
            "requests.failed",
        )
    worst = worst_journey(result)
    if worst is None or not harm(worst):
        return _opening_harmless(result, span)
    return Sentence(f"{capital(span)}, {journey_sentence(worst, result)}", f"journeys.{worst.name}")


def _opening_empty(result: ImpactResult, span: str) -> Sentence:
    lost = result.figures.lost
    if isinstance(lost, Lost) and lost.interval.low > 0:
        return Sentence(
            f"{capital(span)}, no customer request reached us at all:"
            f" {about(lost.interval)} attempts that usually come at this hour never came.",
            "lost_attempts",
        )
    if isinstance(lost, Lost):
        return Sentence(
            f"{capital(span)}, no customer request reached us, which is not unusual at this hour.",
            "lost_attempts",
        )
    return Sentence(
        f"No customer request was recorded {span}: we cannot tell whether nobody came or whether we"
        " did not see them.",
        "requests.total",
    )


def _silent(result: ImpactResult) -> Sentence | None:
    """Traffic fell away without an error: at least a fifth of what usually comes is missing."""
    lost = result.figures.lost
    if not isinstance(lost, Lost) or lost.interval.low < 0.2 * lost.expected:
        return None
    if result.figures.requests.failed > 0.05 * max(1, result.figures.requests.total):
        return None
    failed = result.figures.requests.failed
    errors = "no request failed" if failed == 0 else f"only {many(failed, 'request')} failed"
    return Sentence(
        f"{capital(between(result))}, {errors}, yet many never came: {about(lost.interval)} attempts"
        f" that usually come at this hour were not made; {lost.observed:,} were.",
        "lost_attempts",
    )


def _opening_harmless(result: ImpactResult, span: str) -> Sentence:
    """Requests failed, yet no attempt is known to have been lost by it."""
    attempts, failed = result.figures.attempts, result.figures.requests.failed
    start = (
        f"{capital(span)}, {many(failed, 'request')} of {result.figures.requests.total:,} failed"
    )
    if attempts.failed:
        return Sentence(
            f"{start}; {many(attempts.failed, 'attempt')} did not get through.", "attempts"
        )
    if attempts.cannot_tell:
        return Sentence(
            f"{start}. Whether anybody gave up because of it cannot be told: see below.",
            "attempts.cannot_tell",
        )
    if attempts.retried:
        return Sentence(
            f"{start}, and nobody gave up: all who met a failure got through on another try"
            f" ({many(attempts.retried, 'attempt')}).",
            "attempts.retried",
        )
    return Sentence(f"{start}, in attempts that had begun before.", "requests.failed")


def everybody(result: ImpactResult) -> str:
    total = result.figures.actors.total
    if total is None:
        return f"at least {many(result.figures.actors.at_least_total, 'known caller')} and others"
    return people_of(total, result)


def people_of(n: int, result: ImpactResult) -> str:
    """People, or callers where they may be programs."""
    kinds = {customer.kind for customer in result.customers}
    if (kinds and kinds <= PEOPLE_KINDS) or not kinds:
        return many(n, "person", "people")
    if kinds == {"business"}:
        return many(n, "caller")
    return many(n, "person or program", "people and programs")


def harm(journey: JourneyImpact) -> int:
    return journey.figures.attempts.failed + sum(b.actors for b in journey.blocked_at)


def worst_journey(result: ImpactResult) -> JourneyImpact | None:
    """The journey whose first sentence hurts most: declared ones first, then by failed attempts."""
    if not result.journeys:
        return None
    return max(
        result.journeys,
        key=lambda j: (harm(j) > 0, j.declared, harm(j), j.figures.requests.failed),
    )


def tried(journey: JourneyImpact) -> str:
    """ "tried to place an order", or the journey's name where nobody said what people do there."""
    return f"tried to {journey.verb}" if journey.verb else f"tried “{journey.name}”"


def journey_sentence(journey: JourneyImpact, result: ImpactResult) -> str:
    attempts, actors = journey.figures.attempts, journey.figures.actors
    if attempts.total == 0:
        return f"nobody got as far as “{journey.name}”{blocked_words(journey)}."
    if actors.total is None:
        start = f"“{journey.name}” was tried {many(attempts.total, 'time')}"
        return f"{start}. {capital(outcomes(attempts))}{blocked_words(journey)}."
    who = people_of(actors.total, result)
    if actors.total == attempts.total:
        return f"{who} {tried(journey)}. {capital(outcomes(attempts))}{blocked_words(journey)}."
    times = many(attempts.total, "time")
    return f"{who} {tried(journey)} {times}. {capital(outcomes(attempts))}{blocked_words(journey)}."


def outcomes(attempts: Attempts) -> str:
    """How attempts ended, in words; the parts sum to the attempts."""
    through = attempts.through
    first = attempts.first_try + attempts.slow
    parts = []
    if through:
        how = "got through"
        if attempts.retried and first:
            how += f", {attempts.retried:,} of them only on another try"
        elif attempts.retried:
            how += " only on another try"
        parts.append(f"{through:,} {how}")
    parts += [
        f"{n:,} {words}"
        for n, words in (
            (attempts.gave_up, "gave up"),
            (attempts.came_back, "gave up and came back later"),
            (attempts.open, was(attempts.open) + " still trying"),
            (attempts.cannot_tell, "cannot be told"),
        )
        if n
    ]
    return "; ".join(parts)


def blocked_words(journey: JourneyImpact) -> str:
    blocked = sum(b.actors for b in journey.blocked_at)
    if not blocked:
        return ""
    worst = max(journey.blocked_at, key=lambda b: b.actors)
    where = (
        f" at “{worst.step}”" if len(journey.blocked_at) == 1 else ", most at “" + worst.step + "”"
    )
    more = "more " if journey.figures.attempts.total else ""
    people = "person" if blocked == 1 else "people"
    return f"; {blocked:,} {more}{people} failed before that{where} and got no further"
