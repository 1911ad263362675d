"""Cleaning: duplicates, clocks, bots, probes, proxies; and counting what needs no order of events."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.analytics.actors import find_probes, find_proxies
from apps.analytics.attempts.frame import HOUR_MS, LEFT, LEFT_WAITING_MS, Frame
from apps.analytics.attempts.meter import BrokenMeter, distrust_sql, find_broken_meters
from apps.analytics.sql import COLUMNS, Fragment, Runner, events_from, fill, numbers, rows_of

IN_MEMORY_ROWS = 1_000_000
SKEW_MIN_EVENTS = 20
SKEW_MAX_SPREAD_MS = 10_000
FEW_HOSTS = 32
OUTCOME = Fragment("outcome")
SAME_REQUEST = Fragment("service, request")


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleaning took out or set aside, by id."""

    proxies: tuple[int, ...]
    probes: tuple[int, ...]
    skewed_hosts: int
    has_duplicates: bool
    meters: tuple[BrokenMeter, ...] = ()
    unset_clocks: int = 0
    """Hosts of whose events none says when it arrived: whether their clocks are right is not known."""


def clean(run: Runner, frame: Frame) -> Cleaned:
    """Duplicates, clock skew, bots, probes, proxies, in this order.

    Leaves: `raw` (events read), `deduped` (each request once, clocks set right), `dropped`
    (duplicates taken out), `touched` (per customer, operation, actor: counts in the window) and
    `clean` (customers' events, actors behind a proxy unknown).
    """
    run.view("events", events_from(frame.files, located=True, merged=frame.merged))
    read = fill("SELECT * FROM events WHERE $within", within=frame.within)
    # what fits well into memory is decoded and cleaned once; more is read anew by each pass
    run.table("raw_head", fill("$read LIMIT $most", read=Fragment(read), most=IN_MEMORY_ROWS + 1))
    (rows,) = run.one("SELECT count(*) FROM raw_head")
    in_memory = rows <= IN_MEMORY_ROWS
    if in_memory:
        run.view("raw", "SELECT * FROM raw_head")
    else:
        run.drop("raw_head")
        run.view("raw", read)
    has_duplicates = remove_duplicates(run, source="raw", target="once")
    if in_memory and has_duplicates:
        run.con.execute("DELETE FROM raw_head WHERE loc IN (SELECT loc FROM once_dropped)")
        run.view("once", "SELECT * FROM raw_head")
    skewed = correct_skew(run, source="once", target="deduped")
    (unset_clocks,) = run.one("SELECT count(*) FROM clocks WHERE n = 0")
    keep = run.table if in_memory else run.view
    keep("visits", clean_sql(source="deduped", outcome=left_waiting(frame)))
    probes: list[int] = []
    if frame.read_to_ms - frame.read_from_ms >= 23 * HOUR_MS:
        probes = find_probes(run, events="visits", until_ms=frame.end_ms)
    run.step("counting who did what")
    if in_memory and probes:
        run.con.execute(fill("DELETE FROM visits WHERE actor IN ($probes)", probes=numbers(probes)))
        run.view("people", "SELECT * FROM visits")
    else:
        run.view("people", without_sql(source="visits", probes=probes))
    touch(run, frame, source="people")
    proxies = find_proxies(run, groups="touched")
    run.view("believed", behind_proxies_sql(source="people", proxies=proxies))
    if proxies:
        touch(run, frame, source="believed")
    meters = find_broken_meters(run, frame, source="believed")
    doubted = [operation for one in meters for operation in one.operations]
    run.view("clean", distrust_sql(source="believed", frame=frame, operations=doubted))
    if doubted:
        touch(run, frame, source="clean")
    return Cleaned(tuple(proxies), tuple(probes), skewed, has_duplicates, meters, int(unset_clocks))


