"""Go through one input: while a chunk is written, the next is read, parsed and resolved."""

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import IntegrityError, connection

from apps.telemetry import queries, store
from apps.telemetry.catalogue import Catalogue, identities
from apps.telemetry.files.cataloguing import catalogue_rows, tally_json
from apps.telemetry.files.reading import Reading
from apps.telemetry.files.report import Progress, Report
from apps.telemetry.formats import detect
from apps.telemetry.formats.columns import Columns, Ints, Rejects
from apps.telemetry.models import Batch
from apps.telemetry.resolve import Resolver, Tally
from apps.telemetry.rules import Rules
from apps.telemetry.sources import Input, Source, UnreadableInput

CHUNK = 32 << 20  # bytes, unpacked


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
        run = Run(source, report, rules, now, chunk_bytes, progress)
        run.begin(wanted)
        with alone(run.log_id):
            run.go()
    return report


class Run:
    """One input on its way into the store."""

    def __init__(
        self,
        source: Input,
        report: Report,
        rules: Rules,
        now: datetime,
        chunk_bytes: int,
        progress: Progress | None,
        reading: Reading | None = None,
    ) -> None:
        self._source = source
        self._report = report
        self._rules = rules
        self.at(now)
        self._chunk_bytes = chunk_bytes
        self._progress = progress or (lambda _: None)
        self._root = Path(settings.EVENTS_DIR)
        self._reading = reading or Reading(source, report, self._progress)
        self.log_id = 0

    def at(self, now: datetime) -> None:
        """Say what time it is: the time of batches, and what is in the future."""
        self._now = now
        self._now_ms = int(now.timestamp() * 1000)

    def begin(self, wanted: str) -> None:
        """Look at the first lines: the format, and which log it is."""
        names = self._rules.names()
        head = self._reading.head()
        if not head and self._source.damage.what:
            raise UnreadableInput(
                f"{self._source.name}: {self._source.damage.what}; there is no line before that"
            )
        found = detect.find(head, wanted=wanted, names=names, declared=self._rules.format)
        self._reading.parser = found.parser
        self._report.format = found.parser.name
        self._report.description = found.description
        first = f"{self._report.service}\n".encode() + head.partition(b"\n")[0]
        self.log_id = int.from_bytes(
            hashlib.blake2b(first, digest_size=8).digest(), "big", signed=True
        )
        self.meet()

    def meet(self) -> None:
        """Look up services, operations and identification rules as they are now. Raise UnknownCustomer."""
        catalogue = Catalogue()
        known = identities(default=self._rules.customer)
        if self._rules.service:
            catalogue.declare(self._rules.service, self._rules.service_name)
        self._resolver = Resolver(
            key=settings.PORTAL_ACTOR_KEY,
            earlier=settings.PORTAL_ACTOR_KEYS[1:],
            registry=catalogue,
            identities=known,
            rules=self._rules,
            service=self._report.service,
        )

    def step(self, threads: "Threads") -> bool:
        """Store one chunk, or go past it where it is stored; return whether there was one.

        One without a request is stored as well: what follows must be found again behind it.
        """
        if self._reading.skip_stored():
            return True
        chunk = self._next_chunk(threads)
        if not chunk.length:
            return False
        self._commit(chunk, self._write(chunk) if chunk.tally.rows else [])
        return True

    def go(self) -> None:
        """Store chunk after chunk; while one is written, the next is parsed."""
        with ThreadPoolExecutor(1, "segments") as writer, Threads() as threads:
            waiting: tuple[_Chunk, Future[list[store.Written]]] | None = None
            try:
                while True:
                    if self._reading.skip_stored():
                        continue
                    chunk = self._next_chunk(threads)
                    if not chunk.length:
                        break
                    if waiting:
                        done, waiting = waiting, None
                        self._commit(done[0], done[1].result())
                    if chunk.tally.rows:
                        waiting = chunk, writer.submit(self._write, chunk)
                    else:
                        self._count(chunk)
                    self._progress(self._report)
                if waiting:
                    done, waiting = waiting, None
                    self._commit(done[0], done[1].result())
            finally:
                if waiting:
                    self._abandon(waiting[1])
        self._report.damage = self._source.damage.what
        self._report.done = self._source.done
        self._progress(self._report)

    # events

    def _next_chunk(self, threads: "Threads") -> _Chunk:
        """Read, parse and resolve the next chunk; an empty one at the end of the input."""
        before = self._reading.hash.hexdigest()
        rejects, tally = Rejects(), Tally()
        tables: list[pa.Table] = []
        orders: list[Ints] = []
        start = self._reading.passed
        for found in self._parsed(rejects, threads):
            for columns in found:
                table, seen = self._resolver.resolve(columns)
                tables.append(table)
                orders.append(columns.lines)
                tally.add(seen)
        threads.hash.submit(lambda: None).result()  # one thread: what was to be hashed before is
        return _Chunk(
            before=before,
            after=self._reading.hash.hexdigest(),
            length=self._reading.passed - start,
            lines=tally.rows + rejects.total,
            rejects=rejects,
            tally=tally,
            batch_id=uuid.uuid4().hex,
            table=pa.concat_tables(tables) if tables else store.empty(),
            order=np.concatenate(orders) if orders else np.zeros(0, dtype=np.int64),
        )

    def _parsed(self, rejects: Rejects, threads: "Threads") -> Iterator[list[Columns]]:
        """Parse the blocks of a chunk in a thread of their own, one ahead of whoever resolves them."""
        left = self._chunk_bytes
        waiting: Future[list[Columns]] | None = None
        while left and (data := self._reading.next_block(left, first=left == self._chunk_bytes)):
            left -= len(data)
            threads.hash.submit(self._reading.hash.update, data)
            parsing = threads.parse.submit(
                self._reading.parser.parse,
                self._reading.numbered(data),
                rejects=rejects,
                now_ms=self._now_ms,
            )
            self._reading.go_past(data)
            if waiting:
                yield waiting.result()
            waiting = parsing
        if waiting:
            yield waiting.result()

    # the store

    def _write(self, chunk: _Chunk) -> list[store.Written]:
        return store.write(chunk.table, order=chunk.order, batch_id=chunk.batch_id, root=self._root)

    def _count(self, chunk: _Chunk) -> None:
        self._report.lines += chunk.lines
        self._report.rejects.merge(chunk.rejects)

    def _commit(self, chunk: _Chunk, written: list[store.Written]) -> None:
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
            self._count(chunk)
            return
        self._count(chunk)
        report.stored += chunk.tally.rows
        report.segments += len(written)
        report.tally.add(chunk.tally)

    def _abandon(self, writing: "Future[list[store.Written]]") -> None:
        # A writer that failed has removed its files itself; the first error is the one to tell.
        with contextlib.suppress(Exception):
            store.discard(writing.result(), root=self._root)


class Threads:
    """One thread that hashes and one that parses."""

    def __enter__(self) -> Self:
        self.hash = ThreadPoolExecutor(1, "hash")
        self.parse = ThreadPoolExecutor(1, "parse")
        return self

    def __exit__(self, *_: object) -> None:
        self.hash.shutdown()
        self.parse.shutdown()


@contextmanager
def alone(log_id: int) -> Iterator[None]:
    """Let one process at a time take in a log; the lock dies with its holder."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [log_id])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [log_id])
