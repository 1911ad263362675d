"""The impact of a window: who tried to do what, how it ended, who was hit, and what cannot be told.

    with connect() as con:
        result = compute(
            con,
            files=[...],                 # Parquet segments that hold `attempts.reads(...)`
            start_ms=..., end_ms=...,    # the window, end not included
            as_of_ms=...,                # "seen at": events after it are not looked at
            data_end_ms=...,             # the watermark: until when the data is complete
            names=Catalogue(...),
        )
    result.as_json(); result.story; story.story_for(result, customer_id)

`compute` is a function of its arguments: no clock, no settings, nothing kept. Raises ValueError for
a window that does not end after it starts, `sql.Cancelled` when `cancelled()` says so, and DuckDB's
errors when a file cannot be read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.analytics import measures, story
from apps.analytics.actors import ACTOR_SHARE_NEEDED
from apps.analytics.attempts import (
    DAY_MS,
    DEFAULT_WINDOW_S,
    Cleaned,
    Frame,
    build_chains,
    clean,
    reads,
)
from apps.analytics.events import ActorKind
from apps.analytics.gaps import find_gaps
from apps.analytics.measures import CannotTell, NotReturned, Outage, UserUptime
from apps.analytics.names import Catalogue, JourneyName, Week
from apps.analytics.results import (
    CLASSES,
    Actors,
    Attempts,
    Blocked,
    Coverage,
    CustomerImpact,
    CustomerJourney,
    ExtraWait,
    Figures,
    ImpactResult,
    JourneyImpact,
    OperationImpact,
    Requests,
    ValueAtRisk,
)
from apps.analytics.sql import Connection, Fragment, Row, Runner, connect, fill, numbers, rows_of
from apps.analytics.stats import Lost

__all__ = ["ImpactResult", "compute", "connect", "grade", "reads"]

Scope = tuple[str, int]
"""("all", 0), ("customer", id), ("operation", id)."""
EVERYBODY: Scope = ("all", 0)

RETRIED_NEEDED = 20
HIT_SHARE = 0.20
SLOW_SHARE = 0.10
SLOW_NEEDED = 5
PROPOSED_CHANGES = 12
PROPOSED_BUSIEST = 5
STEPS = 10
NO_UPTIME = UserUptime(None, None, None, 0)


def compute(
    con: Connection,
    *,
    files: Sequence[str],
    start_ms: int,
    end_ms: int,
    as_of_ms: int,
    data_end_ms: int,
    names: Catalogue,
    horizon_ms: int = DAY_MS,
    windows: Mapping[tuple[str, int], float] | None = None,
    latency_tenets_ms: Mapping[int, int] | None = None,
    service: int | None = None,
    baseline_weeks: Sequence[Week] = (),
    tenets: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImpactResult:
    """Compute what the window did to customers.

    Args:
        con: a DuckDB of its own (`connect`); what this call makes there it removes again.
        files: Parquet segments for `reads(start_ms=, end_ms=, horizon_ms=)`; more do no harm.
        start_ms, end_ms: the window in epoch ms, end not included. An attempt belongs to it when it
            starts in it.
        as_of_ms: the moment from which it is seen.
        data_end_ms: the watermark; nothing after it is known.
        names: what ids are called; journeys with their completing operation and value.
        horizon_ms: H, how long somebody may take to come back.
        windows: W in seconds per (kind of customer, operation); 300 s, stated as default, elsewhere.
        latency_tenets_ms: promised latency per operation; without it no success is slow.
        service: only this service.
        baseline_weeks: earlier weeks, for what never came and who did not return.
        tenets: rows for the answer's "tenets", judged by the caller.
        progress: called with (step, steps, label).
        cancelled: asked between steps.
    """
    if end_ms <= start_ms:
        message = "the window must end after it starts"
        raise ValueError(message)
    frame = Frame(
        files=tuple(files),
        start_ms=start_ms,
        end_ms=end_ms,
        as_of_ms=as_of_ms,
        data_end_ms=data_end_ms,
        horizon_ms=horizon_ms,
        service=service,
        windows=dict(windows or {}),
        kinds={c.id: c.kind for c in names.customers.values()},
        latency_tenets_ms=dict(latency_tenets_ms or {}),
    )
    run = Runner(con, steps=STEPS, progress=progress, cancelled=cancelled)
    try:
        facts = _gather(run, frame, names, baseline_weeks)
    finally:
        run.drop_all()
    result = _assemble(facts, frame, names, as_of_ms=as_of_ms, data_end_ms=data_end_ms)
    result = replace(result, tenets=tuple(tenets))
    result = replace(result, gaps=find_gaps(result, proxies=len(facts.cleaned.proxies)))
    return replace(result, story=story.tell(result))


@dataclass
class _Facts:
    """What the passes over the events found, by scope."""

    cleaned: Cleaned
    journeys: list[JourneyName] = field(default_factory=list)
    touched: dict[Scope, Row] = field(default_factory=dict)
    apart: dict[Scope, Row] = field(default_factory=dict)
    dropped: dict[Scope, int] = field(default_factory=dict)
    kinds: dict[int, int] = field(default_factory=dict)
    attempts: dict[Scope, dict[str, int]] = field(default_factory=dict)
    people: dict[Scope, dict[str, int]] = field(default_factory=dict)
    waits: dict[Scope, ExtraWait] = field(default_factory=dict)
    customer_journeys: dict[int, list[CustomerJourney]] = field(default_factory=dict)
    blocked: dict[int, list[Blocked]] = field(default_factory=dict)
    uptime: dict[int | None, UserUptime] = field(default_factory=dict)
    uptime_one_in: int = 1
    outages: dict[int, Outage] = field(default_factory=dict)
    lost: dict[tuple[str, int], Lost | CannotTell] = field(default_factory=dict)
    not_returned: NotReturned | CannotTell = field(
        default_factory=lambda: CannotTell("no earlier weeks to compare with")
    )
    basis: dict[str, Any] = field(default_factory=dict)


def _gather(run: Runner, frame: Frame, names: Catalogue, weeks: Sequence[Week]) -> _Facts:
    run.step("reading and cleaning events")
    facts = _Facts(clean(run, frame))
    run.step("finding failures and what followed")
    build_chains(run, frame)
    _add_usual_latency(run, frame)
    run.step("counting attempts")
    facts.touched = _by_scope(run.rows(_TOUCHED_CELLS))
    facts.apart = _by_scope(run.rows(fill(_APART, start=frame.start_ms, end=frame.end_ms)))
    facts.dropped = {
        scope: int(row[0])
        for scope, row in _by_scope(
            run.rows(fill(_DROPPED, start=frame.start_ms, end=frame.end_ms))
        ).items()
    }
    facts.kinds = dict(run.rows(_KINDS))
    _count_attempts(run, facts)
    facts.journeys = _journeys(names, facts, frame.service)
    facts.customer_journeys = _customer_journeys(run, facts.journeys)
    facts.blocked = _blocked(run, frame, names, facts.journeys)
    run.step("user-uptime")
    facts.uptime, facts.uptime_one_in = measures.user_uptime(run, frame)
    run.step("each customer's own outage")
    facts.outages = measures.outages(run, frame)
    if weeks:
        run.step("earlier weeks")
        measures.open_history(
            run, frame, weeks, proxies=facts.cleaned.proxies, probes=facts.cleaned.probes
        )
        operations = {journey.done for journey in facts.journeys}
        facts.lost = measures.lost(run, frame, weeks, operations=operations)
        facts.not_returned = measures.not_returned(run, frame, weeks)
    run.step("putting it together")
    return facts


_SETS = "GROUPING SETS ((), (customer), (operation))"

_TOUCHED_CELLS = f"""
SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
            THEN 'operation' ELSE 'all' END,
       CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
            THEN operation ELSE 0 END,
       sum(n), sum(failed), sum(aborted), sum(n) FILTER (customer <> 0),
       sum(n) FILTER (actor IS NOT NULL), sum(named),
       count(DISTINCT actor), count(DISTINCT actor) FILTER (failed > 0)
