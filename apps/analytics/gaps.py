"""Questions that could not be answered: why, and what would close them. Never a silent zero."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import sqrt

from apps.analytics.actors import ACTOR_SHARE_NEEDED
from apps.analytics.events import ActorKind
from apps.analytics.measures import (
    OUTAGE_MIN_FAILURES,
    PUT_OFF_MINUTES,
    UPTIME_MIN_ACTORS,
    CannotTell,
    NotReturned,
)
from apps.analytics.reasons import told_as
from apps.analytics.results import Gap, ImpactResult, Requests, rfc3339

SESSION_SNIPPET = (
    "Log a pseudonymous session or user id with each request, for example sid=$cookie_sid"
)
KEY_SNIPPET = "Ask callers for an Idempotency-Key header, or for a user or session id"
RETRIED_NEEDED = 20
TOO_MANY_UNNOTICED = 0.2
PUT_OFF_MS = PUT_OFF_MINUTES * 60_000


def find_gaps(result: ImpactResult, *, proxies: int) -> tuple[Gap, ...]:
    """All gaps of a result, the widest first."""
    return tuple(
        gap
        for part in (
            _nothing(result),
            _meters(result),
            _senders(result),
            _actors(result, proxies),
            _attempts(result),
            _journeys(result),
            _small_numbers(result),
            _too_quiet(result),
            _waiting(result),
            _clocks(result),
            _history(result),
            _power(result),
            _time(result),
        )
        for gap in part
    )


def percent(share: float) -> str:
    """A share as people say it: "31 %", "under 1 %"."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{share * 100:.0f} %"


def _nothing(result: ImpactResult) -> Iterator[Gap]:
    if result.figures.requests.total == 0:
        yield Gap(
            "no_events",
            "Did anybody try anything?",
            "no customer request was recorded in this window",
            "Check that the sender was running, and ingest its log for this window",
        )


def _meters(result: ImpactResult) -> Iterator[Gap]:
    if not result.meters:
        return
    calls = sum(one.calls for one in result.meters)
    where = ", ".join(dict.fromkeys(name for one in result.meters for name in one.services))
    yield Gap(
        "meter",
        "Did those calls fail?",
        f"{calls:,} calls of {where} are reported as failed, and callers went on as if they had not",
        "Look at what writes the status: the log's status field, the exporter, a proxy that answers"
        " in place of the service",
        tuple(sorted(c.id for c in result.customers if c.figures.requests.doubted)),
        numbers={"calls": calls, "where": where},
    )


def _senders(result: ImpactResult) -> Iterator[Gap]:
    for name, last in result.silent[:1]:
        others = len(result.silent) - 1
        more = f", and {others} more services likewise" if others else ""
        heard = datetime.fromtimestamp(last / 1000, UTC)
        yield Gap(
            "sender",
            "Did nobody come, or did the sender stop?",
            f"{name} has sent nothing since {heard:%d %B %Y %H:%M} UTC{more}",
            "Look whether what sends its log or events still runs, and send what it kept back",
            numbers={"service": name, "heard": rfc3339(last), "others": others},
        )


def _actors(result: ImpactResult, proxies: int) -> Iterator[Gap]:
    coverage = result.figures.coverage
    if proxies:
        yield Gap(
            "proxy",
            "How many people are behind the proxy?",
            f"{proxies} {'address carries' if proxies == 1 else 'addresses carry'} so many user agents"
            " or so much of the traffic that they stand for many people",
            f"{SESSION_SNIPPET}; or log the forwarded client address",
            numbers={"proxies": proxies},
        )
    if coverage.actor is not None and coverage.actor < ACTOR_SHARE_NEEDED:
        yield Gap(
            "actor",
            "How many people were hit?",
            f"{percent(1 - coverage.actor)} of requests carry nothing that tells who made them;"
            f" at least {result.figures.actors.at_least_hit:,} were hit",
            SESSION_SNIPPET,
            _blind(result),
            numbers={"unknown": 1 - coverage.actor, "at_least": result.figures.actors.at_least_hit},
        )
    by_address = result.figures.actors.by_kind.get(ActorKind.ADDRESS.name.lower(), 0)
    if by_address:
        yield Gap(
            "address",
            "Is each address and browser one person?",
            f"{by_address:,} of the people counted are known by address and user agent only",
            SESSION_SNIPPET,
            numbers={"people": by_address},
        )
    if coverage.named_customer is not None and coverage.named_customer < 1:
        yield Gap(
            "customer",
            "Whose traffic is it?",
            f"{percent(1 - coverage.named_customer)} of requests belong to nobody we can name",
            "Add an identification rule to the customer that sends them",
            numbers={"unnamed": 1 - coverage.named_customer},
        )


