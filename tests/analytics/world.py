"""Small worlds of events, and the attempt rule by brute force in plain Python."""

from collections import defaultdict
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from apps.analytics.events import EVENT_SCHEMA
from apps.analytics.impact import compute, connect
from apps.analytics.names import Catalogue, CustomerName, JourneyName, OperationName

START = 1_795_000_000_000 // 86_400_000 * 86_400_000 + 36_000_000  # some day at 10:00 UTC
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_number = count()

OPERATIONS = {
    1: OperationName(1, "GET /product/{id}", 1),
    2: OperationName(2, "POST /cart/{id}", 1),
    3: OperationName(3, "POST /checkout", 1),
}
PURCHASE = JourneyName(1, "Purchase", (1, 2, 3), 3, 30.0, "EUR")
NAMES = Catalogue(
    customers={
        1: CustomerName(1, "Visitors", "consumers"),
        2: CustomerName(2, "Acme", "business"),
        3: CustomerName(3, "Globex", "business"),
    },
    services={1: "shop"},
    operations=OPERATIONS,
    journeys=(PURCHASE,),
)
PLAIN = Catalogue(customers=NAMES.customers, services=NAMES.services, operations=OPERATIONS)


def event(at=0.0, **changes):
    """One event, `at` seconds after START; ok, known actor 11 of customer 1, at the checkout."""
    row = {
        "ts": START + round(at * 1000),
        "latency_ms": 100,
        "customer": 1,
        "actor": 11,
        "actor_kind": 2,
        "addr": None,
        "service": 1,
        "operation": 3,
        "target": None,
        "outcome": 0,
        "status": 200,
        "key": None,
        "request": None,
        "host": None,
        "traffic": 0,
        "arrived": None,
    }
    row.update(changes)
    if row["actor"] is None:
        row["actor_kind"] = 0
    return row


def write(folder: Path, events, parts=1):
    """Write the events into `parts` files, row by row in turn; returns the paths."""
    paths = []
    for part in range(parts):
        path = folder / f"part-{next(_number)}.parquet"
        pq.write_table(pa.Table.from_pylist(events[part::parts], schema=EVENT_SCHEMA), path)
        paths.append(str(path))
    return paths


def ask(folder, events, *, parts=1, minutes=60, **arguments):
    """Compute the impact of the `minutes` after START, seen two days later with all data in."""
    with connect(temp_directory=folder) as con:
        return compute(
            con,
            **{
                "files": write(folder, events, parts),
                "start_ms": START,
                "end_ms": START + minutes * MINUTE,
                "as_of_ms": START + 2 * DAY,
                "data_end_ms": START + 2 * DAY,
                "names": NAMES,
                **arguments,
            },
        )


def brute_force(events, *, start, end, as_of, horizon=DAY, lookback=2 * HOUR, w_ms=300_000):
    """How attempts ended: {(customer, operation, class): count}. Slow, obvious, on purpose.

    No ambiguity, skew, probe or proxy: those need more events than a small world has.
    """
    seen, kept = set(), []
    first = sorted(
        (e for e in events if start - lookback <= e["ts"] < min(end + horizon, as_of + 1)),
        key=lambda e: (
            e["arrived"] is None,
            e["arrived"] or 0,
            e["ts"],
            e["latency_ms"],
            e["outcome"],
            e["operation"],
            e["customer"],
            e["actor"] is None,
            e["actor"] or 0,
            e["target"] is None,
            e["target"] or 0,
            e["key"] is None,
            e["key"] or 0,
            e["traffic"],
        ),
    )
    for e in first:
        ident = (e["service"], e["request"])
        if e["request"] is None or ident not in seen:
            seen.add(ident)
            kept.append(e)
    tries = [
        e for e in kept if e["traffic"] == 0 and (e["outcome"] != 2 or e["latency_ms"] >= 3000)
    ]
    result = defaultdict(int)
    groups = defaultdict(list)
    for e in tries:
        if e["actor"] is None and e["key"] is None:
            if start <= e["ts"] < end:
                result[e["customer"], e["operation"], "cannot_tell"] += 1
        else:
            groups[e["customer"], e["operation"], e["actor"]].append(e)
    for (customer, operation, actor), members in groups.items():
        lines = defaultdict(list)
        for call in _calls(members):
            lines[call["target"], call["key"] if actor is None else None].append(call)
        for (target, _), line in lines.items():
            good = (
                []
                if actor is None
                else [e["ts"] for e in members if e["outcome"] == 0 and e["target"] == target]
            )
            for name in _ends(line, start, end, as_of, horizon, w_ms, good):
                result[customer, operation, name] += 1
    return dict(result)


def _order(e):
    return e["ts"], e["outcome"] == 0, e["ts"] + e["latency_ms"]


def _calls(members):
    calls, by_key = [], defaultdict(list)
    for e in members:
        if e["key"] is None:
            calls.append(_call([e]))
        else:
            by_key[e["key"]].append(e)
    for same in by_key.values():
        same.sort(key=_order)
        group = [same[0]]
        for e in same[1:]:
            if e["ts"] - (group[-1]["ts"] + group[-1]["latency_ms"]) > DAY:
                calls.append(_call(group))
                group = []
            group.append(e)
        calls.append(_call(group))
    return calls


def _call(tries):
    ok = [e for e in tries if e["outcome"] == 0]
    bad = [e for e in tries if e["outcome"] == 1]
    began = min(tries, key=lambda e: (e["ts"], e["target"] or 0))
    ok_ts = min((e["ts"] for e in ok), default=None)
    failed_first = bad and (not ok or min(e["ts"] for e in bad) <= ok_ts)
    return {
        "target": began["target"],
        "key": began["key"],
        "ts": began["ts"],
        "until": max(e["ts"] + e["latency_ms"] for e in tries),
        "ok": bool(ok),
        "ok_ts": ok_ts,
        "fails": len(bad) if failed_first else 0,
    }


def _ends(line, start, end, as_of, horizon, w_ms, good):
    line.sort(key=lambda c: (c["ts"], c["ok"], c["until"]))
    chains = []
    for call in line:
        before = chains[-1][-1] if chains else None
        if before is None or before["ok"] or call["ts"] - before["until"] > w_ms:
            chains.append([])
        chains[-1].append(call)
    for chain in chains:
        if not start <= chain[0]["ts"] < end:
            continue
        last = max(call["until"] for call in chain)
        begun = max(call["ts"] for call in chain)
        if any(call["ok"] for call in chain):
            yield "retried" if sum(call["fails"] for call in chain) else "first_try"
        elif any(begun < ts <= last + horizon for ts in good):
            yield "came_back"
        elif as_of - last < w_ms:
            yield "open"
        else:
            yield "gave_up"
