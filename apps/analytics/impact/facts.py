"""What the passes over the events find, by scope: everybody, one customer, one operation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.analytics import measures
from apps.analytics.attempts import (
    HOUR_MS,
    Cleaned,
    Frame,
    Pauses,
    build_chains,
    clean,
    find_pauses,
)
from apps.analytics.daily import Days
from apps.analytics.measures import (
    CannotTell,
    NotReturned,
    Outage,
    Series,
    TraitImpact,
    UserUptime,
    WindowedUptime,
)
from apps.analytics.names import Catalogue, JourneyName, Week
from apps.analytics.results import (
    Attempts,
    Blocked,
    Carried,
    CustomerJourney,
    ExtraWait,
)
from apps.analytics.sql import Fragment, Row, Runner, fill, numbers, rows_of
from apps.analytics.stats import Lost, NetLost

Scope = tuple[str, int]
"""("all", 0), ("customer", id), ("operation", id)."""
EVERYBODY: Scope = ("all", 0)
RETRIED_NEEDED = 20
PROPOSED_CHANGES = 12
PROPOSED_BUSIEST = 5


@dataclass
class Facts:
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
    pauses: Pauses | None = None
    quick: int = 0
    """Attempts whose requests follow each other within a second."""
    windowed: WindowedUptime | CannotTell = field(
        default_factory=lambda: CannotTell("it was not computed")
    )
    outages: dict[int, Outage] = field(default_factory=dict)
    lost: dict[tuple[str, int], Lost | CannotTell] = field(default_factory=dict)
    net_lost: dict[tuple[str, int], NetLost | CannotTell] = field(default_factory=dict)
    not_returned: NotReturned | CannotTell = field(
        default_factory=lambda: CannotTell("no earlier weeks to compare with")
    )
    traits: tuple[TraitImpact, ...] = ()
    stopped: dict[int, int] = field(default_factory=dict)
    services: dict[int, int] = field(default_factory=dict)  # of operations, where one has stopped
    basis: dict[str, Any] = field(default_factory=dict)
    series: Series | None = None


def gather(
    run: Runner,
    frame: Frame,
    names: Catalogue,
    weeks: Sequence[Week],
    days: Days | None,
    carried: Carried | None = None,
) -> Facts:
    """Run the passes; with `carried`, those over earlier weeks are left out and it is taken for them."""
    run.step("reading and cleaning events")
    facts = Facts(clean(run, frame))
    facts.stopped = measures.stopped(run, frame)
    run.step("finding failures and what followed")
    build_chains(run, frame)
    _add_usual_latency(run, frame)
    facts.pauses = find_pauses(run, frame)
    run.step("counting attempts")
    facts.touched = _by_scope(run.rows(_TOUCHED_CELLS))
    if facts.stopped:
        facts.services = dict(run.rows("SELECT DISTINCT operation, service FROM touched"))
    facts.apart = _by_scope(run.rows(fill(_APART, start=frame.start_ms, end=frame.end_ms)))
    facts.dropped = {
        scope: int(row[0])
        for scope, row in _by_scope(
            run.rows(fill(_DROPPED, start=frame.start_ms, end=frame.end_ms))
        ).items()
    }
    facts.kinds = dict(run.rows(_KINDS))
    _count_attempts(run, facts)
    if facts.cleaned.unset_clocks > 1:
        (facts.quick,) = run.one(
            "SELECT count(*) FROM chains WHERE tries > 1 AND last_ts - start_ts < 1000 * (tries - 1)"
        )
    facts.journeys = _journeys(names, facts, frame.service)
    facts.customer_journeys = _customer_journeys(run, facts.journeys)
    facts.blocked = _blocked(run, frame, names, facts.journeys)
    facts.traits = measures.by_traits(run, frame, names.traits)
    facts.series = measures.over_time(run, frame)
    run.step("user-uptime")
    facts.uptime, facts.uptime_one_in = measures.user_uptime(run, frame)
    facts.series = _with_uptime(run, frame, facts.series)
    facts.windowed = measures.windowed_uptime(run, frame)
    run.step("each customer's own outage")
    facts.outages = measures.outages(run, frame)
    if carried:
        facts.lost = dict(carried.lost)
        facts.series = replace(facts.series, usual=carried.usual)
        facts.not_returned = CannotTell("the time in which they may come back has not passed")
    elif weeks:
        run.step("who never tried")
        known = days or Days(
            events=(*frame.files, *(name for week in weeks for name in week.files))
        )
        apart = {"proxies": facts.cleaned.proxies, "probes": facts.cleaned.probes}
        operations = {journey.done for journey in facts.journeys}
        facts.lost = measures.lost(run, frame, weeks, known, operations=operations, **apart)
        facts.net_lost = measures.net_lost(run, frame, weeks, facts.lost)
        if isinstance(facts.lost.get(EVERYBODY), Lost):
            usual, of = measures.usual_starts(run, frame, facts.series.bins)
            facts.series = replace(facts.series, usual=usual, usual_of=of)
        run.step("who did not return")
        measures.open_history(run, frame, weeks, **apart)
        facts.not_returned = measures.not_returned(run, frame, weeks, known, **apart)
    run.step("putting it together")
    return facts


def _with_uptime(run: Runner, frame: Frame, series: Series) -> Series:
    """The same with user-uptime by bin, as far as `user_uptime` looked around the window: an hour."""
    uptime = measures.uptime_over_time(
        run,
        frame,
        series.bins,
        from_ms=frame.start_ms - HOUR_MS,
        to_ms=min(frame.end_ms + HOUR_MS, frame.seen_until_ms + 1),
    )
    return replace(series, uptime=uptime)


_SETS = "GROUPING SETS ((), (customer), (operation))"
_TOUCHED_CELLS = f"""
SELECT CASE WHEN grouping(customer) = 0 THEN 'customer' WHEN grouping(operation) = 0
            THEN 'operation' ELSE 'all' END,
       CASE WHEN grouping(customer) = 0 THEN customer WHEN grouping(operation) = 0
            THEN operation ELSE 0 END,
       sum(n), sum(failed), sum(aborted), sum(n) FILTER (customer <> 0),
       sum(n) FILTER (actor IS NOT NULL), sum(named),
       count(DISTINCT actor), count(DISTINCT actor) FILTER (failed > 0), sum(doubted)
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
    run.table("usual", fill("SELECT * FROM $table", table=table))
    run.table(
        "told",
        """
        SELECT c.customer, c.operation, c.actor, c.class,
               CASE WHEN class = 'retried'
                    THEN greatest(0, ok_until - start_ts - coalesce(u.ms, 0)) / 1000.0 END AS extra
        FROM chains c LEFT JOIN usual u ON u.op = c.operation
        """,
    )


