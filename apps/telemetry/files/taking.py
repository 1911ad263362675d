"""Take in a file of any size, each of its bytes once.

The unpacked bytes are cut at line ends into chunks; each chunk becomes one `Batch` with its segments
in one transaction. A chunk is known by the running SHA-256 of the file before and after it. On the next
run the chunks that are stored are read, verified and skipped, so the same file twice adds nothing, a
killed run goes on where it was, and of a log that has grown only the new lines are added. The chain
begins with the service: the same file for another service is another input.

Not recognised: a copy that ends in the middle of a stored chunk (a log cut short), or lines that were
moved to another place in another file. Such lines are stored again, since a hash of the whole cannot
vouch for a part; the analysis drops them where the log has request ids. The whole file adds nothing after.
"""

import contextlib
import hashlib
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from apps.catalog.models import Service
from apps.telemetry import counts, queries, store
from apps.telemetry.catalogue import Catalogue, identities
from apps.telemetry.formats import detect
from apps.telemetry.formats.columns import Block, Columns, Ints, Rejects, excerpt
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.models import Batch, Segment
from apps.telemetry.resolve import Resolver, Tally
from apps.telemetry.resolve.unnamed import Evidence
from apps.telemetry.rules import Rules
from apps.telemetry.sources import Source, UnreadableInput

CHUNK = 32 << 20  # bytes, unpacked
BLOCK = 4 << 20  # bytes parsed at once: small enough to stay in the processor's cache
HEAD = 1 << 20  # bytes looked at to find the format

Progress = Callable[["Report"], None]


@dataclass
class Report:
    """What became of one input."""

    source: str
    service: str
    format: str = ""
    description: str = ""
    size: int = 0  # packed bytes, 0 = not known
    done: int = 0  # packed bytes read
    lines: int = 0
    stored: int = 0
    already: int = 0
    rejects: Rejects = field(default_factory=Rejects)
    tally: Tally = field(default_factory=Tally)
    segments: int = 0
    cut_off: str = ""  # the last line, when it is not all there
    damage: str = ""  # what is wrong with the end of a packed file

    @property
    def service_words(self) -> str:
        """The services that the requests are of, a few of them by name."""
        slugs = sorted(
            Service.objects.filter(pk__in=self.tally.services).values_list("slug", flat=True)
        )
        named = ", ".join(slugs[:5]) + (f" and {len(slugs) - 5} more" if len(slugs) > 5 else "")
        return f"{'services' if len(slugs) > 1 else 'service'} {named or self.service}"

    @property
    def whole(self) -> bool:
        """Whether all of the input was taken in (lines that do not parse are counted, not a failure)."""
        return not self.cut_off and not self.damage and self.stored + self.already > 0

    @property
    def named_share(self) -> float | None:
        """Share of customers' requests whose customer we can name; None without any."""
        return self.tally.named / self.tally.customers if self.tally.customers else None

    def as_json(self) -> dict[str, Any]:
        """Return what `ingest --json` prints."""
        return {
            "source": self.source,
            "service": self.service,
            "format": self.format,
            "recognised": self.description,
            "lines": self.lines,
            "stored": self.stored,
            "already_there": self.already,
            "rejected": self.rejects.total,
            "reasons": dict(self.rejects.counts),
            "samples": [sample.as_json() for sample in self.rejects.samples],
            "failed": self.tally.failed,
            "bots": self.tally.bots,
            "probes": self.tally.probes,
            "named_share": self.named_share,
            "with_actor": self.tally.with_actor,
            "operations": len(self.tally.operations),
            "segments": self.segments,
            "from_ms": self.tally.first_ms,
            "to_ms": self.tally.last_ms,
            "cut_off": self.cut_off,
            "damage": self.damage,
            "whole": self.whole,
        }


@dataclass
class _Chunk:
    """A piece of the input that is parsed and waits to be stored."""

    before: str
    after: str
    length: int
    lines: int
    rejects: Rejects
    tally: Tally
    batch_id: str
    table: pa.Table
    order: Ints


def ingest(
    path: str,
    *,
    now: datetime,
    wanted: str = "auto",
    rules: Rules | None = None,
    service: str = "",
    progress: Progress | None = None,
    chunk_bytes: int = CHUNK,
) -> Report:
    """Store the requests of one input; return what became of it.

    Raises UnreadableInput, UnknownFormat, UnknownCustomer, and OSError when the store cannot be written.
    """
    rules = rules or Rules()
    service = service or rules.service or "web"
    with Source(path) as source:
        report = Report(source=source.name, service=service, size=source.size)
        run = _Run(source, report, rules, now, chunk_bytes, progress)
        run.begin(wanted)
        with _alone(run.log_id):
            run.go()
    return report


