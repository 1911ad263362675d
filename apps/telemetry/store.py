"""Immutable files of events: written beside their place, made durable, moved there, then named in the catalogue.

A file that the catalogue does not name does not exist for readers; one left behind by a killed
writer is swept away later (`jobs.sweep_orphans`).
"""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apps.analytics.events import EVENT_SCHEMA
from apps.core.files import sync
from apps.telemetry.counts import Counted, of_events
from apps.telemetry.space import refuse_when_full

HOUR_MS = 3_600_000
ROW_GROUP = 65_536
TEMPORARY = ".part"

DICTIONARY = [
    *("customer", "actor", "actor_kind", "addr", "service", "operation"),
    *("outcome", "status", "host", "traffic"),
]

STATISTICS = ["ts", "customer", "service", "operation"]


@dataclass(frozen=True)
class Written:
    """A segment on disk that the catalogue does not name yet."""

    path: str  # below the root
    min_ts: int
    max_ts: int
    rows: int
    bytes: int
    sha256: str
    service: int | None
    content: int  # Segment.content
    counted: list[Counted] = field(default_factory=list)

    @property
    def hour(self) -> int:
        """The hour of its events, since 1970."""
        return self.min_ts // HOUR_MS


def write(table: pa.Table, *, order: NDArray[np.int64], batch_id: str, root: Path) -> list[Written]:
    """Write events as segments, one for each hour of event time, durable when this returns.

    `order` breaks ties of time (the line in the input). Raises OSError, after removing what it wrote; StoreFull
    before it writes.
    """
    refuse_when_full()
    ts = table.column("ts").to_numpy()
    if len(ts) > 1 and not (np.diff(ts) >= 0).all():
        by_time = np.lexsort((order, ts))
        table = table.take(pa.array(by_time))
        ts = ts[by_time]
    hours = ts // HOUR_MS
    cuts = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(ts)]
    written: list[Written] = []
    folders: set[Path] = set()
    try:
        for number, (start, end) in enumerate(pairwise(cuts)):
            name = name_of(int(hours[start]), f"{batch_id}-{number}")
            folder = (root / name).parent
            if folder not in folders:
                folders.add(folder)
                make_folder(folder)
            written.append(_write_one(table.slice(start, end - start), root, name))
        for folder in folders:
            sync(folder)
    except BaseException:
        discard(written, root=root)
        raise
    return written


def content_of(digest: str) -> int:
    """Return what a file of this SHA-256 holds, as a number."""
    return int(digest[:15], 16)


def discard(written: list[Written], *, root: Path) -> None:
    """Remove files that will not be named in the catalogue."""
    for one in written:
        (root / one.path).unlink(missing_ok=True)


def name_of(hour: int, stem: str) -> str:
    """Return the path, below the root, of a file of events within one hour since 1970."""
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    return f"dt={moment:%Y-%m-%d}/hh={moment:%H}/{stem}.parquet"


def _write_one(part: pa.Table, root: Path, name: str) -> Written:
    sink = pa.BufferOutputStream()
    pq.write_table(
        part,
        sink,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        use_dictionary=DICTIONARY,
        write_statistics=STATISTICS,
    )
    data = sink.getvalue()
    path = root / name
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    ts = part.column("ts")
    services = np.unique(part.column("service").to_numpy())
    return Written(
        path=name,
        min_ts=ts[0].as_py(),
        max_ts=ts[-1].as_py(),
        rows=part.num_rows,
        bytes=len(data),
        sha256=(digest := sha256(data).hexdigest()),
        service=int(services[0]) if len(services) == 1 else None,
        content=content_of(digest),
        counted=of_events(part),
    )


def make_folder(folder: Path) -> None:
    """Make a folder durable: an entry in its parent can be lost as well as a file."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync(made.parent)


def empty() -> pa.Table:
    """Return no events."""
    return EVENT_SCHEMA.empty_table()
