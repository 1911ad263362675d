"""Events as files for others: NDJSON with names, or Parquet as they are stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from apps.analytics.events import EVENT_SCHEMA, ActorKind, Outcome, Traffic
from apps.analytics.sql import events_from
from apps.catalog.models import Operation, Service
from apps.core.computing import computing
from apps.customers.models import Customer
from apps.telemetry import queries

AT_ONCE = 65_536  # events


@dataclass(frozen=True)
class Wanted:
    """Which events: of [start, end), epoch ms, and of a customer (primary key) when one is given."""

    start_ms: int
    end_ms: int
    customer: int | None = None


def batches(wanted: Wanted) -> Iterator[pa.Table]:
    """Yield the events in order of time, in bounded memory."""
    files = [str(path) for path in queries.segments(wanted.start_ms, wanted.end_ms)]
    of = "" if wanted.customer is None else f" AND customer = {wanted.customer}"
    with computing("export") as con:
        reader = con.sql(
            f"SELECT * FROM ({events_from(files)})"  # noqa: S608
            f" WHERE ts >= {wanted.start_ms} AND ts < {wanted.end_ms}{of} ORDER BY ts"
        ).to_arrow_reader(AT_ONCE)
        for batch in reader:
            yield pa.Table.from_batches([batch])


def ndjson(wanted: Wanted) -> Iterator[bytes]:
    """Yield lines: what the columns mean, in words. Actors are pseudonyms, in hexadecimal."""
    customers = dict(Customer.objects.values_list("pk", "slug"))
    services = dict(Service.objects.values_list("pk", "slug"))
    operations = dict(Operation.objects.values_list("pk", "name"))
    for table in batches(wanted):
        lines = []
        for row in table.to_pylist():
            at = datetime.fromtimestamp(row["ts"] / 1000, UTC).isoformat(timespec="milliseconds")
            one = {
                "ts": at.replace("+00:00", "Z"),
                "customer": customers.get(row["customer"]),
                "actor": None if row["actor"] is None else f"{row['actor'] & (2**64 - 1):016x}",
                "actor_kind": ActorKind(row["actor_kind"]).name.lower(),
                "service": services.get(row["service"]),
                "operation": operations.get(row["operation"]),
                "outcome": Outcome(row["outcome"]).name.lower(),
                "status": row["status"],
                "latency_ms": row["latency_ms"],
                "traffic": Traffic(row["traffic"]).name.lower(),
            }
            lines.append(orjson.dumps(one))
        yield b"\n".join(lines) + b"\n"


def parquet(wanted: Wanted, path: Path) -> int:
    """Write the events as one Parquet file; return how many."""
    schema = pa.schema([field for field in EVENT_SCHEMA if field.name != "traits"])
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in batches(wanted):
            writer.write_table(table.cast(schema))
            rows += table.num_rows
    return rows