class _Run:
    """One input on its way into the store."""

    def __init__(
        self,
        source: Source,
        report: Report,
        rules: Rules,
        now: datetime,
        chunk_bytes: int,
        progress: Progress | None,
    ) -> None:
        self._source = source
        self._report = report
        self._rules = rules
        self._now = now
        self._now_ms = int(now.timestamp() * 1000)
        self._chunk_bytes = chunk_bytes
        self._progress = progress or (lambda _: None)
        self._root = Path(settings.EVENTS_DIR)
        self._buffer = b""
        self._ended = False
        self._passed = 0  # bytes behind us
        self._line = 1  # number of the next line
        self._inside_line = False  # the last chunk ended in the middle of an endless line
        self._last_line = b""
        seed = f"portal log of {report.service}\n"
        self._hash = hashlib.sha256(seed.encode())
        self.log_id = 0

    def begin(self, wanted: str) -> None:
        """Look at the first lines: the format, and which log it is."""
        names = FieldNames(self._rules.fields)
        self._fill(HEAD)
        if not self._buffer and self._source.damage.what:
            raise UnreadableInput(
                f"{self._source.name}: {self._source.damage.what}; there is no line before that"
            )
        cut = self._buffer.rfind(b"\n", 0, HEAD) + 1
        head = self._buffer[: cut or HEAD]
        found = detect.find(head, wanted=wanted, names=names)
        self._parser = found.parser
        self._report.format = found.parser.name
        self._report.description = found.description
        first = f"{self._report.service}\n".encode() + head.partition(b"\n")[0]
        self.log_id = int.from_bytes(
            hashlib.blake2b(first, digest_size=8).digest(), "big", signed=True
        )
        catalogue = Catalogue()
        known = identities(default=self._rules.customer)
        if self._rules.service:
            catalogue.declare(self._rules.service, self._rules.service_name)
        self._resolver = Resolver(
            key=settings.PORTAL_ACTOR_KEY,
            registry=catalogue,
            identities=known,
            rules=self._rules,
            service=self._report.service,
        )

    def go(self) -> None:
        """Store chunk after chunk; while one is written, the next is parsed."""
        with (
            ThreadPoolExecutor(1, "segments") as writer,
            ThreadPoolExecutor(1, "hash") as hasher,
            ThreadPoolExecutor(1, "parse") as self._reader,
        ):
            waiting: tuple[_Chunk, Future[list[store.Written]]] | None = None
            try:
                while True:
                    if self._skip_stored():
                        continue
                    chunk = self._next_chunk(hasher)
                    if not chunk.length:
                        break
                    if waiting:
                        done, waiting = waiting, None
                        self._commit(*done)
                    if chunk.tally.rows:
                        waiting = chunk, writer.submit(self._write, chunk)
                    self._progress(self._report)
                if waiting:
                    done, waiting = waiting, None
                    self._commit(*done)
            finally:
                if waiting:
                    self._abandon(waiting[1])
        self._report.damage = self._source.damage.what
        self._report.done = self._source.done
        self._progress(self._report)

    # the input

    def _fill(self, size: int) -> None:
        if len(self._buffer) < size and not self._ended:
            more = self._source.read(size - len(self._buffer))
            self._buffer = self._buffer + more if self._buffer else more
            self._ended = len(self._buffer) < size
            self._report.done = self._source.done

    def _skip_stored(self) -> bool:
        """Skip the stored chunk that begins here, if what follows is that chunk."""
        before = self._hash.hexdigest()
        for batch in queries.stored_chunks(before):
            self._fill(batch.length)
            if len(self._buffer) < batch.length:
                continue
            ahead = self._hash.copy()
            data = self._buffer[: batch.length]
            ahead.update(data)
            if ahead.hexdigest() == batch.chain_after:
                self._hash = ahead
                self._buffer = self._buffer[batch.length :]
                self._pass(data)
                self._report.lines += batch.lines
                self._report.already += batch.rows
                self._report.rejects.counts.update(batch.reasons)
                self._progress(self._report)
                return True
        return False

    def _next_block(self, most: int, *, first: bool) -> bytes:
        """Return whole lines, at most so many bytes; b"" at the end of the chunk or of the input."""
        most = min(most, BLOCK)
        self._fill(most)
        cut = self._buffer.rfind(b"\n", 0, most) + 1
        if self._ended and len(self._buffer) <= most:
            rest = self._buffer[cut:]
            if rest and self._complete(rest, self._buffer[:cut]):
                cut = len(self._buffer)
        elif not cut and first:
            cut = most  # a line longer than a block: rejected in pieces
        block = self._buffer[:cut]
        self._buffer = self._buffer[cut:]
        return block

    def _complete(self, line: bytes, before: bytes) -> bool:
        if not line.strip():
            return True
        previous = before.rstrip(b"\n").rpartition(b"\n")[2] or self._last_line
        whole = (
            not self._source.damage.what
            and not self._inside_line
            and self._parser.whole(line, previous)
        )
        if not whole:
            self._report.cut_off = excerpt(line)
        return whole

    def _pass(self, data: bytes) -> None:
        """Note that `data` is behind us."""
        self._passed += len(data)
        self._line += int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))
        self._inside_line = not data.endswith(b"\n")
        self._last_line = data[-4096:].rstrip(b"\n").rpartition(b"\n")[2]

    # events

    def _next_chunk(self, hasher: ThreadPoolExecutor) -> _Chunk:
        """Read, parse and resolve the next chunk; an empty one at the end of the input."""
        before = self._hash.hexdigest()
        rejects, tally = Rejects(), Tally()
        tables: list[pa.Table] = []
        orders: list[Ints] = []
        start = self._passed
        for found in self._parsed(rejects, hasher):
            for columns in found:
                table, seen = self._resolver.resolve(columns)
                tables.append(table)
                orders.append(columns.lines)
                tally.add(seen)
        hasher.submit(lambda: None).result()  # one thread: whatever was to be hashed before is
        report = self._report
        report.lines += tally.rows + rejects.total
        report.rejects.merge(rejects)
        return _Chunk(
            before=before,
            after=self._hash.hexdigest(),
            length=self._passed - start,
            lines=tally.rows + rejects.total,
            rejects=rejects,
            tally=tally,
            batch_id=uuid.uuid4().hex,
            table=pa.concat_tables(tables) if tables else store.empty(),
            order=np.concatenate(orders) if orders else np.zeros(0, dtype=np.int64),
        )

    def _parsed(self, rejects: Rejects, hasher: ThreadPoolExecutor) -> Iterator[list[Columns]]:
        """Parse the blocks of a chunk in a thread of their own, one ahead of whoever resolves them."""
        left = self._chunk_bytes
        waiting: Future[list[Columns]] | None = None
        while left and (data := self._next_block(left, first=left == self._chunk_bytes)):
            left -= len(data)
            hasher.submit(self._hash.update, data)
            parsing = self._reader.submit(
                self._parser.parse, self._block(data), rejects=rejects, now_ms=self._now_ms
            )
            self._pass(data)
            if waiting:
                yield waiting.result()
            waiting = parsing
        if waiting:
            yield waiting.result()

    def _block(self, data: bytes) -> Block:
        if self._inside_line:  # the rest of a line that has been rejected
            return Block(data[data.find(b"\n") + 1 or len(data) :], self._line + 1)
        return Block(data.removeprefix(detect.BOM) if self._line == 1 else data, self._line)

    # the store

    def _write(self, chunk: _Chunk) -> list[store.Written]:
        return store.write(chunk.table, order=chunk.order, batch_id=chunk.batch_id, root=self._root)

    def _commit(self, chunk: _Chunk, writing: "Future[list[store.Written]]") -> None:
        written = writing.result()
        report = self._report
        batch = Batch(
            batch_id=chunk.batch_id,
            source=report.source[-300:],
            format=report.format,
            chain_before=chunk.before,
            chain_after=chunk.after,
            length=chunk.length,
            lines=chunk.lines,
            rows=chunk.tally.rows,
            rejected=chunk.rejects.total,
            reasons=dict(chunk.rejects.counts),
            samples=[sample.as_json() for sample in chunk.rejects.samples],
            tally=tally_json(chunk.tally),
            created_at=self._now,
        )
        try:
            catalogue_rows(batch, written, root=self._root, unnamed=chunk.tally.unnamed)
        except IntegrityError:
            if chunk.after not in {one.chain_after for one in queries.stored_chunks(chunk.before)}:
                raise
            report.already += chunk.tally.rows  # another run has stored this chunk meanwhile
            return
        report.stored += chunk.tally.rows
        report.segments += len(written)
        report.tally.add(chunk.tally)

    def _abandon(self, writing: "Future[list[store.Written]]") -> None:
        # A writer that failed has removed its files itself; the first error is the one to tell.
        with contextlib.suppress(Exception):
            store.discard(writing.result(), root=self._root)


