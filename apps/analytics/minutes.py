"""What came in minute by minute: requests by how they ended, and how long they took.

    open_minutes(run, days, start_ms=..., end_ms=...)
    by_minute(run, service=3)     # for a chart
    by_operation(run)             # for shares of requests with an actor, a key, a name

Read from `minutes.parquet` of the days that are rolled up (`analytics.daily`) and from the events of the others,
with one answer. Whole minutes, as reported: clocks are not set right, what looks like a probe is still in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.analytics.attempts import DAY_MS, HOUR_MS
from apps.analytics.daily import BEFORE_MS, GROWTH, MINUTE_MS, Days, minutes_sql, open_once
from apps.analytics.sql import Fragment, Row, Runner, fill, numbers, rows_of


@dataclass(frozen=True, slots=True)
class Requests:
    """Customers' requests, bots and probes beside them. All are numbers of requests."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    aborted: int = 0
    """The caller left before the answer."""
    named: int = 0
    """Of customers that we can name."""
    with_actor: int = 0
    with_key: int = 0
    bots: int = 0
    probes: int = 0
    latency: Mapping[int, int] = field(default_factory=dict, kw_only=True)
    """Of the ok ones: requests by bucket, see `quantile`. Empty where it was not asked for."""

    def quantile(self, share: float) -> float | None:
        """The latency in ms below which this share (0..1) of the ok requests lies; None where none is known.

        Off by at most 5 %: bucket b holds latencies in (1.1^(b-1), 1.1^b] ms and stands for the value whose
        greatest relative error is the least (DDSketch: Masson, Rim, Lee, VLDB 2019). Bucket 0: up to 1 ms.
        """
        total = sum(self.latency.values())
        if not total:
            return None
        rank, seen = share * (total - 1), 0
        for bucket, n in sorted(self.latency.items()):
            seen += n
            if seen > rank:
                return 1.0 if bucket == 0 else 2 * GROWTH**bucket / (GROWTH + 1)
        raise AssertionError("a share is at most 1")


def open_minutes(
    run: Runner,
    days: Days,
    *,
    start_ms: int,
    end_ms: int,
    merged: Mapping[int, int] | None = None,
) -> None:
    """Make `minutes`: one row per minute of [start, end), customer, service and operation.

    `days` are those around it, whole. Operations that are a key of `merged` count as the one they became.
    """
    first, last = start_ms // MINUTE_MS, -(-end_ms // MINUTE_MS)
    # Whole hours: who reported a request first is asked within them.
    first_hour, end_hour = start_ms // HOUR_MS, -(-end_ms // HOUR_MS)
    open_once(
        run, days.events, start_ms=first_hour * HOUR_MS + BEFORE_MS, end_ms=end_hour * HOUR_MS
    )
    parts = [
        minutes_sql(
            days=Fragment(fill("day NOT IN ($rolled)", rolled=numbers(days.rolled or [-1])))
        )
    ]
    near = Days(
        {
            day: folder
            for day, folder in days.rolled.items()
            if day * DAY_MS < end_ms and (day + 1) * DAY_MS > start_ms
        }
    )
    if rolled := near.files("minutes"):
        parts.append(rolled)
    run.view(
        "minutes",
        fill(
            """
            SELECT * EXCLUDE (once, operation_now)
                   REPLACE (coalesce(operation_now, operation) AS operation)
            FROM ($parts) LEFT JOIN (SELECT * FROM $merged) ON operation = once
            WHERE minute >= $first AND minute < $last
            """,
            parts=Fragment(" UNION ALL ".join(parts)),
            merged=rows_of(sorted((merged or {}).items()) or [(-1, -1)], "(once, operation_now)"),
            first=first,
            last=last,
        ),
    )


def by_minute(
    run: Runner,
    *,
    customer: int | None = None,
    service: int | None = None,
    operation: int | None = None,
) -> dict[int, Requests]:
    """Sum `minutes` up by minute since 1970, of everybody or of one; minutes without any request are left out."""
    asked = {"customer": customer, "service": service, "operation": operation}
    only = [f"{name} = {int(ident)}" for name, ident in asked.items() if ident is not None]
    return {
        int(row[0]): _requests(row[1:])
        for row in run.rows(
            fill(
                "SELECT minute, $sums FROM minutes WHERE $only GROUP BY minute ORDER BY minute",
                sums=_SUMS,
                only=Fragment(" AND ".join(only) or "true"),
            )
        )
    }


def by_operation(run: Runner) -> dict[tuple[int, int], Requests]:
    """Sum `minutes` up by (service, operation), with latencies."""
    latency: dict[tuple[int, int], dict[int, int]] = {}
    for service, operation, place, n in run.rows(_LATENCY):
        latency.setdefault((service, operation), {})[int(place)] = int(n)
    rows = run.rows(
        fill(
            "SELECT service, operation, $sums FROM minutes GROUP BY ALL ORDER BY ALL",
            sums=_SUMS,
        )
    )
    return {
        (int(row[0]), int(row[1])): _requests(row[2:], latency.get((row[0], row[1]), {}))
        for row in rows
    }


_SUMS = Fragment(
    "sum(requests), sum(ok), sum(failed), sum(aborted), sum(requests) FILTER (customer <> 0),"
    " sum(with_actor), sum(with_key), sum(bots), sum(probes)"
)
_LATENCY = """
SELECT service, operation, place, sum(n) FROM (
    SELECT service, operation, unnest(map_keys(latency)) AS place, unnest(map_values(latency)) AS n
    FROM minutes)
GROUP BY ALL
"""


def _requests(row: Row, latency: Mapping[int, int] | None = None) -> Requests:
    return Requests(*(int(n or 0) for n in row), latency=latency or {})
