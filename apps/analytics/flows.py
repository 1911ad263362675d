"""Who asked what of which service: a day's requests, added up for a map. Pure: told all that it needs to know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from apps.analytics.events import Outcome, Traffic
from apps.analytics.sql import Connection


@dataclass(frozen=True)
class Flow:
    """Requests of a customer (0 = one of many of this kind, or nobody we can name) to a service."""

    customer: int
    kind: str  # "" = nobody we can name
    service: int
    journey: int  # 0 = part of none
    requests: int
    failed: int


@dataclass(frozen=True)
class Flows:
    """All flows of a window, and how many customers of each kind were seen."""

    rows: Sequence[Flow]
    customers: Mapping[str, int]


def count(
    con: Connection,
    *,
    files: Sequence[str],
    start_ms: int,
    end_ms: int,
    operations: Mapping[int, tuple[int, int]],
    ignored: Collection[int],
    kinds: Mapping[int, str],
    named: int,
) -> Flows:
    """Count customers' requests of [start, end); bots, probes and `ignored` operations are left out.

    `operations` gives each its service and journey (0 = none); `kinds` gives each customer's. The
    `named` largest customers of each kind stand for themselves, the others for their kind.
    """
    if not files:
        return Flows((), {})
    places = pa.table(
        {
            "operation": pa.array(list(operations), pa.int32()),
            "place": pa.array([service for service, _ in operations.values()], pa.int32()),
            "journey": pa.array([journey for _, journey in operations.values()], pa.int32()),
            "ignored": pa.array([one in ignored for one in operations], pa.bool_()),
        }
    )
    con.register("places", places)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE asked AS
        SELECT e.customer, coalesce(p.place, e.service) AS service, coalesce(p.journey, 0) AS journey,
               count(*) AS requests, count(*) FILTER (WHERE e.outcome = ?) AS failed
        FROM read_parquet(?) e LEFT JOIN places p ON p.operation = e.operation
        WHERE e.ts >= ? AND e.ts < ? AND e.traffic = ? AND NOT coalesce(p.ignored, false)
        GROUP BY ALL
        """,
        [int(Outcome.FAILED), list(files), start_ms, end_ms, int(Traffic.CUSTOMERS)],
    )
    return fold(con, kinds=kinds, named=named)


def fold(con: Connection, *, kinds: Mapping[int, str], named: int) -> Flows:
    """Let the `named` largest customers of each kind in `asked` stand for themselves and add the others up.

    `asked` is a table of customer, service, journey, requests, failed. It may be of any size: only what
    is added up leaves the database.
    """
    con.register(
        "kinds",
        pa.table(
            {
                "customer": pa.array(list(kinds), pa.int64()),
                "kind": pa.array(list(kinds.values()), pa.string()),
            }
        ),
    )
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE ranked AS
        SELECT customer, kind,
               row_number() OVER (PARTITION BY kind ORDER BY sum(requests) DESC, customer) AS place
        FROM asked JOIN kinds USING (customer) GROUP BY customer, kind
        """
    )
    rows = con.execute(
        """
        SELECT CASE WHEN r.place <= ? THEN r.customer ELSE 0 END AS customer, coalesce(r.kind, '') AS kind,
               service, journey, sum(requests)::BIGINT, sum(failed)::BIGINT
        FROM asked LEFT JOIN ranked r USING (customer)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        """,
        [named],
    ).fetchall()
    seen = con.execute("SELECT kind, count(*) FROM ranked GROUP BY kind ORDER BY kind").fetchall()
    return Flows([Flow(*row) for row in rows], dict(seen))
