"""The story: sentences instead of a count of errors. Each rests on a figure of the result, named with it.

First who tried what and the outcome that hurts most; then at most seven facts, ranked by harm times
certainty; then what is not known. Counts are rounded to what their interval supports; a fact whose
interval includes "as usual" is not told as harm. Customer-facing text never breaks down fewer than
five people (`story_for`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import floor, log10

from apps.analytics.measures import Outage
from apps.analytics.names import PEOPLE_KINDS
from apps.analytics.results import (
    CLASSES,
    Attempts,
    CustomerImpact,
    CustomerJourney,
    Gap,
    ImpactResult,
    JourneyImpact,
    Sentence,
)
from apps.analytics.stats import Interval, Lost

MAX_FACTS = 7
MAX_GAPS = 3
K_ANONYMOUS = 5


def tell(result: ImpactResult) -> tuple[Sentence, ...]:
    """The story for staff: opening, facts by rank, what cannot be told."""
    opening = _opening(result)
    used = {opening.basis}
    facts = sorted(_facts(result), key=lambda fact: -fact.score)
    chosen = [fact for fact in facts if fact.basis not in used][:MAX_FACTS]
    return (opening, *chosen, *(_gap_sentence(gap) for gap in _gaps_told(result)))


def story_for(result: ImpactResult, customer_id: int) -> tuple[Sentence, ...]:
    """What happened to one customer, in words addressed to them.

    Totals of their own requests are always told. A breakdown by outcome is told only when at least
    five people stand behind each of its parts; otherwise the total alone.
    """
    customer = result.customer(customer_id)
    span = between(result)
    if customer is None:
        text = f"We saw no request of yours {span}."
        return (Sentence(text, "customers.requests.total"),)
    if customer.figures.requests.failed == 0:
        text = f"None of your {_many(customer.figures.requests.total, 'request')} failed {span}."
        if customer.figures.requests.total == 1:
            text = f"Your one request {span} did not fail."
        return (Sentence(text, "customers.requests.failed"), *_their_slow(customer))
    sentences = [_their_journey(journey, span) for journey in _their_worst(customer)]
    if not sentences:
        sentences = [_their_requests(customer, span)]
    if customer.outage is not None:
        sentences.append(_their_outage(customer.outage))
    if result.provisional and _may_break_down(customer.figures.attempts, customer.figures.people):
        sentences.append(
            Sentence("These numbers may still change as more becomes known.", "provisional")
        )
    return tuple(sentences)


# ---- words -------------------------------------------------------------------------------------


def between(result: ImpactResult) -> str:
    """The window in words: "between 10:04 and 10:30 UTC on 3 November 2026"."""
    start, end = _utc(result.start_ms), _utc(result.end_ms)
    if start.date() == end.date():
        whole = result.start_ms % 60_000 == 0 and result.end_ms % 60_000 == 0
        seconds = "" if whole or result.end_ms - result.start_ms > 3_600_000 else ":%S"
        clock = f"%H:%M{seconds}"
        return f"between {start:{clock}} and {end:{clock}} UTC on {_day(start)}"
    return f"between {_day(start)} {start:%H:%M} and {_day(end)} {end:%H:%M} UTC"


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _many(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"


def _was(n: int) -> str:
    return "was" if n == 1 else "were"


def about(interval: Interval) -> str:
    """ "about 240 (180 to 310)": rounded to what the interval supports."""
    width = max(1.0, interval.high - interval.low)
    unit = int(10 ** max(0, floor(log10(width / 4))))

    def to_unit(value: float) -> int:
        return max(0, round(value / unit) * unit)

    low, middle, high = (to_unit(v) for v in (interval.low, interval.estimate, interval.high))
    return f"about {middle:,} ({low:,} to {high:,})"


def duration(seconds: float) -> str:
    """ "48 s", "22 minutes", "3.5 hours"."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- the first sentence ------------------------------------------------------------------------


def _opening(result: ImpactResult) -> Sentence:
    requests, attempts = result.figures.requests, result.figures.attempts
    span = between(result)
    if requests.total == 0:
        return _opening_empty(result, span)
    silent = _silent(result)
    if silent is not None and not attempts.failed:
        return silent
    if requests.failed == 0:
        return Sentence(
            f"{_capital(span)}, {_everybody(result)} made {_many(requests.total, 'request')}"
            " and none failed.",
            "requests.failed",
        )
    worst = worst_journey(result)
    if worst is None or not _harm(worst):
        return _opening_harmless(result, span)
    return Sentence(
        f"{_capital(span)}, {_journey_sentence(worst, result)}", f"journeys.{worst.name}"
    )


