"""Write generated traffic with an outage in it, and the truth about it."""

import gzip
import io
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.analytics.events import EVENT_SCHEMA
from apps.analytics.simulate import FAULTS, Plan, build_world, simulate, to_ndjson

MOST_WEEKS = 520  # ten years


class Sink(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all of them."""
        ...


class Command(BaseCommand):
    """`manage.py simulate`: the same options write the same bytes."""

    help = "Write the traffic of a made-up product with an outage in it. The same seed writes the same bytes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Say how much, from when, with which fault, and where to."""
        parser.add_argument(
            "--plan",
            choices=["essay"],
            help="a ready-made plan, in place of --events, --fault and --weeks: 65,000 HTTP 500s in 26 minutes",
        )
        parser.add_argument(
            "--events", type=_count, default=100_000, help="about how many (default 100000)"
        )
        parser.add_argument("--seed", type=_seed, default=None, help="seed of the dice (default 1)")
        parser.add_argument(
            "--fault",
            default="partial",
            metavar="NAME",
            help=f"{', '.join(FAULTS)} (default partial)",
        )
        parser.add_argument(
            "--weeks",
            type=_weeks,
            default=5,
            help="weeks in all; the last holds the fault (default 5)",
        )
        parser.add_argument(
            "--start", type=_day, help="first day, UTC, best a Monday (default 2026-01-05)"
        )
        parser.add_argument("--format", choices=["ndjson", "parquet"], default="ndjson")
        parser.add_argument(
            "--out",
            default="-",
            metavar="PATH",
            help="a file (.gz packs it), - for stdout (default)",
        )
        parser.add_argument(
            "--truth",
            metavar="PATH",
            help="also write what truly happened: NDJSON, one attempt or absence a line (.gz packs it)",
        )

    def handle(self, **options: Any) -> None:
        """Write events and truth chunk by chunk."""
        plan = _plan(options)
        out, truth = options["out"], options["truth"]
        if options["format"] == "parquet" and out == "-":
            raise CommandError("Parquet needs a file: give --out PATH.")
        if truth and Path(truth) == Path(out):
            raise CommandError("--out and --truth are the same file.")
        self._write(plan, options["format"], out, truth)

    def _write(self, plan: Plan, form: str, out: str, truth: str | None) -> None:
        names = build_world(plan).names
        events = attempts = 0
        with ExitStack() as stack:
            sink = stack.enter_context(_sink(out, self.stdout))
            answers = stack.enter_context(_sink(truth, self.stdout)) if truth else None
            parquet = (
                stack.enter_context(pq.ParquetWriter(sink, EVENT_SCHEMA, compression="zstd"))
                if form == "parquet"
                else None
            )
            for chunk in simulate(plan):
                if parquet:
                    parquet.write_table(chunk.events, row_group_size=65_536)
                else:
                    sink.write(to_ndjson(chunk.events, names))
                if answers:
                    _write_rows(answers, "attempt", chunk.attempts)
                    _write_rows(answers, "absence", chunk.absences)
                events += chunk.events.num_rows
                attempts += chunk.attempts.num_rows
                self._progress((chunk.end - plan.start_ms) / (plan.end_ms - plan.start_ms), events)
        self._report(plan, events, attempts)

    def _progress(self, share: float, events: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if share >= 1 else ""
            self.stderr.write(f"\r{share:4.0%}  {events:,} events", ending=end)
            self.stderr.flush()

    def _report(self, plan: Plan, events: int, attempts: int) -> None:
        begin, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in plan.window_ms)
        self.stderr.write(
            f"{events:,} events, {attempts:,} attempts. Fault {plan.fault.name!r}:"
            f" {begin:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}."
        )


def _plan(options: dict[str, Any]) -> Plan:
    changes = {"start": options["start"]} if options["start"] else {}
    if options["seed"] is not None:
        changes["seed"] = options["seed"]
    if options["plan"] == "essay":
        return Plan.essay(**changes)
    changes |= {name: options[name] for name in ("events", "weeks")}
    try:
        return Plan.scenario(options["fault"], **changes)
    except ValueError as error:
        raise CommandError(str(error)) from error


@contextmanager
def _sink(path: str, stdout: Any) -> Iterator[Sink]:
    """Open a file to write, packed when its name ends in .gz; `-` is standard output.

    Raises CommandError when it cannot be written, at any time.
    """
    try:
        if path == "-":
            buffer = getattr(stdout, "buffer", None)
            yield _Whole(getattr(buffer, "raw", buffer)) if buffer else _Texts(stdout)
            return
        with Path(path).open("wb", buffering=0) as raw:
            if path.endswith(".gz"):
                # No time of writing in the file: the same options write the same bytes.
                with gzip.GzipFile("", "wb", 6, _Whole(raw), mtime=0) as packed:
                    yield packed
            else:
                yield _Whole(raw)
    except BrokenPipeError:
        raise CommandError("The reader of the output went away.") from None
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error


class _Whole(io.RawIOBase):
    """Writes all or raises: an unbuffered stream may take only a part when its reader goes away."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            rest = rest[self._raw.write(rest) or 0 :]
        self._written += size
        return size


class _Texts:
    """Bytes into a stream of text, such as the one that call_command gives."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(data.decode(), ending="")
        return len(data)


def _write_rows(sink: Sink, row: str, table: pa.Table) -> None:
    for batch in table.to_batches(max_chunksize=10_000):
        lines = b"".join(orjson.dumps({"row": row, **one}) + b"\n" for one in batch.to_pylist())
        sink.write(lines)


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text} is not a number from 1 on")
    return number


def _weeks(text: str) -> int:
    number = _count(text)
    if number > MOST_WEEKS:
        raise ArgumentTypeError(f"{text} weeks are too many; {MOST_WEEKS} is the most")
    return number


def _seed(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) >= 2**63:
        raise ArgumentTypeError(f"{text} is not a whole number from 0 to 2⁶³ − 1")
    return int(text)


def _day(text: str) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not a day such as 2026-01-05") from None
    if not 1971 <= day.year <= 2200:
        raise ArgumentTypeError(f"{text} is not a day between 1971 and 2200")
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
