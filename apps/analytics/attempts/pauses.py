"""People who paused for longer than W before they tried again: how long they waited all the same."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.analytics.attempts.frame import DEFAULT_WINDOW_S, HOUR_MS, Frame
from apps.analytics.events import ActorKind
from apps.analytics.sql import Fragment, Runner, fill, numbers

SHORTEST_MS = 5_000
"""What comes sooner after a failure is mostly a program's doing, not a person's."""
LONGEST_MS = HOUR_MS // 2
"""Nobody's attempt goes on after a pause of half an hour: the upper bound of a learned W as well."""
STEPS = 24
"""Steps from `SHORTEST_MS` to W, equal in the logarithm; those beyond W are as wide."""
LEAST_PAUSES = 100
MOST_BEYOND = 0.10
"""Where more would lie beyond W, the pauses are not those of people who try again."""
MOST_FAILURES = 20
"""Somebody who fails more often than this is a program with a person's name."""
FEW_FAILURES = 5
"""Pauses are learned from those who failed no more often: surely people."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pauses:
    """How people pause between a failure and their next try: log-normal, median in ms and spread.

    `beyond` is the share of pauses up to half an hour that are longer than W, `seen` how many from
    `SHORTEST_MS` to W it was learned from, `shares` for each step beyond W the share of what follows a
    failure so late that goes on with the same attempt.
    """

    median_ms: float
    spread: float
    seen: int
    beyond: float
    shares: tuple[float, ...]


def find_pauses(run: Runner, frame: Frame) -> Pauses | None:
    """Learn people's pauses, and make `paused`: customer, operation and ms, a row for each attempt.

    An attempt ends for us when W passes without another try. Who paused for longer and then got through is
    two attempts by that rule: one not through that came back, and another; and what they waited counts
    nowhere. What follows later than W is a mixture of such pauses and of those who left and came back for
    another reason. The pauses up to W tell how many there must be beyond it (`fit`). In each step beyond W

        share = min(1, expected pauses of this length / what was seen to follow a failure so late)

    and an attempt that ended in failure, was followed so late and then got through counts with this share of
    the time from its first try to its success, less the usual latency and less what its second part counts
    by itself. So the sums of customers add up to that of all. Calls repeated with the same key are a program's.

    Assumes that people pause alike just within W and beyond it. Returns None, and adds nothing, for fewer
    than a hundred pauses, and where more than one in ten would be longer than W. Programs add nothing.
    Needs `clean`, `touched`, `chains` and `usual` (operation, usual latency in ms).
    """
    w_ms = round(min([DEFAULT_WINDOW_S, *frame.windows.values()]) * 1000)
    step = float(np.log(w_ms / SHORTEST_MS) / STEPS)
    scale: dict[str, int | Fragment] = {
        "shortest": SHORTEST_MS,
        "longest": LONGEST_MS,
        "step": Fragment(repr(step)),
    }
    run.table(
        "followed",
        fill(
            _FOLLOWED,
            people=numbers((ActorKind.END_USER, ActorKind.SESSION)),
            most=MOST_FAILURES,
            begin=frame.start_ms - HOUR_MS,
            start=frame.start_ms,
            end=frame.end_ms,
            until=frame.end_ms + 2 * LONGEST_MS,
        ),
    )
    size = int(np.log(LONGEST_MS / SHORTEST_MS) / step) + 1
    after_success, few, all_people = (np.zeros(size, np.int64) for _ in range(3))
    for number, ok, surely, n in run.rows(fill(_COUNTED, few=FEW_FAILURES, **scale)):
        if number < size:
            (after_success if ok else all_people)[number] += n
            few[number] += n if surely and not ok else 0
    found = fit(few, all_people, after_success, step)
    if found is None:
        run.table("paused", "SELECT 0 AS customer, 0 AS operation, 0::BIGINT AS ms WHERE false")
        return None
    cases = " ".join(
        f"WHEN {STEPS + number} THEN {share!r}" for number, share in enumerate(found.shares)
    )
    run.table("paused", fill(_PAUSED, end=frame.end_ms, cases=Fragment(cases), **scale))
    return found


def fit(few: Counts, all_people: Counts, after_success: Counts, step: float) -> Pauses | None:
    """Fit pauses to what follows failures up to W, and compare with what follows them later.

    Counts by steps of the logarithm from `SHORTEST_MS` on, `STEPS` of them up to W: what follows a failure
    of those who failed a few times, of all, and what follows a success. Up to W the first is taken for

        (1 - q) · log-normal(m, s) + q · what follows a success

    each truncated on the right at W; m, s and q by maximum likelihood. Counts of steps are the same in any
    order of events, and so is the answer.
    """
    within = few[:STEPS]
    seen = int(within.sum())
    if seen < LEAST_PAUSES:
        return None
    from scipy.optimize import minimize  # noqa: PLC0415  (takes a second to import)
    from scipy.special import expit, ndtr  # noqa: PLC0415

    edges = np.log(SHORTEST_MS) + step * np.arange(len(few) + 1)
    unrelated = (after_success[:STEPS] + 0.5) / (after_success[:STEPS] + 0.5).sum()

    def lengths(middle: float, spread: float) -> NDArray[np.float64]:
        each = np.maximum(np.diff(ndtr((edges - middle) / spread)), 1e-300)
        return np.asarray(each / each[:STEPS].sum())

    def cost(at: NDArray[np.float64]) -> float:
        q = expit(at[2])
        told = (1 - q) * lengths(at[0], np.exp(at[1]))[:STEPS] + q * unrelated
        return -float((within * np.log(told)).sum())

    middles = edges[:STEPS] + step / 2
    mean = float((within * middles).sum() / seen)
    spread = max(step, float(np.sqrt((within * (middles - mean) ** 2).sum() / seen)))
    options = {"maxiter": 2000}
    best = minimize(cost, [mean, np.log(spread), -2.0], method="Nelder-Mead", options=options)
    middle, width, q = float(best.x[0]), float(np.exp(best.x[1])), float(expit(best.x[2]))
    each = lengths(middle, width)
    beyond = float(each[STEPS:].sum() / each.sum())
    if not best.success or beyond > MOST_BEYOND:
        return None
    expected = (1 - q) * all_people[:STEPS].sum() * each[STEPS:]
    shares = np.minimum(1.0, expected / np.maximum(1, all_people[STEPS:]))
    return Pauses(float(np.exp(middle)), width, seen, beyond, tuple(map(float, shares)))


# What each person asked for next after a request of the window (after a success also of the hour before).
# A success, then a failure at the same moment: `ok` in the order lets the success close it, as in chains.
_FOLLOWED = """
WITH struck AS (
    SELECT customer, operation, actor, failed + aborted AS failures FROM touched
    WHERE kind IN ($people) AND failed + aborted > 0),