def _opening_empty(result: ImpactResult, span: str) -> Sentence:
    lost = result.figures.lost
    if isinstance(lost, Lost) and lost.interval.low > 0:
        return Sentence(
            f"{_capital(span)}, no customer request reached us at all:"
            f" {about(lost.interval)} attempts that usually come at this hour never came.",
            "lost_attempts",
        )
    if isinstance(lost, Lost):
        return Sentence(
            f"{_capital(span)}, no customer request reached us, which is not unusual at this hour.",
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
    errors = "no request failed" if failed == 0 else f"only {_many(failed, 'request')} failed"
    return Sentence(
        f"{_capital(between(result))}, {errors}, yet many never came: {about(lost.interval)} attempts"
        f" that usually come at this hour were not made; {lost.observed:,} were.",
        "lost_attempts",
    )


def _opening_harmless(result: ImpactResult, span: str) -> Sentence:
    """Requests failed, yet no attempt is known to have been lost by it."""
    attempts, failed = result.figures.attempts, result.figures.requests.failed
    start = (
        f"{_capital(span)}, {_many(failed, 'request')} of {result.figures.requests.total:,} failed"
    )
    if attempts.failed:
        return Sentence(
            f"{start}; {_many(attempts.failed, 'attempt')} did not get through.", "attempts"
        )
    if attempts.cannot_tell:
        return Sentence(
            f"{start}. Whether anybody gave up because of it cannot be told: see below.",
            "attempts.cannot_tell",
        )
    if attempts.retried:
        return Sentence(
            f"{start}, and nobody gave up: all who met a failure got through on another try"
            f" ({_many(attempts.retried, 'attempt')}).",
            "attempts.retried",
        )
    return Sentence(f"{start}, in attempts that had begun before.", "requests.failed")


def _everybody(result: ImpactResult) -> str:
    total = result.figures.actors.total
    if total is None:
        return f"at least {_many(result.figures.actors.at_least_total, 'known caller')} and others"
    return _who(total, result)


def _who(n: int, result: ImpactResult) -> str:
    """People, or callers where they may be programs."""
    kinds = {customer.kind for customer in result.customers}
    if (kinds and kinds <= PEOPLE_KINDS) or not kinds:
        return _many(n, "person", "people")
    if kinds == {"business"}:
        return _many(n, "caller")
    return _many(n, "person or program", "people and programs")


def _harm(journey: JourneyImpact) -> int:
    return journey.figures.attempts.failed + sum(b.actors for b in journey.blocked_at)


def worst_journey(result: ImpactResult) -> JourneyImpact | None:
    """The journey whose first sentence hurts most: declared ones first, then by failed attempts."""
    if not result.journeys:
        return None
    return max(
        result.journeys,
        key=lambda j: (_harm(j) > 0, j.declared, _harm(j), j.figures.requests.failed),
    )


def _tried(journey: JourneyImpact) -> str:
    """ "tried to place an order", or the journey's name where nobody said what people do there."""
    return f"tried to {journey.verb}" if journey.verb else f"tried “{journey.name}”"


def _journey_sentence(journey: JourneyImpact, result: ImpactResult) -> str:
    attempts, actors = journey.figures.attempts, journey.figures.actors
    if attempts.total == 0:
        return f"nobody got as far as “{journey.name}”{_blocked_words(journey)}."
    if actors.total is None:
        start = f"“{journey.name}” was tried {_many(attempts.total, 'time')}"
        return f"{start}. {_capital(_outcomes(attempts))}{_blocked_words(journey)}."
    who = _who(actors.total, result)
    if actors.total == attempts.total:
        return f"{who} {_tried(journey)}. {_capital(_outcomes(attempts))}{_blocked_words(journey)}."
    times = _many(attempts.total, "time")
    return (
        f"{who} {_tried(journey)} {times}. {_capital(_outcomes(attempts))}"
        f"{_blocked_words(journey)}."
    )


def _outcomes(attempts: Attempts) -> str:
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
            (attempts.open, _was(attempts.open) + " still trying"),
            (attempts.cannot_tell, "cannot be told"),
        )
        if n
    ]
    return "; ".join(parts)


def _blocked_words(journey: JourneyImpact) -> str:
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


# ---- facts -------------------------------------------------------------------------------------


def _score(weight: float, low: float) -> float:
    """Harm times certainty: the lower bound counts, so that a vague large number cannot win."""
    return weight * log10(1 + max(0.0, low))


def _facts(result: ImpactResult) -> Iterator[Sentence]:
    yield from _journey_facts(result)
    yield from _people_facts(result)
    yield from _waiting_facts(result)
    yield from _missing_facts(result)
    yield from _business_facts(result)
    yield from _customer_facts(result)
    yield from _uptime_facts(result)


