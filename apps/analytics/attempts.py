"""From events to attempts: cleaning, calls, chains, and how each ended.

An *attempt* is the chain of requests that one actor made to get one thing done. Requests with the
same idempotency key within a day are one *call*, whatever lies between them. Calls of one (customer,
operation, target, actor) in time order form chains; a call starts a new chain when it is the first,
when the call before it succeeded, or when more than W has passed since that one ended.

An attempt belongs to the window in which it starts. Events before the window are read so that an
attempt that began earlier is not taken for a new one, events after it (up to the horizon H) so that
a later success is seen. Only requests within reach of a failure, or with a repeated key, need the
window functions: everywhere else each success is an attempt of its own, and is simply counted.
`attempt_sql` is the same rule written plainly over all events; the tests hold both to one answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apps.analytics.actors import find_probes, find_proxies
from apps.analytics.sql import COLUMNS, Fragment, Runner, events_from, fill, numbers, rows_of

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
DEFAULT_WINDOW_S = 300
LOOKBACK_MS = 2 * HOUR_MS
KEY_DAY_MS = DAY_MS
IN_MEMORY_ROWS = 1_000_000

AMBIGUOUS_ABOVE = 0.30
KEYED_ABOVE = 0.05
AMBIGUOUS_MIN_EVENTS = 200

SKEW_MIN_EVENTS = 20
SKEW_MAX_SPREAD_MS = 10_000
FEW_HOSTS = 32


@dataclass(frozen=True, slots=True)
class Frame:
    """What one pass reads: files, the window, and how far around it. All times epoch ms UTC.

    `as_of_ms` is the moment from which it is seen, `data_end_ms` the end of what is known.
    """

    files: tuple[str, ...]
    start_ms: int
    end_ms: int
    as_of_ms: int
    data_end_ms: int
    horizon_ms: int = DAY_MS
    lookback_ms: int = LOOKBACK_MS
    service: int | None = None
    windows: Mapping[tuple[str, int], float] = field(default_factory=dict)
    kinds: Mapping[int, str] = field(default_factory=dict)
    latency_tenets_ms: Mapping[int, int] = field(default_factory=dict)

    @property
    def seen_until_ms(self) -> int:
        """Nothing after this moment is known."""
        return min(self.as_of_ms, self.data_end_ms)

    @property
    def read_from_ms(self) -> int:
        """First moment that is read."""
        return self.start_ms - self.lookback_ms

    @property
    def read_to_ms(self) -> int:
        """First moment that is not read any more."""
        return max(self.start_ms, min(self.end_ms + self.horizon_ms, self.seen_until_ms + 1))

    @property
    def within(self) -> Fragment:
        """The condition on raw events: time read, and the service asked for."""
        only = "" if self.service is None else f" AND service = {int(self.service)}"
        return Fragment(f"ts >= {self.read_from_ms} AND ts < {self.read_to_ms}{only}")


def reads(*, start_ms: int, end_ms: int, horizon_ms: int = DAY_MS) -> tuple[int, int]:
    """The span of event times for which `compute` wants the files: (from, to) in epoch ms."""
    return start_ms - 4 * HOUR_MS, end_ms + horizon_ms


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What cleaning took out or set aside, by id."""

    proxies: tuple[int, ...]
    probes: tuple[int, ...]
    skewed_hosts: int
    has_duplicates: bool


def clean(run: Runner, frame: Frame) -> Cleaned:
    """Duplicates, clock skew, bots, probes, proxies, in this order.

    Leaves: `raw` (events read), `deduped` (each request once, clocks set right), `dropped`
    (duplicates taken out), `touched` (per customer, operation, actor: counts in the window) and
    `clean` (customers' events, actors behind a proxy unknown).
    """
    run.view("events", events_from(frame.files, located=True))
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
    keep = run.table if in_memory else run.view
    keep("visits", clean_sql(source="deduped"))
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
    run.view("clean", behind_proxies_sql(source="people", proxies=proxies))
    if proxies:
        touch(run, frame, source="clean")
    return Cleaned(tuple(proxies), tuple(probes), skewed, has_duplicates)