def _blind(result: ImpactResult) -> tuple[int, ...]:
    """Customers whose people cannot be counted."""
    return tuple(sorted(c.id for c in result.customers if c.figures.actors.total is None))


def _attempts(result: ImpactResult) -> Iterator[Gap]:
    attempts, doubted = result.figures.attempts, result.figures.requests.doubted
    # Each doubted call is an attempt that cannot be told, and has a gap of its own.
    blind_attempts = attempts.cannot_tell - doubted
    if blind_attempts <= 0:
        return
    blind = tuple(sorted(c.id for c in result.customers if c.figures.attempts.cannot_tell))
    share = blind_attempts / attempts.total
    yield Gap(
        "attempts",
        "Which requests were retries?",
        f"{blind_attempts:,} attempts ({percent(share)}) carry neither a person nor a key, or"
        " come from callers too busy to tell a retry from new work",
        KEY_SNIPPET,
        blind,
        numbers={"cannot_tell": blind_attempts, "attempts": attempts.total},
    )


def _journeys(result: ImpactResult) -> Iterator[Gap]:
    """What cannot be told of single journeys, where it can of all together."""
    if result.figures.actors.total is None:
        return  # the gap of all says it
    for journey in result.journeys:
        share = journey.figures.coverage.actor
        if journey.declared and share is not None and share < ACTOR_SHARE_NEEDED:
            yield Gap(
                "actor",
                f"How many people were hit at {journey.name}?",
                f"{percent(1 - share)} of its requests carry nothing that tells who made them;"
                f" at least {journey.figures.actors.at_least_hit:,} were hit",
                SESSION_SNIPPET,
                journey=journey.id,
                numbers={
                    "journey": journey.name,
                    "unknown": 1 - share,
                    "at_least": journey.figures.actors.at_least_hit,
                },
            )


def _small_numbers(result: ImpactResult) -> Iterator[Gap]:
    wait = result.figures.extra_wait
    if 0 < wait.n < RETRIED_NEEDED:
        yield Gap(
            "extra_wait",
            "How long did those who tried again usually wait?",
            f"only {wait.n} got through on another try; {RETRIED_NEEDED} are needed for a median",
            "Nothing to add: too few people were affected to say",
            numbers={"n": wait.n, "needed": RETRIED_NEEDED},
        )
    uptime = result.figures.user_uptime
    if result.figures.requests.total and uptime.during is None and not result.meters:
        yield Gap(
            "user_uptime",
            "For which share of their time could people use it?",
            f"fewer than {UPTIME_MIN_ACTORS} known people were active in the window",
            SESSION_SNIPPET if result.figures.actors.total is None else "A longer window",
            numbers={"needed": UPTIME_MIN_ACTORS, "blind": result.figures.actors.total is None},
        )


def _too_quiet(result: ImpactResult) -> Iterator[Gap]:
    """Customers of whom a few requests are known, all of them failed: too few to say that they were down."""
    quiet = tuple(
        sorted(
            one.id
            for one in result.customers
            if one.outage is None
            and 0 < one.figures.requests.failed == _asked(one.figures.requests)
            and not one.figures.requests.doubted
        )
    )
    if quiet:
        count = "one customer" if len(quiet) == 1 else f"{len(quiet):,} customers"
        yield Gap(
            "quiet",
            "Was their own business down?",
            f"all requests of {count} failed, and of each fewer than {OUTAGE_MIN_FAILURES} are known: too"
            " quiet at this hour to say whether they were down",
            "Probe what they use for them, or ask them for their own counts",
            quiet,
            numbers={"customers": len(quiet), "needed": OUTAGE_MIN_FAILURES},
        )


def _asked(requests: Requests) -> int:
    return requests.total - requests.client_aborts


def _waiting(result: ImpactResult) -> Iterator[Gap]:
    wait = result.figures.extra_wait
    if wait.p50 is not None:
        yield Gap(
            "server_time",
            "How long did they wait on the way to us?",
            "what our logs time begins when a request reaches us: waiting on the network is not in it",
            "Have browsers and apps report how long their calls took",
        )