def _journey_facts(result: ImpactResult) -> Iterator[Sentence]:
    worst = worst_journey(result)
    others = [j for j in result.journeys if j is not worst and _harm(j)]
    for journey in sorted(others, key=_harm, reverse=True)[:2]:
        text = _capital(_journey_sentence(journey, result))
        weight = 5.0 if journey.declared else 3.0
        yield Sentence(text, f"journeys.{journey.name}", _score(weight, _harm(journey)))


def _people_facts(result: ImpactResult) -> Iterator[Sentence]:
    """How many were hit, and how many requests stand behind it."""
    actors, requests = result.figures.actors, result.figures.requests
    if not requests.failed:
        return
    if actors.hit is None:
        if actors.at_least_hit:
            yield Sentence(
                f"At least {actors.at_least_hit:,} were hit; {_many(requests.failed, 'request')} of"
                f" {requests.total:,} failed.",
                "actors.at_least.hit",
                _score(3.0, actors.at_least_hit),
            )
        return
    if actors.hit == actors.total:
        text = f"All {_who(actors.total, result)} met a failure"
        if actors.hit == 1:
            text = "The one caller there was met a failure"
    else:
        text = f"{actors.hit:,} of {_who(actors.total or 0, result)} met a failure"
    text += f": {requests.failed:,} of {_many(requests.total, 'request')} failed."
    yield Sentence(text, "actors.hit", _score(3.0, actors.hit))


def _waiting_facts(result: ImpactResult) -> Iterator[Sentence]:
    wait = result.figures.extra_wait
    if wait.n and wait.p50 is not None and wait.p95 is not None:
        yield Sentence(
            f"Those who tried again until it worked ({_many(wait.n, 'attempt')}) waited"
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
            f"{_many(slow, 'attempt')} worked at once but took longer than promised.",
            "attempts.slow",
            _score(1.0, slow),
        )


def _missing_facts(result: ImpactResult) -> Iterator[Sentence]:
    lost = result.figures.lost
    if isinstance(lost, Lost) and lost.interval.low > 0:
        yield Sentence(
            f"{_capital(about(lost.interval))} attempts that usually come at this hour were never"
            " made.",
            "lost_attempts",
            _score(3.0, lost.interval.low),
        )
    gone = result.figures.not_returned
    interval = getattr(gone, "interval", None)
    if interval is not None and interval.low > 0:
        yield Sentence(
            f"{_capital(about(interval))} more people than usual have not been back since, of"
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
        text += f" ({_many(worst.outage.failures, 'failure')} in a row)"
    if len(dark) > 1:
        text += f"; {_many(len(dark) - 1, 'other customer')} had an outage of their own too"
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


# ---- what is not known -------------------------------------------------------------------------

TOLD_GAPS = ("actor", "proxy", "attempts", "open", "provisional", "lost_attempts", "not_returned")


def _gaps_told(result: ImpactResult) -> list[Gap]:
    ranked = [gap for code in TOLD_GAPS for gap in result.gaps if gap.code == code]
    return ranked[:MAX_GAPS]


def _gap_sentence(gap: Gap) -> Sentence:
    return Sentence(f"{gap.question} We cannot say: {gap.why}.", f"gaps.{gap.code}")


# ---- one customer ------------------------------------------------------------------------------


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


def _their_journey(journey: CustomerJourney, span: str) -> Sentence:
    attempts, basis = journey.attempts, f"customers.journeys.{journey.name}"
    start = (
        f"{journey.failed_requests:,} of your {_many(journey.requests, 'request')}"
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
            f"{troubled.total:,} of your {_many(attempts.total, 'attempt')} {_aimed(journey, at='at')}"
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
            (troubled.open, _was(troubled.open) + " still being tried"),
        )
        if n
    ]
    if len(parts) == 1 and troubled.retried == troubled.total:
        return "all went through on another try"
    return ", ".join(parts)


def _their_requests(customer: CustomerImpact, span: str) -> Sentence:
    requests = customer.figures.requests
    return Sentence(
        f"{requests.failed:,} of your {_many(requests.total, 'request')} failed {span}.",
        "customers.requests.failed",
    )


def _their_outage(outage: Outage) -> Sentence:
    if outage.to_ms is None:
        text = f"From {_utc(outage.from_ms):%H:%M:%S} UTC on we saw no request of yours succeed."
    else:
        length = duration((outage.to_ms - outage.from_ms) / 1000)
        text = (
            f"For {length}, from {_utc(outage.from_ms):%H:%M:%S} to {_utc(outage.to_ms):%H:%M:%S} UTC,"
            " none of your requests got through."
        )
    return Sentence(text, "customers.outage")


def _their_slow(customer: CustomerImpact) -> Iterator[Sentence]:
    slow = customer.figures.attempts.slow
    if slow and customer.figures.people.slow >= K_ANONYMOUS:
        yield Sentence(
            f"{_many(slow, 'attempt')} took longer than we promise.", "customers.attempts.slow"
        )