def remove_duplicates(
    run: Runner, *, source: str, target: str, by: Fragment = SAME_REQUEST
) -> bool:
    """Keep one event per (service, request id): the first to arrive, then the first in time.

    Events without a request id are never merged: two equal lines may be two real requests. The
    service is part of the identity, because a request id travels on to the services behind.
    Makes the view `target` and the table `<target>_dropped`. Returns whether there were any.
    `by` may add columns of the source that must be equal as well.
    """
    run.table(
        f"{target}_ids",
        fill(
            "SELECT $by FROM $source WHERE request IS NOT NULL GROUP BY $by HAVING count(*) > 1",
            source=Fragment(source),
            by=by,
        ),
    )
    names = {"source": Fragment(source), "ids": Fragment(f"{target}_ids"), "by": by}
    (any_left,) = run.one(fill("SELECT count(*) FROM $ids", ids=names["ids"]))
    run.table(
        f"{target}_dropped",
        fill(
            """
            SELECT loc, ts, customer, operation FROM $source SEMI JOIN $ids USING ($by)
            QUALIFY row_number() OVER (
                PARTITION BY $by
                ORDER BY arrived NULLS LAST, ts, latency_ms NULLS LAST, outcome, operation,
                         customer, actor NULLS LAST, target NULLS LAST, key NULLS LAST, traffic,
                         addr NULLS LAST, host NULLS LAST, status NULLS LAST) > 1
            """,
            **names,
        ),
    )
    only_first = Fragment(f"ANTI JOIN {target}_dropped USING (loc)" if any_left else "")
    run.view(
        target,
        fill(
            "SELECT $columns, loc FROM $source $only_first",
            columns=Fragment(COLUMNS),
            source=names["source"],
            only_first=only_first,
        ),
    )
    return bool(any_left)


def correct_skew(run: Runner, *, source: str, target: str) -> int:
    """Set the clocks of the reporting hosts right; returns how many hosts were off.

    skew(host) = median(event end - arrival) - median over hosts, taken off the host's event times.
    Only where the input says when an event arrived, for hosts with at least 20 events whose middle
    half arrived within 10 s of each other: batches that arrive late say nothing about a clock.
    Leaves `clocks`: a row per host.
    """
    run.table(
        "clocks",
        fill(
            """
            SELECT host, count(arrived) AS n,
                   quantile_cont(ts + coalesce(latency_ms, 0) - arrived, [0.25, 0.5, 0.75]) AS q
            FROM $source WHERE host IS NOT NULL GROUP BY host
            """,
            source=Fragment(source),
        ),
    )
    run.table(
        "skew",
        fill(
            """
            WITH good AS (SELECT host, q[2] AS middle FROM clocks
                     WHERE n >= $min_events AND q[3] - q[1] <= $max_spread)
            SELECT host, CAST(round(middle - (SELECT median(middle) FROM good)) AS BIGINT) AS shift
            FROM good
            """,
            min_events=SKEW_MIN_EVENTS,
            max_spread=SKEW_MAX_SPREAD_MS,
        ),
    )
    shifts = run.rows("SELECT host, shift FROM skew WHERE shift <> 0 ORDER BY host")
    if not shifts:
        run.view(target, fill("SELECT * FROM $source", source=Fragment(source)))
        return 0
    join, shift = Fragment("LEFT JOIN skew s USING (host)"), Fragment("coalesce(s.shift, 0)")
    if len(shifts) <= FEW_HOSTS:
        cases = " ".join(f"WHEN {int(host)} THEN {int(off)}" for host, off in shifts)
        join, shift = Fragment(""), Fragment(f"(CASE e.host {cases} ELSE 0 END)")
    run.view(
        target,
        fill(
            "SELECT e.* REPLACE (e.ts - $shift AS ts) FROM $source e $join",
            source=Fragment(source),
            shift=shift,
            join=join,
        ),
    )
    return len(shifts)


