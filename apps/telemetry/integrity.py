"""Whether every file is what the catalogue says, and what can be done when one is not."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from django.db import transaction

from apps.accounts.models import AuditEvent
from apps.analytics.events import EVENT_SCHEMA
from apps.telemetry import jobs, rollups, store
from apps.telemetry.compaction import digest_of
from apps.telemetry.models import Rollup, Segment

ASIDE = "aside"
"""Below EVENTS_DIR: files that were set aside. Nothing reads or removes them."""

REPAIR = "manage.py events repair sets it aside and takes up what can be read"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: what, where, and what to do."""

    path: str
    what: str
    do: str
    segment: int | None = None  # its primary key, when the catalogue names it
    unnamed: bool = False


def verify(*, now: datetime) -> Iterator[Finding | None]:
    """Look at every file, and yield None for each that is right."""
    for one in Segment.objects.live().order_by("pk").iterator():
        wrong = _wrong(one)
        if wrong and not Segment.objects.live().filter(pk=one.pk).exists():
            wrong = None  # replaced while we looked
        yield None if wrong is None else Finding(one.path, *wrong, segment=one.pk)
    root = Path(settings.EVENTS_DIR)
    for rollup in Rollup.objects.order_by("day"):
        there = all((root / rollup.path / f"{n}.parquet").is_file() for n in rollups.FILES)
        again = "delete its row; a worker makes the day again"
        yield None if there else Finding(rollup.path, "the roll-up of a day is missing", again)
    yield from unnamed(now=now)


def _wrong(one: Segment) -> tuple[str, str] | None:
    path = Path(settings.EVENTS_DIR) / one.path
    try:
        size, digest = path.stat().st_size, digest_of(path)
        about = pq.ParquetFile(path).metadata if digest == one.sha256 else None
    except FileNotFoundError:
        return "the file is missing", f"restore it from a backup, or: {_takes_out(one)}"
    except (OSError, pa.ArrowException) as error:
        return f"it cannot be read ({str(error)[:100]})", REPAIR
    if about is None:
        which = "" if size == one.bytes else f", {size:,} bytes instead of {one.bytes:,}"
        return f"its SHA-256 is not the catalogue's{which}", f"restore it, or: {REPAIR}"
    if about.num_rows != one.rows:
        return f"it holds {about.num_rows:,} events, the catalogue says {one.rows:,}", REPAIR
    if (bounds := _bounds(about)) != (one.min_ts, one.max_ts):
        return f"its events are of {bounds}, the catalogue says otherwise", REPAIR
    return None


def _takes_out(one: Segment) -> str:
    return f"manage.py events repair takes it out of the catalogue; {one.rows:,} events are lost"


def _bounds(about: pq.FileMetaData) -> tuple[int, int]:
    place = EVENT_SCHEMA.get_field_index("ts")
    each = [about.row_group(n).column(place).statistics for n in range(about.num_row_groups)]
    return min(one.min for one in each), max(one.max for one in each)


def unnamed(*, now: datetime) -> Iterator[Finding]:
    """Yield the files that nothing names and that are too old to belong to a writer at work."""
    root = Path(settings.EVENTS_DIR)
    limit = (now - jobs.GRACE).timestamp()
    named = set(Segment.objects.values_list("path", flat=True))
    named |= set(Rollup.objects.values_list("path", flat=True))
    for path in sorted([*root.glob("dt=*/hh=*/*"), *(root / rollups.FOLDER).glob("*")]):
        name = str(path.relative_to(root))
        with suppress(FileNotFoundError):  # swept meanwhile
            if name not in named and path.stat().st_mtime < limit:
                yield Finding(
                    name,
                    "nothing names it: a writer was killed before it was acknowledged",
                    "the worker removes it within the hour",
                    unnamed=True,
                )


@dataclass(frozen=True)
class Repaired:
    """What became of a broken file."""

    path: str
    aside: str  # where it lies now, below EVENTS_DIR; empty when it was missing
    kept: int  # events that could be read
    lost: int
    first: datetime
    last: datetime


def repair(*, now: datetime) -> list[Repaired]:
    """Set broken files aside and take up what can be read of them; return what became of each.

    A file whose every row can be read although its SHA-256 is another one is taken up whole: what it holds may have
    been changed. Files are moved, never deleted; the counts go on counting what came in.
    """
    done = []
    for one in Segment.objects.live().order_by("pk"):
        if _wrong(one) is not None:
            found = _repair(one, now=now)
            done += [found] if found else []
        elif one.damaged_at:
            Segment.objects.filter(pk=one.pk).update(damaged_at=None)
    for rollup in Rollup.objects.all():
        if not (Path(settings.EVENTS_DIR) / rollup.path).is_dir():
            rollup.delete()
    return done


def _repair(one: Segment, *, now: datetime) -> Repaired | None:
    """Return what became of a file; None when it was replaced meanwhile."""
    root = Path(settings.EVENTS_DIR)
    path = root / one.path
    readable = _readable(path, one)
    made = []
    if readable.num_rows:
        order = pc.sort_indices(readable["ts"]).to_numpy()
        made = store.write(readable, order=order, batch_id=f"{uuid4().hex}-repaired", root=root)
    aside = ""
    if path.exists():
        aside = f"{ASIDE}/{path.parent.parent.name}-{path.parent.name}-{path.name}"
        (root / ASIDE).mkdir(parents=True, exist_ok=True)
    found = Repaired(
        one.path,
        aside,
        readable.num_rows,
        max(one.rows - readable.num_rows, 0),
        datetime.fromtimestamp(one.min_ts / 1000, UTC),
        datetime.fromtimestamp(one.max_ts / 1000, UTC),
    )
    with transaction.atomic():
        if not Segment.objects.live().select_for_update().filter(pk=one.pk):
            store.discard(made, root=root)
            return None
        Segment.objects.bulk_create(
            [
                Segment(
                    batch=one.batch,
                    path=part.path,
                    came_at=one.came_at,
                    min_ts=part.min_ts,
                    max_ts=part.max_ts,
                    rows=part.rows,
                    bytes=part.bytes,
                    sha256=part.sha256,
                    service_id=part.service,
                    content=part.content,
                    counted=one.counted,
                    customers_counted=one.customers_counted,
                )
                for part in made
            ]
        )
        Segment.objects.filter(pk=one.pk).update(deleted_at=now)
        AuditEvent.note(
            at=now,
            user=None,
            action="events.repair",
            target=one,
            after={"path": one.path, "aside": aside, "kept": found.kept, "lost": found.lost},
        )
        if aside:
            path.rename(root / aside)
    return found


def _readable(path: Path, one: Segment) -> pa.Table:
    """Return the events of a file, row group by row group, that can be read and lie in its hour."""
    found = [store.empty()]
    with suppress(OSError, pa.ArrowException):
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            with suppress(OSError, pa.ArrowException, KeyError, ValueError):
                part = file.read_row_group(number)
                missing = [f for f in EVENT_SCHEMA if f.name not in part.column_names]
                for field in missing:
                    part = part.append_column(field, pa.nulls(part.num_rows, field.type))
                part = part.select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA)
                part.validate(full=True)
                hour = one.min_ts // store.HOUR_MS * store.HOUR_MS
                inside = pc.and_(
                    pc.greater_equal(part["ts"], hour), pc.less(part["ts"], hour + store.HOUR_MS)
                )
                found.append(part.filter(inside))
    return pa.concat_tables(found)