def remove_duplicates(run: Runner, *, source: str, target: str) -> bool:
    """Keep one event per (service, request id): the first to arrive, then the first in time.

    Events without a request id are never merged: two equal lines may be two real requests. The
    service is part of the identity, because a request id travels on to the services behind.
    Makes the view `target` and the table `<target>_dropped`. Returns whether there were any.
    """
    run.table(
        f"{target}_ids",
        fill(
            "SELECT service, request FROM $source WHERE request IS NOT NULL"
            " GROUP BY service, request HAVING count(*) > 1",
            source=Fragment(source),
        ),
    )
    names = {"source": Fragment(source), "ids": Fragment(f"{target}_ids")}
    (any_left,) = run.one(fill("SELECT count(*) FROM $ids", ids=names["ids"]))
    run.table(
        f"{target}_dropped",
        fill(
            """
            SELECT loc, ts, customer, operation FROM $source SEMI JOIN $ids USING (service, request)
            QUALIFY row_number() OVER (
                PARTITION BY service, request
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
    """
    run.table(
        "skew",
        fill(
            """
            WITH hosts AS (
                SELECT host, count(*) AS n,
                       quantile_cont(ts + coalesce(latency_ms, 0) - arrived, [0.25, 0.5, 0.75]) AS q
                FROM $source WHERE arrived IS NOT NULL AND host IS NOT NULL GROUP BY host),
            good AS (SELECT host, q[2] AS middle FROM hosts
                     WHERE n >= $min_events AND q[3] - q[1] <= $max_spread)
            SELECT host, CAST(round(middle - (SELECT median(middle) FROM good)) AS BIGINT) AS shift
            FROM good
            """,
            source=Fragment(source),
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


def clean_sql(*, source: str) -> str:
    """Customers' events only, no bots and no probes that say so; the columns that the passes need."""
    return fill(
        """
        SELECT ts, coalesce(latency_ms, 0) AS latency, customer, service, operation, actor,
               actor_kind, addr, target, key, outcome, loc
        FROM $source WHERE traffic = 0
        """,
        source=Fragment(source),
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

    `n` requests in the window, `failed`, `aborted`, `ok` of these, `slow` (ok over the tenet, not
    lonely), `named` by a key, `lonely` (neither actor nor key), `failed_before` (in the look-back).
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
                   count(*) FILTER (ts >= $start AND outcome = 2) AS aborted,
                   count(*) FILTER (ts >= $start AND outcome = 0) AS ok,
                   count(*) FILTER (ts >= $start AND outcome = 0 AND $slow
                            AND (actor IS NOT NULL OR key IS NOT NULL)) AS slow,
                   count(*) FILTER (ts >= $start AND key IS NOT NULL) AS named,
                   count(*) FILTER (ts >= $start AND outcome <> 2 AND actor IS NULL AND key IS NULL)
                       AS lonely,
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


def build_chains(run: Runner, frame: Frame) -> None:
    """Make `chains` (one row per attempt of the window that needs the window functions), `quiet`.

    `work` holds the requests within reach of a failure: in the same (customer, operation, actor) not
    later than W after it; and those whose idempotency key repeats. A success out of reach is an
    attempt of its own: `quiet` counts those per group.
    """
    longest_s = max([DEFAULT_WINDOW_S, *frame.windows.values()])
    slot = fill("$ms::BIGINT", ms=round(longest_s * 1000))
    run.table(
        "again",
        fill(
            # A key that failed may have been tried again after the window's end: that joins too.
            "SELECT key FROM clean WHERE key IS NOT NULL AND ts < $end AND outcome <> 2"
            " GROUP BY key HAVING count(*) > 1 OR bool_or(outcome = 1)",
            end=frame.end_ms,
        ),
    )
    run.table("near", fill(_NEAR, slot=Fragment(slot), end=frame.end_ms))
    run.table("work", fill(_WORK, slot=Fragment(slot)))
    run.table(
        "busy_candidates",
        fill(_CANDIDATES, start=frame.start_ms, end=frame.end_ms, enough=AMBIGUOUS_MIN_EVENTS),
    )
    run.step("joining retries into attempts")
    for name, text in chain_sql(frame):
        run.table(name, text)
    run.table("quiet", fill(_QUIET, start=frame.start_ms, end=frame.end_ms))


# `place`, where the row lies in its file, makes the order total: the two windows over one partition
# must see ties alike.
# Slots are as long as the longest W: whatever follows a failure within W lies in the failure's own
# slots or in the next one. A key that failed reaches from its first to its last request.
_NEAR = """
WITH failed AS (
    SELECT customer, operation, actor, ts, ts + latency AS until
    FROM clean WHERE outcome = 1 AND ts < $end AND NOT (actor IS NULL AND key IS NULL)),
hot AS (SELECT DISTINCT customer, operation, actor FROM failed),
after_end AS (
    SELECT c.customer, c.operation, c.actor, c.ts, c.ts + c.latency AS until
    FROM clean c SEMI JOIN hot h ON c.customer = h.customer AND c.operation = h.operation
         AND c.actor IS NOT DISTINCT FROM h.actor
    WHERE c.outcome = 1 AND c.ts >= $end),
repeated AS (
    SELECT customer, operation, actor, key, ts, ts + latency AS until, outcome
    FROM clean SEMI JOIN again USING (key) WHERE outcome <> 2),
keyed AS (
    SELECT customer, operation, actor, min(ts) AS ts, max(until) AS until
    FROM repeated GROUP BY customer, operation, actor, key HAVING bool_or(outcome = 1)),
spans AS (
    SELECT * FROM failed UNION ALL SELECT * FROM after_end UNION ALL SELECT * FROM keyed
    UNION ALL SELECT customer, operation, actor, ts, ts - $slot FROM repeated)
SELECT DISTINCT customer, operation, actor,
       unnest(range(ts // $slot, until // $slot + 2)) AS slot FROM spans
"""

_WORK = """
SELECT c.customer, c.operation, c.actor, c.target, c.key, c.ts,
       c.ts + c.latency AS until, c.outcome = 0 AS ok, c.loc AS place
FROM clean c SEMI JOIN near n
  ON n.customer = c.customer AND n.operation = c.operation
 AND n.actor IS NOT DISTINCT FROM c.actor AND n.slot = c.ts // $slot
WHERE c.outcome <> 2 AND NOT (c.actor IS NULL AND c.key IS NULL)
"""

_CANDIDATES = """
WITH hot AS (SELECT DISTINCT customer, operation, actor FROM near WHERE actor IS NOT NULL)
SELECT customer, operation, actor, target, count(*) AS n, count(*) FILTER (outcome = 0) AS n_ok,
       count(*) FILTER (ts < $start OR ts >= $end) AS n_outside
FROM clean SEMI JOIN hot USING (customer, operation, actor)
WHERE outcome <> 2 GROUP BY customer, operation, actor, target HAVING count(*) >= $enough
"""

_QUIET = """
WITH used AS (
    SELECT w.customer, w.operation, w.actor, count(*) AS n_ok,
           count(*) FILTER (w.until - w.ts > limit_ms) AS n_slow
    FROM work w LEFT JOIN chains_tenet USING (operation)
    WHERE w.ok AND w.ts >= $start AND w.ts < $end GROUP BY ALL)
SELECT t.customer, t.operation, t.actor,
       t.ok - t.lonely_ok - t.slow - coalesce(u.n_ok - u.n_slow, 0) AS first_try,
       t.slow - coalesce(u.n_slow, 0) AS slow
FROM touched t LEFT JOIN used u
  ON t.customer = u.customer AND t.operation = u.operation AND t.actor IS NOT DISTINCT FROM u.actor
WHERE t.ok > 0
"""


def chain_sql(frame: Frame) -> list[tuple[str, str]]:
    """The statements (table name, SELECT) that turn `work` into classified attempts, `chains`."""
    outside_ms = max(1, frame.read_to_ms - frame.read_from_ms - (frame.end_ms - frame.start_ms))
    inside_ms = max(1, frame.read_to_ms - frame.read_from_ms)
    keyed_above = Fragment(str(KEYED_ABOVE))
    return [
        ("chains_gap", _gap_table(frame)),
        ("chains_kind", _kind_table(frame)),
        ("chains_tenet", _tenet_table(frame)),
        (
            "chains_busy",
            fill(
                _BUSY,
                default_ms=DEFAULT_WINDOW_S * 1000,
                enough=AMBIGUOUS_MIN_EVENTS,
                inside_ms=inside_ms,
                outside_ms=outside_ms,
                keyed_above=keyed_above,
            ),
        ),
        ("chains_calls", fill(_CALLS, day=KEY_DAY_MS)),
        (
            "chains_whole",
            fill(
                _WHOLE,
                start=frame.start_ms,
                end=frame.end_ms,
                default_ms=DEFAULT_WINDOW_S * 1000,
                keyed_above=keyed_above,
                ambiguous_above=Fragment(str(AMBIGUOUS_ABOVE)),
            ),
        ),
        ("chains_later", fill(_LATER, horizon=frame.horizon_ms)),
        ("chains", fill(_CHAINS, as_of=frame.as_of_ms)),
    ]


def _gap_table(frame: Frame) -> str:
    """W per (kind of customer, operation) where it is not the default, in milliseconds."""
    codes = {kind: code for code, kind in enumerate(sorted(set(frame.kinds.values())))}
    given = [
        (codes[kind], operation, round(seconds * 1000))
        for (kind, operation), seconds in sorted(frame.windows.items())
        if kind in codes
    ]
    if not given:
        return "SELECT 0 AS kind, 0 AS operation, 0::BIGINT AS w_ms WHERE false"
    return fill("SELECT * FROM $given", given=rows_of(given, "(kind, operation, w_ms)"))


def _kind_table(frame: Frame) -> str:
    codes = {kind: code for code, kind in enumerate(sorted(set(frame.kinds.values())))}
    if not frame.kinds or not frame.windows:
        return "SELECT 0 AS customer, 0 AS kind WHERE false"
    pairs = [(customer, codes[kind]) for customer, kind in sorted(frame.kinds.items())]
    return fill("SELECT * FROM $pairs", pairs=rows_of(pairs, "(customer, kind)"))


def _tenet_table(frame: Frame) -> str:
    if not frame.latency_tenets_ms:
        return "SELECT 0 AS operation, 0::BIGINT AS limit_ms WHERE false"
    pairs = sorted(frame.latency_tenets_ms.items())
    return fill("SELECT * FROM $pairs", pairs=rows_of(pairs, "(operation, limit_ms)"))


# p_amb = 1 - exp(-rate * W): the chance that unrelated new work of the same actor falls into W. The
# rate comes from outside the window where that has enough events, since retries inflate it inside.
_BUSY = """
WITH rated AS (
    SELECT c.*, coalesce(w.w_ms, $default_ms) AS w_ms,
           CASE WHEN n_outside >= $enough THEN n_outside / $outside_ms::DOUBLE
                WHEN n_ok > 0 THEN n_ok / $inside_ms::DOUBLE
                ELSE n / $inside_ms::DOUBLE END AS rate
    FROM busy_candidates c LEFT JOIN chains_kind k USING (customer)
    LEFT JOIN chains_gap w ON w.kind = k.kind AND w.operation = c.operation)
SELECT customer, operation, actor, target, 1 - exp(-rate * w_ms) AS p_amb
FROM rated WHERE 1 - exp(-rate * w_ms) > $keyed_above
"""

_CALLS = """
WITH keyed AS (
    SELECT *, lag(until) OVER p AS before FROM work WHERE key IS NOT NULL
    WINDOW p AS (PARTITION BY customer, operation, actor, key ORDER BY ts, ok, until, place)),
numbered AS (
    SELECT *, sum(CASE WHEN before IS NULL OR ts - before > $day THEN 1 ELSE 0 END) OVER p AS call
    FROM keyed
    WINDOW p AS (PARTITION BY customer, operation, actor, key ORDER BY ts, ok, until, place
                 ROWS UNBOUNDED PRECEDING)),
joined AS (
    SELECT customer, operation, actor, key,
           arg_min_null(target, (ts, coalesce(target, 0))) AS target,
           min(ts) AS ts, max(until) AS until, bool_or(ok) AS ok,
           min(ts) FILTER (ok) AS ok_ts, min(until) FILTER (ok) AS ok_until,
           min(ts) FILTER (NOT ok) AS fail_ts,
           count(*) AS tries, count_if(NOT ok) AS fails, min(place) AS place
    FROM numbered GROUP BY customer, operation, actor, key, call)
SELECT customer, operation, actor, key, target, ts, until, ok, ok_until, tries,
       CASE WHEN NOT ok OR fail_ts <= ok_ts THEN fails ELSE 0 END AS fails, place
FROM joined
UNION ALL
SELECT customer, operation, actor, key, target, ts, until, ok,
       CASE WHEN ok THEN until END, 1, CASE WHEN ok THEN 0 ELSE 1 END, place
FROM work WHERE key IS NULL
"""

# An attempt of a busy caller without keys cannot be told where a failure lies within W before it or
# in it; a success out of reach of any failure stays what it is.
_WHOLE = """
WITH placed AS (
    SELECT c.*, coalesce(w.w_ms, $default_ms) AS w_ms,
           CASE WHEN c.key IS NOT NULL AND (c.actor IS NULL OR b.p_amb > $keyed_above)
                THEN c.key END AS part,
           c.key IS NULL AND coalesce(b.p_amb, 0) > $ambiguous_above AS busy
    FROM chains_calls c
    LEFT JOIN chains_busy b
      ON c.customer = b.customer AND c.operation = b.operation AND c.actor = b.actor
     AND c.target IS NOT DISTINCT FROM b.target
    LEFT JOIN chains_kind k ON k.customer = c.customer
    LEFT JOIN chains_gap w ON w.kind = k.kind AND w.operation = c.operation),
looked AS (
    SELECT *, lag(ok) OVER p AS ok_before, lag(until) OVER p AS before,
           max(CASE WHEN fails > 0 THEN until END) OVER (
               PARTITION BY customer, operation, target, actor, part
               ORDER BY ts, ok, until, tries, key, place
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS failed_until
    FROM placed
    WINDOW p AS (PARTITION BY customer, operation, target, actor, part
                 ORDER BY ts, ok, until, tries, key, place)),
numbered AS (
    SELECT *, sum(CASE WHEN before IS NULL OR ok_before OR ts - before > w_ms THEN 1 ELSE 0 END)
              OVER p AS chain
    FROM looked
    WINDOW p AS (PARTITION BY customer, operation, target, actor, part
                 ORDER BY ts, ok, until, tries, key, place
                 ROWS UNBOUNDED PRECEDING))
SELECT customer, operation, target, actor, part, chain,
       min(ts) AS start_ts, max(ts) AS last_ts, max(until) AS last_until, bool_or(ok) AS ok,
       min(ok_until) AS ok_until, sum(tries)::BIGINT AS tries, sum(fails)::BIGINT AS fails,
       bool_or(busy AND (fails > 0 OR coalesce(ts - failed_until <= w_ms, false))) AS ambiguous,
       max(w_ms) AS w_ms
FROM numbered GROUP BY customer, operation, target, actor, part, chain
HAVING min(ts) >= $start AND min(ts) < $end
"""

# An actor's calls that are told apart by their keys are different things: none comes back as another.
_LATER = """
WITH lost AS (
    SELECT customer, operation, target, actor, chain, last_ts, last_until FROM chains_whole
    WHERE NOT ok AND NOT ambiguous AND part IS NULL AND actor IS NOT NULL)
SELECT l.customer, l.operation, l.target, l.actor, l.chain, min(c.ts) AS next_ok
FROM lost l JOIN clean c
  ON c.customer = l.customer AND c.operation = l.operation AND c.actor = l.actor
 AND c.target IS NOT DISTINCT FROM l.target
WHERE c.outcome = 0 AND c.ts > l.last_ts AND c.ts <= l.last_until + $horizon
GROUP BY ALL
"""

_CHAINS = """
SELECT w.*, l.next_ok,
       CASE WHEN ambiguous THEN 'cannot_tell'
            WHEN ok AND fails = 0 AND ok_until - start_ts > t.limit_ms THEN 'slow'
            WHEN ok AND fails = 0 THEN 'first_try'
            WHEN ok THEN 'retried'
            WHEN next_ok IS NOT NULL THEN 'came_back'
            WHEN $as_of - last_until < w_ms THEN 'open'
            ELSE 'gave_up' END AS class
FROM chains_whole w
LEFT JOIN chains_tenet t USING (operation)
LEFT JOIN chains_later l
  ON w.part IS NULL AND l.customer = w.customer AND l.operation = w.operation
 AND l.actor = w.actor AND l.chain = w.chain AND l.target IS NOT DISTINCT FROM w.target
"""


def attempt_sql(frame: Frame) -> str:
    """The attempt rule as one plain statement over all events, as an analyst would write it by hand.

    One row per (customer, operation, class) with the number of attempts and of actors. It takes out
    duplicates, bots and client aborts, and knows W and the horizon, but not skew, probes, proxies or
    ambiguity. `bench impact` prints it beside ours and it is what the tests hold `compute` to.
    """
    return fill(
        """
        WITH events AS ($events),
        ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY service, request ORDER BY arrived NULLS LAST, ts, outcome) AS place
            FROM events WHERE $within AND request IS NOT NULL),
        kept AS (
            SELECT * EXCLUDE (place) FROM ranked WHERE place = 1
            UNION ALL SELECT * FROM events WHERE $within AND request IS NULL),
        tries AS (
            SELECT customer, operation, target, actor, key, ts,
                   ts + coalesce(latency_ms, 0) AS until, outcome = 0 AS ok
            FROM kept WHERE traffic = 0 AND outcome <> 2),
        looked AS (
            SELECT *, lag(ok) OVER p AS ok_before, lag(until) OVER p AS before,
                   lag(key) OVER p AS key_before FROM tries
            WINDOW p AS (PARTITION BY customer, operation, target, actor ORDER BY ts, ok, until)),
        numbered AS (
            SELECT *, sum(CASE WHEN before IS NULL THEN 1
                               WHEN key = key_before AND ts - before <= $day THEN 0
                               WHEN ok_before OR ts - before > $w_ms THEN 1 ELSE 0 END)
                      OVER (PARTITION BY customer, operation, target, actor
                            ORDER BY ts, ok, until ROWS UNBOUNDED PRECEDING) AS chain
            FROM looked),
        whole AS (
            SELECT customer, operation, target, actor, chain, min(ts) AS start_ts,
                   max(until) AS last_until, bool_or(ok) AS ok, min(ts) FILTER (ok) AS ok_ts,
                   count_if(NOT ok) AS fails
            FROM numbered GROUP BY ALL),
        later AS (
            SELECT *, min(ok_ts) OVER (
                PARTITION BY customer, operation, target, actor ORDER BY chain
                ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS next_ok FROM whole)
        SELECT customer, operation,
               CASE WHEN ok AND fails = 0 THEN 'first_try' WHEN ok THEN 'retried'
                    WHEN next_ok - last_until <= $horizon THEN 'came_back'
                    WHEN $as_of - last_until < $w_ms THEN 'open' ELSE 'gave_up' END AS class,
               count(*) AS attempts, count(DISTINCT actor) AS actors
        FROM later WHERE start_ts >= $start AND start_ts < $end GROUP BY ALL
        """,
        events=events_from(frame.files),
        within=frame.within,
        day=KEY_DAY_MS,
        w_ms=DEFAULT_WINDOW_S * 1000,
        horizon=frame.horizon_ms,
        as_of=frame.as_of_ms,
        start=frame.start_ms,
        end=frame.end_ms,
    )
