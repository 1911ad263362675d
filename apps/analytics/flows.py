"""Who asked what of which service: a day's requests, added up for a map. Pure: told all that it needs to know."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    kinds: Mapping[int, str],
    named: int,
) -> Flows:
    """Count customers' requests of [start, end); bots and probes are left out.

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
        }
    )
    con.register("places", places)
    found = con.execute(
        """
        SELECT e.customer, coalesce(p.place, e.service), coalesce(p.journey, 0),
               count(*), count(*) FILTER (WHERE e.outcome = ?)
        FROM read_parquet(?) e LEFT JOIN places p ON p.operation = e.operation
        WHERE e.ts >= ? AND e.ts < ? AND e.traffic = ?
        GROUP BY ALL
        """,
        [int(Outcome.FAILED), list(files), start_ms, end_ms, int(Traffic.CUSTOMERS)],
    ).fetchall()
    return fold(found, kinds=kinds, named=named)


def fold(
    rows: Iterable[tuple[int, int, int, int, int]], *, kinds: Mapping[int, str], named: int
) -> Flows:
    """Let the `named` largest customers of each kind stand for themselves and add the others up."""
    rows = list(rows)
    totals: dict[int, int] = defaultdict(int)
    for customer, _, _, requests, _ in rows:
        if customer in kinds:
            totals[customer] += requests
    of_kind: dict[str, list[int]] = defaultdict(list)
    for customer in sorted(totals, key=lambda one: (-totals[one], one)):
        of_kind[kinds[customer]].append(customer)
    themselves = {customer for several in of_kind.values() for customer in several[:named]}
    sums: dict[tuple[int, str, int, int], list[int]] = {}
    for customer, service, journey, requests, failed in rows:
        key = (customer if customer in themselves else 0, kinds.get(customer, ""), service, journey)
        of = sums.setdefault(key, [0, 0])
        of[0] += requests
        of[1] += failed
    return Flows(
        [Flow(*key, *sums[key]) for key in sorted(sums)],
        {kind: len(several) for kind, several in of_kind.items()},
    )
