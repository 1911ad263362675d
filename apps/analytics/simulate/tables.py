"""What comes out: the log as Arrow, and the truth beside it."""

import numpy as np
import pyarrow as pa

from apps.analytics.events import EVENT_SCHEMA, Traffic
from apps.analytics.simulate.behaviour import MEDIAN_MS, Columns
from apps.analytics.simulate.plan import DAY_MS, Plan
from apps.analytics.simulate.world import BOTS, GROUPS, OPERATIONS, Generator, Ints, World

HORIZON_MS = DAY_MS
SERVICE = np.array([0, *(operation.service for operation in OPERATIONS)])

CLASSES = ("first_try", "slow", "retried", "came_back", "gave_up")
FIRST_TRY, SLOW, RETRIED, CAME_BACK, GAVE_UP = range(5)
ABSENT = ("never_tried", "deferred", "cut_short", "unseen", "not_returned")
NEVER_TRIED, DEFERRED, CUT_SHORT, UNSEEN, NOT_RETURNED = range(5)
CAUSES = ("fault", "gave_up", "recovered", "usual")

_WORD = pa.dictionary(pa.int8(), pa.string())

ATTEMPT_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field(
            "request", pa.int64()
        ),  # of its first event in the log; null: no event of it is there
        # first_try, slow, retried, gave_up, or came_back: gave up, and the same person succeeded at the same operation
        # and target within a day, meant or not, under whatever key
        pa.field("class", _WORD),
        pa.field("group", _WORD),  # people, by_address, nameless, keyed, unkeyed, internal
        pa.field("person", pa.int64()),  # who truly did it
        pa.field("actor", pa.int64()),  # as the log shows them, null: not at all
        pa.field("customer", pa.int32()),
        pa.field("operation", pa.int32()),
        pa.field("target", pa.int64()),
        pa.field("start", pa.int64()),  # true epoch ms, without the host's skew
        pa.field("end", pa.int64()),  # of the last try
        pa.field("tries", pa.int16()),
        pa.field("failed", pa.int16()),  # tries that failed
        pa.field("aborted", pa.bool_()),  # the caller left while waiting, at least once
        pa.field(
            "extra_ms", pa.int64()
        ),  # retried: success end − start − the operation's median latency
        pa.field(
            "provisional", pa.bool_()
        ),  # gave up so late that the run ends before the return horizon
    ]
)
"""One row per attempt of a customer's person or program (bots and probes have none)."""

ABSENCE_SCHEMA: pa.Schema = pa.schema(
    [
        # never_tried: a visit's attempt that was not made because of the fault (deferred: made later instead)
        # cut_short: what would have followed an attempt that was given up · unseen: made, but nothing was logged
        # not_returned: the person never does anything after ts
        pa.field("kind", _WORD),
        pa.field("cause", _WORD),  # fault, gave_up, recovered, usual
        pa.field("ts", pa.int64()),
        pa.field("person", pa.int64()),
        pa.field("actor", pa.int64()),
        pa.field("customer", pa.int32()),
        pa.field("operation", pa.int32()),  # null for not_returned
    ]
)
"""What did not happen, one row per attempt or person."""

ATTEMPT_COLUMNS = (
    "id",
    "person",
    "operation",
    "target",
    "start",
    "end",
    "tries",
    "failed",
    "aborted",
    "ok",
    "request",
)
ABSENCE_COLUMNS = ("kind", "cause", "ts", "person", "operation", "visit")


def event_table(plan: Plan, world: World, rng: Generator, events: Columns) -> pa.Table:
    """Return the log of these events: by host, with skew, delivery and duplicates."""
    count = len(events["ts"])
    person = events["person"]
    host = rng.integers(0, len(world.host_skew), count)
    end = events["ts"] + events["latency"]
    arrived = end + (200 * np.exp(rng.normal(0, 0.6, count))).astype(np.int64)
    again = np.flatnonzero(rng.random(count) < plan.duplicates)
    rows = np.concatenate([np.arange(count), again])
    late = np.concatenate([np.zeros(count, np.int64), rng.integers(1000, 60_000, len(again))])
    reported = events["ts"] + world.host_skew[host]
    rows, late = (one[np.argsort(reported[rows], kind="stable")] for one in (rows, late))
    person = person[rows]
    operation = events["operation"][rows]
    traffic = np.where(world.group[person] == BOTS, Traffic.BOT, Traffic.CUSTOMERS)
    columns = {
        "ts": reported[rows],
        "latency_ms": events["latency"][rows],
        "customer": world.customer[person],
        "actor": _nullable(world.actor[person]),
        "actor_kind": world.actor_kind[person],
        "addr": _nullable(np.where(world.actor[person] == 0, 0, world.address[person])),
        "service": SERVICE[operation],
        "operation": operation,
        "target": _nullable(events["target"][rows]),
        "outcome": events["outcome"][rows],
        "status": events["status"][rows],
        "key": _nullable(events["key"][rows]),
        "request": events["request"][rows],
        "host": 1 + host[rows],
        "traffic": traffic,
        "arrived": arrived[rows] + late if plan.arrivals else pa.nulls(len(rows), pa.int64()),
        "traits": pa.nulls(len(rows), pa.int32()),
    }
    return _table(columns, EVENT_SCHEMA)


def attempt_table(plan: Plan, world: World, done: Columns) -> pa.Table:
    person = done["person"]
    extra = done["end"] - done["start"] - MEDIAN_MS[done["operation"]].astype(np.int64)
    columns = {
        "request": _nullable(done["request"]),
        "class": _words(done["class"], CLASSES),
        "group": _words(world.group[person], GROUPS),
        "person": person,
        "actor": _nullable(world.actor[person]),
        "customer": world.customer[person],
        "operation": done["operation"],
        "target": _nullable(done["target"]),
        "start": done["start"],
        "end": done["end"],
        "tries": done["tries"],
        "failed": done["failed"],
        "aborted": done["aborted"].astype(bool),
        "extra_ms": np.where(done["class"] == RETRIED, np.maximum(0, extra), 0),
        "provisional": (done["class"] == GAVE_UP) & (done["end"] + HORIZON_MS >= plan.end_ms),
    }
    return _table(columns, ATTEMPT_SCHEMA)


def absence_table(world: World, absences: Columns) -> pa.Table:
    person = absences["person"]
    columns = {
        "kind": _words(absences["kind"], ABSENT),
        "cause": _words(absences["cause"], CAUSES),
        "ts": absences["ts"],
        "person": person,
        "actor": _nullable(world.actor[person]),
        "customer": world.customer[person],
        "operation": _nullable(absences["operation"]),
    }
    return _table(columns, ABSENCE_SCHEMA)


def _nullable(values: Ints) -> pa.Array:
    """Return the values as an Arrow array in which 0 is null."""
    return pa.array(values, pa.int64(), mask=values == 0)


def _words(codes: Ints, words: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(words))


def _table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    arrays = [
        column.cast(field.type)
        if isinstance(column, pa.Array)
        else pa.array(column).cast(field.type)
        for field, column in zip(schema, columns.values(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