def catalogue_rows(
    batch: Batch, written: list[store.Written], *, root: Path, unnamed: Evidence | None = None
) -> None:
    """Name the files of a batch in the catalogue, and write what was counted in them, all or none.

    Raise IntegrityError, after removing the files, for a batch that is there. After any other error
    they stay: the database may have committed and the connection been lost before it could say so.
    What the catalogue does not name, `jobs.sweep_orphans` removes.
    """
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            Segment.objects.bulk_create(
                [
                    Segment(
                        batch=batch,
                        path=one.path,
                        min_ts=one.min_ts,
                        max_ts=one.max_ts,
                        rows=one.rows,
                        bytes=one.bytes,
                        sha256=one.sha256,
                        service_id=one.service,
                        counted=True,
                    )
                    for one in written
                ]
            )
            counts.save((one.hour, one.counted) for one in written)
            counts.save_unnamed(unnamed or {})
    except IntegrityError:
        store.discard(written, root=root)
        raise


def tally_json(tally: Tally) -> dict[str, int | None]:
    """Return what a batch keeps of its tally."""
    return {
        "bots": tally.bots,
        "probes": tally.probes,
        "failed": tally.failed,
        "customers": tally.customers,
        "named": tally.named,
        "with_actor": tally.with_actor,
    }


@contextmanager
def _alone(log_id: int) -> Iterator[None]:
    """Let one process at a time take in a log; the lock dies with its holder."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [log_id])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [log_id])
