"""Chains: which requests are one attempt, and how each attempt ended."""

from apps.analytics.attempts.frame import DAY_MS, DEFAULT_WINDOW_S, Frame
from apps.analytics.sql import Fragment, Runner, fill, rows_of

KEY_DAY_MS = DAY_MS
AMBIGUOUS_ABOVE = 0.30
KEYED_ABOVE = 0.05
AMBIGUOUS_MIN_EVENTS = 50


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
            "SELECT key FROM clean WHERE key IS NOT NULL AND ts < $end AND outcome NOT IN (2, 4)"
            " GROUP BY key HAVING count(*) > 1 OR bool_or(outcome IN (1, 3))",
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
    FROM clean WHERE outcome IN (1, 3) AND ts < $end AND NOT (actor IS NULL AND key IS NULL)),
hot AS (SELECT DISTINCT customer, operation, actor FROM failed),
after_end AS (
    SELECT c.customer, c.operation, c.actor, c.ts, c.ts + c.latency AS until
    FROM clean c SEMI JOIN hot h ON c.customer = h.customer AND c.operation = h.operation
         AND c.actor IS NOT DISTINCT FROM h.actor
    WHERE c.outcome IN (1, 3) AND c.ts >= $end),
repeated AS (
    SELECT customer, operation, actor, key, ts, ts + latency AS until, outcome
    FROM clean SEMI JOIN again USING (key) WHERE outcome NOT IN (2, 4)),
keyed AS (
    SELECT customer, operation, actor, min(ts) AS ts, max(until) AS until
    FROM repeated GROUP BY customer, operation, actor, key HAVING bool_or(outcome IN (1, 3))),
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
WHERE c.outcome NOT IN (2, 4) AND NOT (c.actor IS NULL AND c.key IS NULL)
"""

_CANDIDATES = """
WITH hot AS (SELECT DISTINCT customer, operation, actor FROM near WHERE actor IS NOT NULL)
SELECT customer, operation, actor, target, count(*) AS n, count(*) FILTER (outcome = 0) AS n_ok,
       count(*) FILTER (ts < $start OR ts >= $end) AS n_outside
FROM clean SEMI JOIN hot USING (customer, operation, actor)
WHERE outcome NOT IN (2, 4) GROUP BY customer, operation, actor, target HAVING count(*) >= $enough
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
           count(*) AS tries, count_if(NOT ok) AS fails,
           arg_min(place, (ts, place)) AS place
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
       max(w_ms) AS w_ms, arg_min(place, (ts, place)) AS place
FROM numbered GROUP BY customer, operation, target, actor, part, chain
HAVING min(ts) >= $start AND min(ts) < $end
"""

# The same person at the same thing, whatever key it carries: a page makes a new key for each click.
_LATER = """
WITH lost AS (
    SELECT customer, operation, target, actor, part, chain, last_ts, last_until FROM chains_whole
    WHERE NOT ok AND NOT ambiguous AND actor IS NOT NULL)
SELECT l.customer, l.operation, l.target, l.actor, l.part, l.chain, min(c.ts) AS next_ok
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
  ON l.customer = w.customer AND l.operation = w.operation AND l.actor = w.actor
 AND l.chain = w.chain AND l.part IS NOT DISTINCT FROM w.part
 AND l.target IS NOT DISTINCT FROM w.target
"""