asked AS (
    SELECT customer, operation, target, actor, key, ts, ts + latency AS until, outcome = 0 AS ok, loc
    FROM clean
    WHERE outcome NOT IN (2, 4) AND actor IS NOT NULL AND actor_kind IN ($people)
      AND ts >= $begin AND ts < $until),
looked AS (
    SELECT *, lead(ts) OVER p AS next_ts, lead(until) OVER p AS next_until, lead(ok) OVER p AS next_ok,
           coalesce(lead(key) OVER p = key, false) AS same_call
    FROM asked WINDOW p AS (PARTITION BY customer, operation, target, actor
                            ORDER BY ts, ok, until, loc))
SELECT customer, operation, target, actor, l.ok, ts, next_ts, next_until, next_ok,
       greatest(1, next_ts - until) AS gap, coalesce(failures, 0) AS failures
FROM looked l LEFT JOIN struck USING (customer, operation, actor)
WHERE next_ts IS NOT NULL AND NOT same_call AND ts < $end
  AND (l.ok OR ts >= $start AND failures BETWEEN 1 AND $most)
"""

_COUNTED = """
SELECT floor(ln(gap / $shortest) / $step)::INTEGER, ok, failures <= $few, count(*) FROM followed
WHERE gap >= $shortest AND gap < $longest GROUP BY ALL
"""

_PAUSED = """
WITH late AS (
    SELECT c.customer, c.operation, f.gap, u.ms AS usual, c.start_ts, f.next_ts, f.next_until,
           f.next_ok, c.next_ok AS through
    FROM chains c JOIN followed f
      ON f.customer = c.customer AND f.operation = c.operation AND f.actor = c.actor
     AND f.target IS NOT DISTINCT FROM c.target AND f.ts = c.last_ts AND NOT f.ok
    LEFT JOIN usual u ON u.op = c.operation
    WHERE c.class = 'came_back' AND f.gap > c.w_ms AND f.gap < $longest
      AND c.next_ok - f.next_ts <= $longest)
SELECT customer, operation,
       round(CASE floor(ln(gap / $shortest) / $step)::INTEGER $cases ELSE 0 END
             * greatest(0, CASE WHEN next_ok THEN next_until - start_ts - coalesce(usual, 0)
                                WHEN next_ts < $end THEN next_ts - start_ts
                                ELSE through - start_ts END))::BIGINT AS ms
FROM late
"""
