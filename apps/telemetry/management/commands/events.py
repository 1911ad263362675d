"""`manage.py events`: look after what is stored."""

import json
import os
import secrets
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.accounts.models import AuditEvent
from apps.customers.models import Customer
from apps.telemetry import actions, compaction, erasure, exporting, integrity, jobs, queries
from apps.telemetry.models import ErasureState

OPEN = (ErasureState.QUEUED, ErasureState.WORKING)


class Command(BaseCommand):
    """`manage.py events VERB`."""

    help = "Check, mend, merge, export and erase what is stored, and say how much it is."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("verify", help="is every file what the catalogue says? fails when not")
        verbs.add_parser(
            "repair", help="set broken files aside, take up what can be read, and say what is lost"
        )
        stats = verbs.add_parser("stats", help="events, bytes, files, days, the disk")
        stats.add_argument("--json", action="store_true", help="as JSON")
        compact = verbs.add_parser("compact", help="merge small files now; a worker does it anyway")
        compact.add_argument("--all", action="store_true", help="also hours that are not quiet yet")
        compact.add_argument(
            "--grace", type=int, metavar="SECONDS", help="then remove what was replaced so long ago"
        )
        export = verbs.add_parser("export", help="write events as NDJSON or Parquet")
        export.add_argument("--from", dest="start", type=_instant, required=True, metavar="T")
        export.add_argument("--to", dest="end", type=_instant, required=True, metavar="T")
        export.add_argument("--customer", metavar="C", help="only this customer's (short name)")
        export.add_argument("--format", choices=("ndjson", "parquet"), default="ndjson")
        export.add_argument("--out", default="-", metavar="PATH", help="- is standard output")
        erase = verbs.add_parser("erase", help="erase a customer's events, or one person's")
        erase.add_argument("--customer", metavar="C", help="short name; without one, of any")
        for name in actions.WHO:
            erase.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=f"by {name}")
        erase.add_argument(
            "--at-once",
            action="store_true",
            help="remove the old files now: a computation that reads them fails, and is run again",
        )
        verbs.add_parser(
            "rotate", help="begin a new key for pseudonyms; restart all processes after it"
        )

    def handle(self, *, verb: str, **options: Any) -> None:
        """Do what the verb says."""
        getattr(self, f"_{verb}")(**options)

    def _verify(self, **_: Any) -> None:
        right = wrong = waiting = 0
        for found in integrity.verify(now=timezone.now()):
            if found is None:
                right += 1
                continue
            wrong += not found.unnamed
            waiting += found.unnamed
            self.stdout.write(f"{found.path}: {found.what}.\n    {found.do}.")
        if wrong:
            raise CommandError(f"{wrong} of {right + wrong} are not what the catalogue says.")
        more = f"; {waiting} that nothing names" if waiting else ""
        self.stdout.write(f"{right} files are what the catalogue says{more}.")

    def _repair(self, **_: Any) -> None:
        done = integrity.repair(now=timezone.now())
        for one in done:
            where = f"set aside as {one.aside}" if one.aside else "was missing"
            self.stdout.write(
                f"{one.path}: {where}; {one.kept:,} events taken up, {one.lost:,} lost,"
                f" of {one.first:%Y-%m-%d %H:%M:%S} to {one.last:%H:%M:%S} UTC."
            )
        if not done:
            self.stdout.write("Nothing is broken.")

    def _stats(self, *, json: bool, **_: Any) -> None:
        found = queries.stats(waiting=compaction.due(now=timezone.now()))
        if json:
            self.stdout.write(_dumps(found))
            return
        for name, value in found.items():
            shown = f"{value:,}" if isinstance(value, int) else value
            self.stdout.write(f"{name.replace('_', ' '):<26} {'–' if value is None else shown}")

    def _compact(self, *, all: bool, grace: int | None, **_: Any) -> None:  # noqa: A002
        jobs.count_segments()
        while jobs.count_customers():
            pass
        quiet = timedelta() if all else compaction.QUIET
        merged = 0
        while compaction.compact_next(now=timezone.now(), quiet=quiet):
            merged += 1
        if grace is not None:
            jobs.drop_replaced(now=timezone.now(), grace=timedelta(seconds=grace))
        self.stdout.write(f"{merged} merges.")

    def _export(
        self,
        *,
        start: datetime,
        end: datetime,
        customer: str,
        format: str,  # noqa: A002
        out: str,
        **_: Any,
    ) -> None:
        if end <= start:
            raise CommandError("--to lies before --from.")
        if format == "parquet" and out == "-":
            raise CommandError("Parquet needs a file: give --out PATH.")
        of = self._customer(customer)
        wanted = exporting.Wanted(_ms(start), _ms(end), of.pk if of else None)
        try:
            if format == "parquet":
                rows = exporting.parquet(wanted, Path(out))
            else:
                rows = 0
                with _sink(out) as sink:
                    for lines in exporting.ndjson(wanted):
                        sink.write(lines)
                        rows += lines.count(b"\n")
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror or error}.") from error
        self.stderr.write(f"{rows:,} events.")

    def _erase(self, *, customer: str, at_once: bool, **options: Any) -> None:
        named = [(name, options[name]) for name in actions.WHO if options.get(name)]
        if len(named) > 1:
            raise CommandError("Name the person by one thing at a time.")
        attribute, value = named[0] if named else ("", "")
        try:
            asked = actions.erase_events(
                customer=self._customer(customer),
                attribute=attribute,
                value=value,
                user=None,
                now=timezone.now(),
            )
        except actions.UnableToErase as error:
            raise CommandError(str(error)) from error
        grace = timedelta() if at_once else jobs.GRACE
        # A worker may have taken it up already; then it is that one which is waited for.
        tried = False
        while asked.state in OPEN or (at_once and not tried and asked.state == ErasureState.GRACE):
            tried = asked.state == ErasureState.GRACE
            if not erasure.erase_next(clock=timezone.now, grace=grace):
                time.sleep(0.2)
            asked.refresh_from_db()
        over = (
            "; the files they were in are gone"
            if asked.state == ErasureState.DONE
            else (
                "; the files they were in go in an hour, when nobody reads them any more (a worker does it)"
            )
        )
        self.stdout.write(f"{asked.events:,} events are erased{over}.")
        self.stdout.write(
            "Backups from before still hold them: delete those, or erase again after a restore."
        )

    def _rotate(self, **_: Any) -> None:
        if os.environ.get("PORTAL_ACTOR_KEY") or os.environ.get("PORTAL_ACTOR_KEY_FILE"):
            raise CommandError(
                "The key comes from PORTAL_ACTOR_KEY: put a new one there, and the present one first into"
                " PORTAL_ACTOR_KEYS_OLD."
            )
        now = timezone.now()
        old = settings.PORTAL_HOME / "actor-keys-old"
        lines = old.read_text("ascii") if old.exists() else ""
        present = settings.PORTAL_ACTOR_KEY.decode()
        # The old key is kept before there is a new one: killed in between, both are the same.
        _write_private(old, f"{present} until {now:%Y-%m-%d}\n{lines}")
        _write_private(settings.PORTAL_HOME / "actor-key", secrets.token_urlsafe(48))
        AuditEvent.note(at=now, user=None, action="events.rotate", target="actor-key")
        self.stdout.write(
            "From the next start of each process on, people have new pseudonyms: whoever came before counts as new."
            f" The old key is kept in {old}, for erasures and for rules that name a key by its hash; take its line"
            f" out when events from before {now:%Y-%m-%d} are no longer kept."
        )

    def _customer(self, slug: str | None) -> Customer | None:
        if not slug:
            return None
        try:
            return Customer.objects.get(slug=slug)
        except Customer.DoesNotExist:
            raise CommandError(f"There is no customer {slug!r} (by its short name).") from None


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


@contextmanager
def _sink(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with Path(path).open("wb") as file:
        yield file


def _instant(text: str) -> datetime:
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or not 1970 < found.year < 2200:
        raise ArgumentTypeError(f"{text} is no time such as 2026-11-22T22:15:00Z")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _dumps(found: dict[str, Any]) -> str:
    return json.dumps(found)