FROM touched WHERE n > 0 GROUP BY {_SETS} HAVING count(*) > 0
"""  # noqa: S608

_APART = f"""
SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
            THEN 'operation' ELSE 'all' END,
       CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
            THEN operation ELSE 0 END,
       count_if(traffic = 1), count_if(traffic = 2)
FROM deduped WHERE ts >= $start AND ts < $end AND traffic <> 0 GROUP BY {_SETS} HAVING count(*) > 0
"""  # noqa: S608

_DROPPED = f"""
SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
            THEN 'operation' ELSE 'all' END,
       CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
            THEN operation ELSE 0 END,
       count(*)
FROM once_dropped WHERE ts >= $start AND ts < $end GROUP BY {_SETS} HAVING count(*) > 0
"""  # noqa: S608

_KINDS = "SELECT kind, count(DISTINCT actor) FROM touched WHERE n > 0 AND kind > 0 GROUP BY kind"


def _by_scope(rows: Iterable[Row]) -> dict[Scope, Row]:
    return {(row[0], int(row[1])): row[2:] for row in rows}


def _add_usual_latency(run: Runner, frame: Frame) -> None:
    usual = measures.usual_latency(run, frame)
    table = rows_of([(op, round(ms)) for op, ms in sorted(usual.items())] or [(0, 0)], "(op, ms)")
    run.table(
        "told",
        fill(
            """
            SELECT c.customer, c.operation, c.actor, c.class,
                   CASE WHEN class = 'retried'
                        THEN greatest(0, ok_until - start_ts - coalesce(u.ms, 0)) / 1000.0 END AS extra
            FROM chains c LEFT JOIN (SELECT * FROM $table) u ON u.op = c.operation
            """,
            table=table,
        ),
    )


def _count_attempts(run: Runner, facts: _Facts) -> None:
    """Attempts and people per class and scope: the told chains, the quiet groups, the lonely."""
    run.view(
        "ended",
        """
        SELECT customer, operation, actor, class, 1 AS n, extra FROM told
        UNION ALL
        SELECT customer, operation, actor, 'first_try', first_try, NULL FROM quiet
        WHERE first_try > 0
        UNION ALL
        SELECT customer, operation, actor, 'slow', slow, NULL FROM quiet WHERE slow > 0
        """,
    )
    run.table(
        "cells",
        """
        SELECT customer, operation, actor, class, sum(n)::BIGINT AS n FROM ended GROUP BY ALL
        """,
    )
    found = run.rows(_ended_cells("cells", "class, sum(n), count(DISTINCT actor)", "class"))
    for kind, ident, name, n, people in found:
        facts.attempts.setdefault((kind, int(ident)), {})[name] = int(n)
        facts.people.setdefault((kind, int(ident)), {})[name] = int(people)
    lonely = run.rows(_ended_cells("touched", "sum(lonely)", "", where="lonely > 0"))
    for kind, ident, n in lonely:
        cell = facts.attempts.setdefault((kind, int(ident)), {})
        cell["cannot_tell"] = cell.get("cannot_tell", 0) + int(n)
    for kind, ident, total, p50, p95, n in run.rows(
        _ended_cells(
            "told",
            "sum(extra), quantile_cont(extra, 0.5), quantile_cont(extra, 0.95), count(extra)",
            "",
            where="extra IS NOT NULL",
        )
    ):
        enough = n >= RETRIED_NEEDED
        facts.waits[kind, int(ident)] = ExtraWait(
            float(total or 0),
            float(p50) if enough else None,
            float(p95) if enough else None,
            int(n),
        )


def _ended_cells(table: str, what: str, by: str, where: str = "true") -> str:
    """A count per scope (everybody, customer, operation) and class."""
    more = f", {by}" if by else ""
    return fill(
        """
        SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
                    THEN 'operation' ELSE 'all' END,
               CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
                    THEN operation ELSE 0 END,
               $what
        FROM $table WHERE $where
        GROUP BY GROUPING SETS (($by), (customer$more), (operation$more)) HAVING count(*) > 0
        """,
        what=Fragment(what),
        table=Fragment(table),
        where=Fragment(where),
        by=Fragment(by),
        more=Fragment(more),
    )


def _journeys(names: Catalogue, facts: _Facts, service: int | None) -> list[JourneyName]:
    """The declared journeys that were tried, and proposals for services that declare none.

    Proposed: one journey per operation that changes something (at most 12, the busiest), else the
    five busiest operations.
    """
    tried = {ident: row for (kind, ident), row in facts.touched.items() if kind == "operation"}
    declared = [
        journey
        for journey in names.journeys
        if service is None or names.operation(journey.done).service == service
    ]
    covered = {
        names.operation(op).service
        for journey in declared
        for op in (*journey.operations, journey.done)
    }
    chosen = [j for j in declared if any(op in tried for op in (*j.operations, j.done))]
    free = sorted(
        (op for op in tried if names.operation(op).service not in covered),
        key=lambda op: (-tried[op][0], op),
    )
    changing = [op for op in free if names.operation(op).changes_state]
    proposed = changing[:PROPOSED_CHANGES] or free[:PROPOSED_BUSIEST]
    return chosen + [
        JourneyName(0, names.operation(op).name, (op,), op, declared=False) for op in proposed
    ]


def _customer_journeys(
    run: Runner, journeys: Sequence[JourneyName]
) -> dict[int, list[CustomerJourney]]:
    """Journeys of customers who had a failure, by the completing operation."""
    if not journeys:
        return {}
    done = numbers(sorted({journey.done for journey in journeys}))
    struck = "(SELECT customer FROM touched GROUP BY customer HAVING sum(failed) > 0)"
    requests = run.rows(
        fill(
            """
            SELECT customer, operation, sum(n), sum(failed), count(DISTINCT actor),
                   count(DISTINCT actor) FILTER (failed > 0), sum(lonely)
            FROM touched SEMI JOIN $struck USING (customer)
            WHERE n > 0 AND operation IN ($done) GROUP BY customer, operation
            """,
            struck=Fragment(struck),
            done=done,
        )
    )
    classes = run.rows(
        fill(
            """
            SELECT customer, operation, class, sum(n), count(DISTINCT actor)
            FROM cells SEMI JOIN $struck USING (customer)
            WHERE operation IN ($done) GROUP BY customer, operation, class
            """,
            struck=Fragment(struck),
            done=done,
        )
    )
    attempts: dict[tuple[int, int], dict[str, int]] = {}
    people: dict[tuple[int, int], dict[str, int]] = {}
    for customer, operation, name, n, actors in classes:
        attempts.setdefault((customer, operation), {})[name] = int(n)
        people.setdefault((customer, operation), {})[name] = int(actors)
    found: dict[int, list[CustomerJourney]] = {}
    by_done = {journey.done: journey for journey in reversed(journeys)}
    for customer, operation, n, failed, actors, hit, lonely in sorted(requests):
        counts = dict(attempts.get((customer, operation), {}))
        counts["cannot_tell"] = counts.get("cannot_tell", 0) + int(lonely)
        found.setdefault(int(customer), []).append(
            CustomerJourney(
                by_done[operation].name,
                Attempts(**counts),
                Attempts(**people.get((customer, operation), {})),
                int(n),
                int(failed),
                int(actors),
                int(hit),
                by_done[operation].verb,
            )
        )
    return found


def _blocked(
    run: Runner, frame: Frame, names: Catalogue, journeys: Sequence[JourneyName]
) -> dict[int, list[Blocked]]:
    """People who failed at an earlier step and then never succeeded at that or a later step."""
    found: dict[int, list[Blocked]] = {}
    steps = [
        (number, place, op)
        for number, journey in enumerate(journeys)
        for place, op in enumerate(_ordered(journey))
        if len(_ordered(journey)) > 1
    ]
    if not steps:
        return found
    table = rows_of(steps, "(journey, place, operation)")
    rows = run.rows(
        fill(
            """
            WITH steps AS (SELECT * FROM $table),
            failed AS (
                SELECT s.journey, s.place, c.actor, max(c.ts) AS last_fail
                FROM clean c JOIN steps s USING (operation)
                WHERE c.outcome = 1 AND c.actor IS NOT NULL AND c.ts >= $start AND c.ts < $end
                GROUP BY ALL),
            passed AS (
                SELECT s.journey, s.place, c.actor, max(c.ts) AS last_ok
                FROM clean c JOIN steps s USING (operation)
                SEMI JOIN failed f ON f.actor = c.actor
                WHERE c.outcome = 0 AND c.ts >= $start GROUP BY ALL),
            stuck AS (
                SELECT journey, place, actor FROM failed f WHERE NOT EXISTS (
                    SELECT 1 FROM passed p WHERE p.journey = f.journey AND p.actor = f.actor
                    AND p.place >= f.place AND p.last_ok >= f.last_fail)),
            furthest AS (SELECT journey, actor, max(place) AS place FROM stuck GROUP BY ALL)
            SELECT journey, place, count(*) FROM furthest GROUP BY ALL ORDER BY journey, place
            """,
            table=table,
            start=frame.start_ms,
            end=frame.end_ms,
        )
    )
    for number, place, actors in rows:
        operation = _ordered(journeys[number])[place]
        if operation != journeys[number].done:
            found.setdefault(int(number), []).append(
                Blocked(names.operation(operation).name, operation, int(actors))
            )
    return found


def _ordered(journey: JourneyName) -> tuple[int, ...]:
    """The steps in order, the completing one last."""
    return (*(op for op in journey.operations if op != journey.done), journey.done)


def _figures(
    facts: _Facts,
    scope: Scope,
    *,
    uptime: UserUptime = NO_UPTIME,
    not_returned: NotReturned | CannotTell | None = None,
) -> Figures:
    n, failed, aborted, named_customer, with_actor, with_key, actors, hit = facts.touched.get(
        scope, (0, 0, 0, 0, 0, 0, 0, 0)
    )
    bots, probes = facts.apart.get(scope, (0, 0))
    told = bool(n) and (with_actor or 0) / n >= ACTOR_SHARE_NEEDED
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
        ),
        actors=Actors(
            total=int(actors) if told or not n else None,
            hit=int(hit) if told or not n else None,
            at_least_total=int(actors),
            at_least_hit=int(hit),
            by_kind=kinds,
        ),
        attempts=_classes(facts.attempts.get(scope, {})),
        people=_classes(facts.people.get(scope, {})),
        extra_wait=facts.waits.get(scope, ExtraWait()),
        user_uptime=uptime,
        lost=_lost(facts, scope, float(with_actor or 0), n, failed),
        not_returned=not_returned or CannotTell("computed for everybody together only"),
    )


def _classes(counts: Mapping[str, int]) -> Attempts:
    return Attempts(**{name: counts.get(name, 0) for name in CLASSES})


def _lost(facts: _Facts, scope: Scope, with_actor: float, n: int, failed: int) -> Lost | CannotTell:
    """Without actors a retry looks like a new attempt: with failures about, that hides the lost."""
    if n and with_actor / n < ACTOR_SHARE_NEEDED and failed / n > 0.02:
        return CannotTell(
            "retries cannot be told from new attempts: too few requests carry an actor"
        )
    if scope in facts.lost:
        return facts.lost[scope]
    overall = facts.lost.get(EVERYBODY, CannotTell("no earlier weeks to compare with"))
    if isinstance(overall, CannotTell):
        return overall
    return CannotTell("too few attempts in earlier weeks to expect 30 in the window")


def grade(figures: Figures, outage: Outage | None) -> str:
    """How hard a customer was hit, in one word.

    * `not_hit`: no failed request, and no more than a tenth of attempts slow;
    * `cannot_tell`: requests failed, but no attempt could be told to have gone wrong or right after
      a failure (no actors, no keys, or too busy to tell retries from new work);
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
    if figures.requests.failed and not attempts.retried:
        # failures of attempts that began before the window leave nothing in it to judge
        return "cannot_tell" if attempts.cannot_tell else "slowed"
    slow = attempts.slow >= max(SLOW_NEEDED, SLOW_SHARE * told)
    return "slowed" if attempts.retried or slow else "not_hit"