def _clocks(result: ImpactResult) -> Iterator[Gap]:
    hosts = result.basis.get("hosts_with_unset_clocks", 0)
    quick = result.basis.get("attempts_within_seconds", 0)
    if hosts > 1 and quick:
        yield Gap(
            "ingest_time",
            "Which request came first?",
            f"{hosts:,} hosts report without saying when it arrived, so that their clocks cannot be set"
            f" right, and in {quick:,} attempts requests follow each other within a second",
            "Send with each event when the collector received it",
            numbers={"hosts": hosts, "attempts": quick},
        )


def _power(result: ImpactResult) -> Iterator[Gap]:
    """Too few people to tell: even a fifth of the exposed might have left unnoticed."""
    gone = result.figures.not_returned
    if isinstance(gone, CannotTell):
        return
    seen = detectable_gone(gone)
    if seen > TOO_MANY_UNNOTICED * gone.exposed:
        yield Gap(
            "too_few",
            "Did somebody leave whom we would not have noticed?",
            f"of {gone.exposed:,} who failed for good we would have noticed only if {seen:,.0f} had left",
            "Nothing to add: too few people to tell a smaller number from chance",
            numbers={"exposed": gone.exposed, "seen": round(seen)},
        )


def detectable_gone(gone: NotReturned) -> float:
    """How many of the exposed must leave to be noticed four times in five, at 5 %.

    2.8 n1 √(p0 (1 - p0) (1/n1 + 1/n0)), p0 the share of people like them who usually stay away.
    """
    usual = (gone.missing - gone.interval.estimate) / gone.exposed
    share = min(1.0, max(0.0, usual))
    either = 1 / gone.exposed + 1 / max(1, gone.compared)
    return 2.8 * gone.exposed * sqrt(share * (1 - share) * either)


def _history(result: ImpactResult) -> Iterator[Gap]:
    lost, net = result.figures.lost, result.figures.net_lost
    if not isinstance(lost, CannotTell) and lost.interval.low > 0:
        if isinstance(net, CannotTell):
            yield Gap(
                "put_off",
                "Did those who never came only put it off?",
                net.why,
                "Ask again when six hours have passed after the window"
                if min(result.as_of_ms, result.watermark_ms) < result.end_ms + PUT_OFF_MS
                else "Nothing to add: what began later does not tell it",
                numbers={
                    "reason": told_as(net.why),
                    "later": min(result.as_of_ms, result.watermark_ms) < result.end_ms + PUT_OFF_MS,
                },
            )
        if (
            isinstance(net, CannotTell) or net.interval.high > 0
        ):  # else whoever did not come came later
            yield Gap(
                "net_lost",
                "Did those who never came fail on the way, or not try?",
                f"at least {lost.interval.low:,.0f} fewer attempts than usual began, and what fails before"
                " it reaches us leaves no trace in our logs",
                "Have browsers and apps report failures of their own, or ask customers for their counts",
                numbers={"low": round(lost.interval.low)},
            )
    if isinstance(result.figures.lost, CannotTell):
        yield Gap(
            "lost_attempts",
            "How many never even tried?",
            result.figures.lost.why,
            "Keep and ingest the logs of at least three earlier weeks",
            numbers={"reason": told_as(result.figures.lost.why)},
        )
    if isinstance(result.figures.not_returned, CannotTell) and result.figures.attempts.failed:
        yield Gap(
            "not_returned",
            "Who has not come back since?",
            result.figures.not_returned.why,
            "Keep and ingest earlier weeks, and ask again when a day has passed",
            numbers={"reason": told_as(result.figures.not_returned.why)},
        )


def _time(result: ImpactResult) -> Iterator[Gap]:
    still = result.figures.attempts.open
    if still:
        yield Gap(
            "open",
            "Are they still trying?",
            f"{still:,} attempts had failed so shortly before the end of what is seen that another try"
            " may follow",
            "Ask again later",
            numbers={"open": still},
        )
    given_up = result.figures.attempts.gave_up
    if result.provisional and given_up:
        until = datetime.fromtimestamp((result.end_ms + result.horizon_ms) / 1000, UTC)
        yield Gap(
            "provisional",
            "Will those who gave up come back?",
            f"what came after is known until {_moment(result)} only",
            f"Ask again after {until:%d %B %Y %H:%M} UTC with the events up to then",
            numbers={
                "known_until": rfc3339(min(result.as_of_ms, result.watermark_ms)),
                "until": rfc3339(result.end_ms + result.horizon_ms),
            },
        )


def _moment(result: ImpactResult) -> str:
    seen = datetime.fromtimestamp(min(result.as_of_ms, result.watermark_ms) / 1000, UTC)
    return f"{seen:%d %B %Y %H:%M} UTC"