def left_waiting(frame: Frame) -> Fragment:
    """The outcome, in which a caller who left after a long wait is told from one who moved on.

    Whoever leaves before the answer may have clicked on: no sign that anything was wrong. Whoever had
    waited longer than is promised (3 s where nothing is) tried, and got nothing: LEFT joins chains as a
    failed try. It never counts as a failed request.
    """
    promised = "".join(
        f" WHEN {int(operation)} THEN {int(limit)}"
        for operation, limit in sorted(frame.latency_tenets_ms.items())
    )
    limit = f"CASE operation{promised} ELSE {LEFT_WAITING_MS} END" if promised else LEFT_WAITING_MS
    return Fragment(f"CASE WHEN outcome = 2 AND latency_ms >= {limit} THEN {LEFT} ELSE outcome END")


def clean_sql(*, source: str, outcome: Fragment = OUTCOME) -> str:
    """Customers' events only, no bots and no probes that say so; the columns that the passes need."""
    return fill(
        """
        SELECT ts, coalesce(latency_ms, 0) AS latency, customer, service, operation, actor,
               actor_kind, addr, target, key, $outcome AS outcome, loc
        FROM $source WHERE traffic = 0
        """,
        source=Fragment(source),
        outcome=outcome,
    )


def without_sql(*, source: str, probes: Sequence[int]) -> str:
    """The same events without the probes that only their rhythm gave away."""
    return fill(
        "SELECT * FROM $source WHERE actor IS NULL OR actor NOT IN ($probes)"
        if probes
        else "SELECT * FROM $source",
        source=Fragment(source),
        probes=numbers(probes),
    )


def behind_proxies_sql(*, source: str, proxies: Sequence[int]) -> str:
    """The same events, where actors behind one of the `proxies` are unknown."""
    if not proxies:
        return fill("SELECT * FROM $source", source=Fragment(source))
    return fill(
        """
        SELECT * REPLACE (
            CASE WHEN actor_kind = 3 AND addr IN ($proxies) THEN NULL ELSE actor END AS actor)
        FROM $source
        """,
        source=Fragment(source),
        proxies=numbers(proxies),
    )


def touch(run: Runner, frame: Frame, *, source: str) -> None:
    """Count per (customer, operation, actor): everything that needs no order of events.

    `n` requests in the window, `failed`, `aborted`, `ok`, `doubted` of these, `slow` (ok over the tenet, not
    lonely), `named` by a key, `lonely` (doubted, or neither actor nor key), `failed_before` (in the look-back).
    """
    tenets = frame.latency_tenets_ms
    slow, join = Fragment("false"), Fragment("")
    if tenets:
        table = rows_of(sorted(tenets.items()), "(operation, limit_ms)")
        slow = Fragment("coalesce(latency > limit_ms, false)")
        join = Fragment(
            fill(
                "LEFT JOIN (SELECT operation, limit_ms FROM $table) USING (operation)", table=table
            )
        )
    run.table(
        "touched",
        fill(
            """
            SELECT customer, operation, actor, max(service) AS service,
                   max(CASE WHEN actor IS NULL THEN 0 ELSE actor_kind END) AS kind,
                   min(addr) AS addr,
                   count(*) AS n_all,
                   count(*) FILTER (ts >= $start) AS n,
                   count(*) FILTER (ts >= $start AND outcome = 1) AS failed,
                   count(*) FILTER (ts >= $start AND outcome IN (2, 3)) AS aborted,
                   count(*) FILTER (ts >= $start AND outcome = 0) AS ok,
                   count(*) FILTER (ts >= $start AND outcome = 4) AS doubted,
                   count(*) FILTER (ts >= $start AND outcome = 0 AND $slow
                            AND (actor IS NOT NULL OR key IS NOT NULL)) AS slow,
                   count(*) FILTER (ts >= $start AND key IS NOT NULL) AS named,
                   count(*) FILTER (ts >= $start AND (outcome = 4
                       OR outcome <> 2 AND actor IS NULL AND key IS NULL)) AS lonely,
                   count(*) FILTER (ts >= $start AND outcome = 0 AND actor IS NULL AND key IS NULL)
                       AS lonely_ok
            FROM $source $join
            WHERE ts < $end
            GROUP BY customer, operation, actor
            """,
            start=frame.start_ms,
            end=frame.end_ms,
            slow=slow,
            join=join,
            source=Fragment(source),
        ),
    )
