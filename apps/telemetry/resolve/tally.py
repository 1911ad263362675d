"""What was seen, in counts."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from apps.analytics.events import ActorKind, Outcome, Traffic
from apps.telemetry.formats.columns import Columns, Ints, Smalls
from apps.telemetry.resolve.identities import NOBODY
from apps.telemetry.resolve.unnamed import Evidence, add


@dataclass
class Tally:
    """What was seen, for the summary."""

    rows: int = 0
    bots: int = 0
    probes: int = 0
    failed: int = 0
    customers: int = 0  # rows of customers' traffic
    named: int = 0  # of these, rows of a customer that we can name
    with_actor: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    operations: set[int] = field(default_factory=set)
    services: Counter[int] = field(
        default_factory=Counter
    )  # rows of each, bots and probes included
    unnamed: Evidence = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        for name in ("rows", "bots", "probes", "failed", "customers", "named", "with_actor"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        firsts = [t for t in (self.first_ms, other.first_ms) if t is not None]
        lasts = [t for t in (self.last_ms, other.last_ms) if t is not None]
        self.first_ms = min(firsts, default=None)
        self.last_ms = max(lasts, default=None)
        self.operations |= other.operations
        self.services.update(other.services)
        add(self.unnamed, other.unnamed)


def tally_of(
    columns: Columns,
    *,
    customer: Ints,
    kind: Smalls,
    service: Ints,
    operation: Ints,
    outcome: Smalls,
    traffic: Smalls,
) -> Tally:
    """Count what the rows of a block are."""
    theirs = traffic == Traffic.CUSTOMERS
    return Tally(
        rows=len(columns),
        bots=int(np.count_nonzero(traffic == Traffic.BOT)),
        probes=int(np.count_nonzero(traffic == Traffic.PROBE)),
        failed=int(np.count_nonzero((outcome == Outcome.FAILED) & theirs)),
        customers=int(np.count_nonzero(theirs)),
        named=int(np.count_nonzero(theirs & (customer != NOBODY))),
        with_actor=int(np.count_nonzero(theirs & (kind != ActorKind.NONE))),
        first_ms=int(columns.ts.min()) if len(columns) else None,
        last_ms=int(columns.ts.max()) if len(columns) else None,
        operations=set(np.unique(operation).tolist()),
        services=_counted(service),
    )


def _counted(values: Ints) -> Counter[int]:
    found, n = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), n.tolist(), strict=True)))
