"""One event: a request that somebody made, with its meaning to the caller. The form of every segment."""

from enum import IntEnum

import pyarrow as pa


class Outcome(IntEnum):
    """What the caller got. A client abort (nginx 499, Envoy DC) is neither success nor failure."""

    OK = 0
    FAILED = 1
    CLIENT_ABORT = 2


class ActorKind(IntEnum):
    """What stands for the person or program behind an event, strongest first after NONE."""

    NONE = 0
    END_USER = 1
    SESSION = 2
    ADDRESS = 3  # client address + user agent


class Traffic(IntEnum):
    """Whose traffic it is. Bots and probes are counted apart and never part of a customer number."""

    CUSTOMERS = 0
    BOT = 1
    PROBE = 2


EVENT_SCHEMA: pa.Schema = pa.schema(
    [
        # start of the request, epoch milliseconds UTC
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("latency_ms", pa.int32()),
        # customers.Customer, 0 = belongs to nobody we can name
        pa.field("customer", pa.int32(), nullable=False),
        # keyed 64-bit hash, includes the customer
        pa.field("actor", pa.int64()),
        pa.field("actor_kind", pa.int8(), nullable=False),
        # keyed hash of the client address alone, to recognise a proxy
        pa.field("addr", pa.int64()),
        pa.field("service", pa.int32(), nullable=False),
        pa.field("operation", pa.int32(), nullable=False),
        # hash of the concrete ids in the path: another product is another attempt
        pa.field("target", pa.int64()),
        pa.field("outcome", pa.int8(), nullable=False),
        # HTTP status by meaning (the upstream's where it was masked)
        pa.field("status", pa.int16()),
        # hash of the idempotency key
        pa.field("key", pa.int64()),
        # hash of the request id; the first arrival wins
        pa.field("request", pa.int64()),
        # hash of the reporting host
        pa.field("host", pa.int32()),
        pa.field("traffic", pa.int8(), nullable=False),
        # epoch milliseconds when the sender or collector received it, only when the input says so
        pa.field("arrived", pa.int64()),
        # which traits it carries together (region, app version, ...): telemetry.TraitSet
        pa.field("traits", pa.int32()),
    ]
)
"""Columns, types and order of an event. Segments are zstd Parquet, sorted by `ts`, 64k row groups."""
