"""From facts to the frozen answer: figures, grades, journeys, customers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from apps.analytics.actors import ACTOR_SHARE_NEEDED
from apps.analytics.attempts import (
    DEFAULT_WINDOW_S,
    Frame,
)
from apps.analytics.events import ActorKind
from apps.analytics.impact.facts import EVERYBODY, Facts, Scope, ordered
from apps.analytics.measures import (
    NOT_PASSED,
    CannotTell,
    NotReturned,
    Outage,
    Series,
    UserUptime,
    WindowedUptime,
)
from apps.analytics.names import Catalogue, JourneyName
from apps.analytics.results import (
    CLASSES,
    Actors,
    Attempts,
    Coverage,
    CustomerImpact,
    ExtraWait,
    Figures,
    ImpactResult,
    JourneyImpact,
    MeterImpact,
    OperationImpact,
    Requests,
    Step,
    ValueAtRisk,
)
from apps.analytics.stats import Lost, NetLost

HIT_SHARE = 0.20
SLOW_SHARE = 0.10
SLOW_NEEDED = 5
MOST_STEPS = 8
NO_UPTIME = UserUptime(None, None, None, 0)


def _figures(
    facts: Facts,
    scope: Scope,
    *,
    uptime: UserUptime = NO_UPTIME,
    not_returned: NotReturned | CannotTell | None = None,
) -> Figures:
    n, failed, aborted, named_customer, with_actor, with_key, actors, hit, doubted = (
        facts.touched.get(scope, (0,) * 9)
    )
    bots, probes = facts.apart.get(scope, (0, 0))
    lost = _lost(facts, scope, float(with_actor or 0), n, failed)
    told = bool(n) and (with_actor or 0) / n >= ACTOR_SHARE_NEEDED
    if doubted > (1 - ACTOR_SHARE_NEEDED) * n:
        uptime = replace(uptime, during=None)
    kinds = {}
    if scope == EVERYBODY:
        kinds = {ActorKind(kind).name.lower(): int(k) for kind, k in sorted(facts.kinds.items())}
    return Figures(
        coverage=Coverage(
            *(
                float(part or 0) / n if n else None
                for part in (named_customer, with_actor, with_key)
            )
        ),
        requests=Requests(
            total=int(n),
            failed=int(failed),
            client_aborts=int(aborted),
            bots=int(bots),
            probes=int(probes),
            duplicates=facts.dropped.get(scope, 0),
            doubted=int(doubted),
        ),
        actors=Actors(
            total=int(actors) if told or not n else None,
            hit=int(hit) if (told or not n) and not doubted else None,
            at_least_total=int(actors),
            at_least_hit=int(hit),
            by_kind=kinds,
        ),
        attempts=_classes(facts.attempts.get(scope, {})),
        people=_classes(facts.people.get(scope, {})),
        extra_wait=facts.waits.get(scope, ExtraWait()),
        user_uptime=uptime,
        lost=lost,
        net_lost=_net_lost(facts, scope, lost),
        not_returned=not_returned or CannotTell("computed for everybody together only"),
    )


def _classes(counts: Mapping[str, int]) -> Attempts:
    return Attempts(**{name: counts.get(name, 0) for name in CLASSES})


def _lost(facts: Facts, scope: Scope, with_actor: float, n: int, failed: int) -> Lost | CannotTell:
    """Without actors a retry looks like a new attempt: with failures about, that hides the lost."""
    if n and with_actor / n < ACTOR_SHARE_NEEDED and failed / n > 0.02:
        return CannotTell(
            "retries cannot be told from new attempts: too few requests carry an actor"
        )
    if facts.stopped and (scope[0] != "operation" or facts.services.get(scope[1]) in facts.stopped):
        return CannotTell("a service sends nothing any more: nobody came, or its sender stopped")
    if scope in facts.lost:
        return facts.lost[scope]
    overall = facts.lost.get(EVERYBODY, CannotTell("no earlier weeks to compare with"))
    if isinstance(overall, CannotTell):
        return overall
    return CannotTell("too few attempts in earlier weeks to expect 30 in the window")


def _net_lost(facts: Facts, scope: Scope, lost: Lost | CannotTell) -> NetLost | CannotTell:
    if isinstance(lost, CannotTell):
        return lost
    return facts.net_lost.get(scope, CannotTell(NOT_PASSED))


def grade(figures: Figures, outage: Outage | None) -> str:
    """How hard a customer was hit, in one word.

    * `not_hit`: no failed request, and no more than a tenth of attempts slow;
    * `cannot_tell`: failures come from a broken meter; or requests failed, but no attempt could be told
      to have gone wrong or right after a failure (no actors, no keys, or too busy to tell retries from
      new work);
    * `hit`: an outage of their own, or at least 20 % of the attempts that can be told did not get
      through (gave up, came back later, still open);
    * `partly_hit`: some attempts did not get through;
    * `slowed`: all got through in the end, after failures or over the promised latency.
    """
    attempts = figures.attempts
    told = attempts.total - attempts.cannot_tell
    if outage is not None or (attempts.failed and attempts.failed >= HIT_SHARE * told):
        return "hit"
    if attempts.failed:
        return "partly_hit"
    if figures.requests.doubted:
        return "cannot_tell"
    if figures.requests.failed and not attempts.retried:
        # failures of attempts that began before the window leave nothing in it to judge
        return "cannot_tell" if attempts.cannot_tell else "slowed"
    slow = attempts.slow >= max(SLOW_NEEDED, SLOW_SHARE * told)
    return "slowed" if attempts.retried or slow else "not_hit"


def assemble(
    facts: Facts, frame: Frame, names: Catalogue, *, as_of_ms: int, data_end_ms: int
) -> ImpactResult:
    figures = _figures(
        facts,
        EVERYBODY,
        uptime=facts.uptime.get(None, NO_UPTIME),
        not_returned=facts.not_returned,
    )
    return ImpactResult(
        start_ms=frame.start_ms,
        end_ms=frame.end_ms,
        as_of_ms=as_of_ms,
        watermark_ms=data_end_ms,
        horizon_ms=frame.horizon_ms,
        provisional=frame.seen_until_ms < frame.end_ms + frame.horizon_ms,
        figures=figures,
        journeys=tuple(
            _journey(facts, names, number, journey) for number, journey in enumerate(facts.journeys)
        ),
        operations=tuple(
            OperationImpact(
                op, names.operation(op).name, names.operation(op).service, _figures(facts, scope)
            )
            for scope in _ranked(facts, "operation")
            for op in (scope[1],)
        ),
        customers=tuple(
            _customer(facts, names, scope[1]) for scope in _ranked(facts, "customer") if scope[1]
        ),
        gaps=(),
        traits=facts.traits,
        series=_series(facts.series, figures),
        windowed_uptime=_windowed(facts.windowed, figures),
        silent=tuple(
            (names.services.get(service, f"service {service}"), last)
            for service, last in sorted(facts.stopped.items())
        ),
        meters=tuple(
            MeterImpact(
                tuple(names.services.get(of, f"service {of}") for of in one.services),
                tuple(names.operation(op).name for op in one.operations),
                one.calls,
                one.after,
                one.usual,
            )
            for one in facts.cleaned.meters
        ),
        windows=_windows(frame),
        basis={
            "files": len(frame.files),
            "read": {"from_ms": frame.read_from_ms, "to_ms": frame.read_to_ms},
            "horizon_s": frame.horizon_ms // 1000,
            "hosts_with_clock_skew": facts.cleaned.skewed_hosts,
            "hosts_with_unset_clocks": facts.cleaned.unset_clocks,
            "attempts_within_seconds": facts.quick,
            "proxy_addresses": len(facts.cleaned.proxies),
            "probes_by_rhythm": len(facts.cleaned.probes),
            "retried_with_wait": figures.extra_wait.n,
            "pauses": facts.pauses
            and {
                "learned_from": facts.pauses.seen,
                "median_s": round(facts.pauses.median_ms / 1000, 1),
                "spread": round(facts.pauses.spread, 3),
                "beyond_w": round(facts.pauses.beyond, 4),
            },
            "uptime_actors": figures.user_uptime.actors,
            "uptime_one_actor_in": facts.uptime_one_in,
        },
    )


def _series(series: Series | None, figures: Figures) -> Series | None:
    """Where user-uptime cannot be told of the window, it cannot be told of its minutes either."""
    if series is not None and figures.user_uptime.during is None:
        return replace(series, uptime=())
    return series


def _windowed(found: WindowedUptime | CannotTell, figures: Figures) -> WindowedUptime | CannotTell:
    """Nor can it be told how bad it was at its worst."""
    if isinstance(found, WindowedUptime) and figures.user_uptime.during is None:
        return CannotTell("user-uptime of the window itself cannot be told")
    return found


def _ranked(facts: Facts, kind: str) -> list[Scope]:
    """Scopes of one kind, those with most failed attempts first, then failed requests, then size."""

    def harm(scope: Scope) -> tuple[int, int, int, int]:
        ended, row = facts.attempts.get(scope, {}), facts.touched[scope]
        lost = sum(ended.get(name, 0) for name in ("gave_up", "came_back", "open"))
        return (-lost, -int(row[1]), -int(row[0]), scope[1])

    return sorted((scope for scope in facts.touched if scope[0] == kind), key=harm)


def _journey(facts: Facts, names: Catalogue, number: int, journey: JourneyName) -> JourneyImpact:
    figures = _figures(facts, ("operation", journey.done))
    return JourneyImpact(
        id=journey.id,
        name=journey.name,
        declared=journey.declared,
        done=journey.done,
        operations=journey.operations,
        figures=figures,
        blocked_at=tuple(facts.blocked.get(number, ())),
        value=_value(journey, figures),
        verb=journey.verb,
        steps=_steps(facts, names, journey),
    )


def _steps(facts: Facts, names: Catalogue, journey: JourneyName) -> tuple[Step, ...]:
    """How attempts at each of its steps ended, the middle ones of many left out; nothing for a journey of one step."""
    usual_of = facts.series.usual_of if facts.series else {}
    order = ordered(journey)
    if len(order) == 1:
        return ()
    if len(order) > MOST_STEPS:
        order = (*order[: MOST_STEPS - 1], order[-1])
    return tuple(
        Step(
            names.operation(op).name,
            _classes(facts.attempts.get(("operation", op), {})),
            usual_of.get(op, ()),
        )
        for op in order
    )


def _value(journey: JourneyName, figures: Figures) -> ValueAtRisk | None:
    """Given-up attempts times the journey's value, plus the lost ones where they can be told."""
    if journey.value is None:
        return None
    low = middle = high = float(figures.attempts.gave_up)
    if isinstance(figures.lost, Lost):
        interval = figures.lost.interval
        low += max(0.0, interval.low)
        middle += max(0.0, interval.estimate)
        high += max(0.0, interval.high)
    return ValueAtRisk(
        journey.currency, middle * journey.value, low * journey.value, high * journey.value
    )


def _customer(facts: Facts, names: Catalogue, customer_id: int) -> CustomerImpact:
    customer = names.customer(customer_id)
    figures = _figures(
        facts, ("customer", customer_id), uptime=facts.uptime.get(customer_id, NO_UPTIME)
    )
    outage = facts.outages.get(customer_id)
    return CustomerImpact(
        id=customer_id,
        name=customer.name,
        kind=customer.kind,
        grade=grade(figures, outage),
        figures=figures,
        outage=outage,
        journeys=tuple(facts.customer_journeys.get(customer_id, ())),
    )


def _windows(frame: Frame) -> dict[str, Any]:
    given = [
        {"kind": kind, "operation": operation, "seconds": seconds, "source": "given"}
        for (kind, operation), seconds in sorted(frame.windows.items())
    ]
    return {"default": {"seconds": DEFAULT_WINDOW_S, "source": "default"}, "given": given}
