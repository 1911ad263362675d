"""A few of the attempts under a number, each with its requests."""

from collections.abc import Collection
from dataclasses import dataclass

from apps.analytics.attempts.chains import build_chains
from apps.analytics.attempts.cleaning import clean
from apps.analytics.attempts.frame import Frame
from apps.analytics.attempts.listing import list_attempts
from apps.analytics.sql import Fragment, Runner, fill, literal, numbers

MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class Try:
    """One request of an attempt. Times epoch ms UTC."""

    at_ms: int
    took_ms: int
    status: int | None
    outcome: int  # events.Outcome


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some of the `total` attempts that fit; `requests` of the window were read, of whatever customer and operation."""

    total: int
    requests: int
    attempts: list["Attempt"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of the window; `tries` holds the first 20 of its requests, `made` says how many there were."""

    place: int
    customer: int  # 0: nobody's that we can name
    operation: int
    actor: int | None
    outcome: str  # first_try, slow, retried, came_back, gave_up, open, cannot_tell
    start_ms: int
    until_ms: int
    made: int
    failed: int
    tries: list[Try]


def sample_attempts(
    run: Runner,
    frame: Frame,
    *,
    outcome: str | None = None,
    customers: Collection[int] | None = None,
    operation: int | None = None,
    size: int,
    seed: int,
) -> Drawn:
    """Return how many attempts of the window fit, and `size` of them in the order in which they began.

    Which ones depends on `seed` and on the requests alone, so the same question has the same answer.
    `outcome`, `customers` (ids) and `operation` narrow; None is no limit. Reads the window once, as `compute` does.
    """
    clean(run, frame)
    build_chains(run, frame)
    list_attempts(run, frame)
    wanted: list[str] = ["true"]
    if outcome is not None:
        wanted.append(Fragment(f"class = {literal(outcome)}"))
    if customers is not None:
        wanted.append(fill("customer IN ($ids)", ids=numbers(sorted(customers) or [-1])))
    if operation is not None:
        wanted.append(fill("operation = $id", id=operation))
    where = Fragment(" AND ".join(wanted))
    run.table("fitting", fill("SELECT * FROM listed WHERE $where", where=where))
    (total,) = run.one("SELECT count(*) FROM fitting")
    (requests,) = run.one("SELECT coalesce(sum(n), 0) FROM touched")
    run.table("drawn", fill(_DRAWN, seed=seed, size=size))
    tries: dict[int, list[Try]] = {}
    for place, at, took, status, ended in run.rows(fill(_TRIES, most=MOST_TRIES)):
        tries.setdefault(place, []).append(Try(at, took, status, ended))
    rows = run.rows(
        "SELECT loc, customer, operation, actor, class, start_ts, until, tries, fails"
        " FROM drawn ORDER BY start_ts, loc"
    )
    attempts = [
        Attempt(
            place,
            customer,
            operation,
            actor,
            ended,
            start,
            until,
            made,
            failed,
            tries.get(place, []),
        )
        for place, customer, operation, actor, ended, start, until, made, failed in rows
    ]
    return Drawn(int(total), int(requests), attempts)


_DRAWN = "SELECT * FROM fitting ORDER BY hash(loc, $seed), loc LIMIT $size"

# Requests of an attempt lie between its beginning and its end, of the same person at the same thing,
# and with its key where keys tell attempts apart. Without an actor an attempt is its one request.
_TRIES = """
SELECT place, ts, latency, status, outcome FROM (
    SELECT d.loc AS place, c.ts, c.latency, e.status, c.outcome,
           row_number() OVER (PARTITION BY d.loc ORDER BY c.ts, c.loc) AS nth
    FROM drawn d JOIN clean c
      ON c.loc = d.loc
      OR c.customer = d.customer AND c.operation = d.operation AND c.actor = d.actor
     AND c.target IS NOT DISTINCT FROM d.target AND (d.key IS NULL OR c.key = d.key)
     AND c.ts BETWEEN d.start_ts AND d.until AND d.tries > 1
    LEFT JOIN deduped e ON e.loc = c.loc)
WHERE nth <= $most ORDER BY place, ts
"""
