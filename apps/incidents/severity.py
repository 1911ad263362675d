"""How bad it is for a kind of customer: one rule over what was measured, with its reason in words.

| level | when, for all customers of the kind that used us in the window |
|---|---|
| 1 | a quarter of the attempts did not get through, or half of the customers (two at least) had their own outage |
| 2 | a twentieth did not get through, or any customer had an outage of their own, or half of the customers were hit |
| 3 | some attempts did not get through, or a twentieth of the people met a failure |
| 4 | requests failed or were slow, and everybody who could be told apart got through |
| – | nothing happened to them |

The worst line that holds counts. An attempt that gave up, came back later or is still open did not get through;
attempts that cannot be told are left out of the share, never counted as good.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.analytics.gaps import percent

LIGHTEST = 4
MANY, SOME = 0.25, 0.05
HALF = 0.5


#: A kind of customer in a sentence: "severity 2 for businesses".
IN_WORDS = {"consumers": "consumers", "business": "businesses", "internal": "colleagues"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A level, 1 (worst) to 4, and why."""

    level: int
    reason: str

    @property
    def short(self) -> str:
        """The first of its reasons."""
        return self.reason.partition(";")[0]


@dataclass(frozen=True, slots=True)
class _Sums:
    customers: int
    hit: int  # customers of whom some attempt did not get through
    dark: int  # customers with an outage of their own
    touched: int  # customers to whom anything at all happened
    told: int
    not_through: int
    failed_requests: int
    people: int | None
    people_hit: int | None


def propose(customers: Iterable[Mapping[str, Any]]) -> Proposal | None:
    """Return the severity for customers of one kind (entries of a snapshot's "customers").

    None when nothing happened to any of them.
    """
    sums = _add_up(list(customers))
    if not sums.touched:
        return None
    share = sums.not_through / sums.told if sums.told else 0.0
    people = sums.people_hit / sums.people if sums.people and sums.people_hit else 0.0
    if share >= MANY or (sums.dark > 1 and sums.dark >= HALF * sums.customers):
        level = 1
    elif share >= SOME or sums.dark or (sums.customers > 1 and sums.hit >= HALF * sums.customers):
        level = 2
    elif sums.not_through or people >= SOME:
        level = 3
    else:
        level = LIGHTEST
    return Proposal(level=level, reason=_reason(sums))


def by_kind(customers: Iterable[Mapping[str, Any]]) -> dict[str, Proposal]:
    """Return the proposal for each kind of customer that something happened to."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for customer in customers:
        kinds.setdefault(str(customer.get("kind", "")), []).append(customer)
    found = {kind: propose(rows) for kind, rows in sorted(kinds.items())}
    return {kind: proposal for kind, proposal in found.items() if proposal}


def as_json(found: Mapping[str, Proposal]) -> dict[str, tuple[int, str]]:
    """Return proposals by kind in a form to keep."""
    return {kind: (one.level, one.reason) for kind, one in found.items()}


def from_json(kept: Mapping[str, Any]) -> dict[str, Proposal]:
    """Return the proposals that `as_json` made something to keep of."""
    return {kind: Proposal(level, reason) for kind, (level, reason) in kept.items()}


def _add_up(rows: list[Mapping[str, Any]]) -> _Sums:
    not_through = [_not_through(row) for row in rows]
    dark = [bool(row.get("outage")) for row in rows]
    people = [_count(row, "actors", "total") for row in rows]
    people_hit = [_count(row, "actors", "hit") for row in rows]
    return _Sums(
        customers=len(rows),
        hit=sum(1 for n, out in zip(not_through, dark, strict=True) if n or out),
        dark=sum(dark),
        touched=sum(
            1 for row in rows if row.get("grade") != "not_hit" or _count(row, "requests", "failed")
        ),
        told=sum(
            (_count(row, "attempts", "total") or 0) - (_count(row, "attempts", "cannot_tell") or 0)
            for row in rows
        ),
        not_through=sum(not_through),
        failed_requests=sum(_count(row, "requests", "failed") or 0 for row in rows),
        people=None if None in people else sum(n or 0 for n in people),
        people_hit=None if None in people_hit else sum(n or 0 for n in people_hit),
    )


def _not_through(row: Mapping[str, Any]) -> int:
    return sum(_count(row, "attempts", name) or 0 for name in ("gave_up", "came_back", "open"))


def _count(row: Mapping[str, Any], group: str, name: str) -> int | None:
    value = (row.get(group) or {}).get(name)
    return value if isinstance(value, int) else None


def _reason(sums: _Sums) -> str:
    parts = []
    if sums.customers > 1:
        parts.append(f"{sums.hit:,} of {sums.customers:,} customers hit")
    if sums.dark:
        parts.append(
            "an outage of their own"
            if sums.customers == 1
            else f"{sums.dark:,} with an outage of their own"
        )
    if sums.not_through:
        parts.append(
            f"{sums.not_through:,} of {sums.told:,} attempts"
            f" ({percent(sums.not_through / sums.told)}) did not get through"
            if sums.told
            else f"{sums.not_through:,} attempts did not get through"
        )
    elif sums.told:
        parts.append(f"all {sums.told:,} attempts that can be told got through in the end")
    else:
        parts.append(f"{sums.failed_requests:,} requests failed; who got through cannot be told")
    if sums.people and sums.people_hit:
        parts.append(f"{sums.people_hit:,} of {sums.people:,} people met a failure")
    return "; ".join(parts)
