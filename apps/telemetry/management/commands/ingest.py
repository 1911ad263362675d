"""`manage.py ingest`: take in files of requests."""

import json
import shutil
import sys
import time
from argparse import SUPPRESS, RawDescriptionHelpFormatter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from apps.telemetry import files, rules
from apps.telemetry.catalogue import UnknownCustomer
from apps.telemetry.formats.detect import FORMATS, UnknownFormat
from apps.telemetry.sources import UnreadableInput

TakeIn = Callable[..., files.Report]
BAR = 24  # characters
EVERY = 0.1  # seconds between two pictures of the bar

EPILOG = """
Exit codes
  0  every input was taken in; lines that do not parse are counted and shown, and do not change this
  1  an input could not be read, held no request, was cut off or damaged; what was whole is stored
  2  wrong arguments

The same file again adds nothing; of a file that has grown the new lines are added.
What may stand in a rules file is described at the top of apps/telemetry/rules.py.
"""


class Command(BaseCommand):
    """Take in access logs and events from files."""

    help = "Take in requests from access logs (nginx, Apache), NDJSON and CSV; gzip too, - for standard input."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="a file, or - for standard input"
        )
        parser.add_argument(
            "--format", choices=FORMATS, default="auto", help="found out by itself if left out"
        )
        parser.add_argument(
            "--rules",
            metavar="FILE",
            help="a TOML file that says what the requests are (PORTAL_RULES)",
        )
        parser.add_argument(
            "--service", default="", metavar="SLUG", help='the service that a log is of ("web")'
        )
        # For drills: more chunks are more moments to be killed at.
        parser.add_argument("--chunk-bytes", type=int, default=files.CHUNK, help=SUPPRESS)
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object for each input"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Take in each path; raise CommandError (exit 1) when one was not taken in whole."""
        try:
            found = rules.load(Path(options["rules"])) if options["rules"] else rules.in_force()
        except rules.BadRules as bad:
            raise CommandError(f"The rules file cannot be used. {bad}") from bad
        service = options["service"]
        if service and not rules.SLUG.fullmatch(service):
            raise CommandError(
                f'"{service}" is no service: a slug has lower-case letters, digits and hyphens, such as shop-api.'
            )
        take_in = partial(
            files.ingest,
            wanted=options["format"],
            rules=found,
            service=service,
            chunk_bytes=max(options["chunk_bytes"], 1024),
        )
        failed = [
            path
            for path in options["paths"]
            if not self._one(path, take_in, as_json=options["json"])
        ]
        if failed:
            many = len(options["paths"]) > 1
            raise CommandError(
                f"Not taken in whole: {', '.join(failed)}" if many else "Not taken in whole."
            )

    def _one(self, path: str, take_in: TakeIn, *, as_json: bool) -> bool:
        bar = Bar() if sys.stderr.isatty() and not as_json else None
        started = time.monotonic()
        try:
            report = take_in(path, now=timezone.now(), progress=bar)
        except (UnknownFormat, UnreadableInput) as bad:
            return self._refuse(path, bad.message, bad.hint, as_json=as_json)
        except UnknownCustomer as bad:
            return self._refuse(
                path, f"There is no customer {bad} (the rules file names it)", as_json=as_json
            )
        except DatabaseError as bad:
            return self._refuse(
                path, f"The database refused: {str(bad).strip()}", AGAIN, as_json=as_json
            )
        except OSError as bad:
            return self._refuse(
                path, f"The event store cannot be written: {bad}", AGAIN, as_json=as_json
            )
        finally:
            if bar:
                bar.clear()
        if as_json:
            self.stdout.write(json.dumps(report.as_json()))
        else:
            for line in summary(report, time.monotonic() - started):
                self.stdout.write(line)
        if not report.whole:
            for line in trouble(report):
                self.stderr.write(line)
        return report.whole

    def _refuse(self, path: str, message: str, hint: str = "", *, as_json: bool) -> bool:
        if as_json:
            self.stdout.write(
                json.dumps({"source": path, "error": message, "hint": hint, "whole": False})
            )
        self.stderr.write(f"{path}: {message}." if path not in message else f"{message}.")
        if hint:
            self.stderr.write(f"  {hint}")
        return False


#: Below this share of named requests the console's figures say little about customers.
ENOUGH_NAMED = 0.95
UNNAMED = (
    "What has no name: Settings, Identification. A rule made there names what comes in after it, not what is stored: "
    "make it before the long logs."
)
AGAIN = "What was stored stays; run the same command again to go on where it stopped."


def summary(report: files.Report, seconds: float) -> list[str]:
    """Say what became of an input, in a few lines."""
    tally = report.tally
    lines = [
        f"{report.source}: {report.description}",
        (
            f"  {report.lines:,} lines: {report.stored:,} stored, {report.already:,} already there, "
            f"{report.rejects.total:,} rejected ({report.lines / max(seconds, 0.001):,.0f} lines/s)"
        ),
    ]
    if tally.first_ms is not None and tally.last_ms is not None:
        lines.append(
            f"  from {_time(tally.first_ms)} to {_time(tally.last_ms)}, in {report.segments:,} segments"
        )
        share = report.named_share
        named = (
            f"{share:.0%} of the requests are of a customer we can name"
            if share is not None
            else ""
        )
        lines.append(
            f"  {report.service_words}, {len(tally.operations):,} operations; {tally.failed:,} failed requests; "
            f"{tally.bots:,} of bots, {tally.probes:,} of probes{f'; {named}' if named else ''}"
        )
        if share is not None and share < ENOUGH_NAMED:
            lines.append(f"  {UNNAMED}")
    for reason, count in report.rejects.counts.most_common():
        lines.append(f"  {count:,} rejected: {reason}")
    lines += [f"    line {s.line}: {s.reason}: {s.excerpt}" for s in report.rejects.samples]
    return lines


def trouble(report: files.Report) -> list[str]:
    """Say why an input was not taken in whole."""
    lines = []
    if report.damage:
        lines.append(f"{report.source}: {report.damage}; the whole lines before that are stored.")
    if report.cut_off:
        cut = f'the last line is cut off ("{report.cut_off}"); the lines before it are stored'
        lines.append(f"{report.source}: {cut}. Run the command again when the file is complete.")
    if not report.stored and not report.already:
        most = report.rejects.counts.most_common(1)
        why = f": {most[0][0]}" if most else ""
        lines.append(f"{report.source}: nothing in it could be read as a request{why}.")
    return lines


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = 0.0

    def __call__(self, report: files.Report) -> None:
        now = time.monotonic()
        if now - self._shown < EVERY:
            return
        self._shown = now
        rate = report.lines / max(now - self._started, 0.001)
        text = f"{report.lines:,} lines, {rate:,.0f} lines/s, {report.done / 1e6:,.0f} MB"
        if report.size:
            share = min(report.done / report.size, 1.0)
            full = "█" * round(share * BAR)
            text = f"{full:░<{BAR}} {share:4.0%}  {text} of {report.size / 1e6:,.0f} MB"
        width = shutil.get_terminal_size().columns - 1
        _show(f"\r{text[:width]:<{width}}")

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shown:
            _show("\r\x1b[2K")


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