def _count_attempts(run: Runner, facts: Facts) -> None:
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
    paused = {
        (kind, int(ident)): int(ms) / 1000
        for kind, ident, ms in run.rows(_ended_cells("paused", "sum(ms)", "", where="ms > 0"))
    }
    for kind, ident, total, p50, p95, n in run.rows(
        _ended_cells(
            "told",
            "sum(extra), quantile_cont(extra, 0.5), quantile_cont(extra, 0.95), count(extra)",
            "",
            where="extra IS NOT NULL",
        )
    ):
        enough = n >= RETRIED_NEEDED
        beyond = paused.pop((kind, int(ident)), 0.0)
        facts.waits[kind, int(ident)] = ExtraWait(
            round(float(total or 0) + beyond, 3),  # whole ms, in whatever order they were added up
            float(p50) if enough else None,
            float(p95) if enough else None,
            int(n),
            beyond,
        )
    for scope, beyond in paused.items():
        facts.waits[scope] = ExtraWait(beyond, paused=beyond)


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


def _journeys(names: Catalogue, facts: Facts, service: int | None) -> list[JourneyName]:
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
        for place, op in enumerate(ordered(journey))
        if len(ordered(journey)) > 1
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
        operation = ordered(journeys[number])[place]
        if operation != journeys[number].done:
            found.setdefault(int(number), []).append(
                Blocked(names.operation(operation).name, operation, int(actors))
            )
    return found


def ordered(journey: JourneyName) -> tuple[int, ...]:
    """The steps of a journey in order, the completing one last."""
    return (*(op for op in journey.operations if op != journey.done), journey.done)