def _assemble(
    facts: _Facts, frame: Frame, names: Catalogue, *, as_of_ms: int, data_end_ms: int
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
            _journey(facts, number, journey) for number, journey in enumerate(facts.journeys)
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
        windows=_windows(frame),
        basis={
            "files": len(frame.files),
            "read": {"from_ms": frame.read_from_ms, "to_ms": frame.read_to_ms},
            "horizon_s": frame.horizon_ms // 1000,
            "hosts_with_clock_skew": facts.cleaned.skewed_hosts,
            "proxy_addresses": len(facts.cleaned.proxies),
            "probes_by_rhythm": len(facts.cleaned.probes),
            "retried_with_wait": figures.extra_wait.n,
            "uptime_actors": figures.user_uptime.actors,
            "uptime_one_actor_in": facts.uptime_one_in,
        },
    )


def _ranked(facts: _Facts, kind: str) -> list[Scope]:
    """Scopes of one kind, those with most failed attempts first, then failed requests, then size."""

    def harm(scope: Scope) -> tuple[int, int, int, int]:
        ended, row = facts.attempts.get(scope, {}), facts.touched[scope]
        lost = sum(ended.get(name, 0) for name in ("gave_up", "came_back", "open"))
        return (-lost, -int(row[1]), -int(row[0]), scope[1])

    return sorted((scope for scope in facts.touched if scope[0] == kind), key=harm)


def _journey(facts: _Facts, number: int, journey: JourneyName) -> JourneyImpact:
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


def _customer(facts: _Facts, names: Catalogue, customer_id: int) -> CustomerImpact:
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
