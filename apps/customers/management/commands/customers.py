"""`manage.py customers import FILE` and `manage.py customers export`."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.customers import exporting, sheet
from apps.customers.applying import carry_out
from apps.customers.models import Customer
from apps.customers.planning import BAD, SAME, Plan, plan


class Command(BaseCommand):
    """Take customers in from a CSV file, or write them to one."""

    help = "Import customers, contacts, rules and journeys from CSV, or export them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what is to be done."""
        does = parser.add_subparsers(dest="does", required=True)
        importing = does.add_parser("import", help="take in a file; run again, it changes nothing")
        importing.add_argument("file", type=Path)
        importing.add_argument("--dry-run", action="store_true", help="only say what would change")
        importing.add_argument("--json", action="store_true", help="print every line as JSON")
        exporting_to = does.add_parser("export", help="write all customers")
        exporting_to.add_argument("file", type=Path, nargs="?", help="standard output without it")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do it."""
        if options["does"] == "export":
            _export(options["file"])
        else:
            self._import(options)

    def _import(self, options: dict[str, Any]) -> None:
        file: Path = options["file"]
        now = timezone.now()
        try:
            if file.stat().st_size > sheet.MOST_BYTES:
                raise CommandError(
                    f"The file has more than {sheet.MOST_BYTES >> 20} MiB. Split it into several."
                )
            with file.open("rb") as opened:
                if options["dry_run"]:
                    done = plan(sheet.read(opened), now=now)
                else:
                    done = carry_out(
                        lambda: sheet.read(opened), user=None, now=now, target=file.name
                    )
        except OSError as problem:
            raise CommandError(f"{file}: {problem.strerror or problem}") from problem
        except sheet.UnreadableSheet as problem:
            raise CommandError(f"{problem.message}. {problem.hint}") from problem
        self._tell(done, options)

    def _tell(self, done: Plan, options: dict[str, Any]) -> None:
        if options["json"]:
            told = {"dry_run": options["dry_run"], "counts": done.counts}
            self.stdout.write(json.dumps(told | {"lines": [one.as_json() for one in done.lines]}))
            return
        for line in done.lines:
            if line.outcome == BAD:
                where = f", {line.column}" if line.column else ""
                self.stdout.write(f"line {line.number}{where}: {line.reason}. {line.hint}")
            elif line.outcome != SAME and options["dry_run"]:
                fields = f" ({', '.join(line.fields)})" if line.fields else ""
                self.stdout.write(f"line {line.number}: {line.who} {line.outcome}{fields}")
        counts = ", ".join(f"{count} {outcome}" for outcome, count in done.counts.items())
        self.stdout.write(counts + (" (nothing applied)" if options["dry_run"] else ""))


def _export(file: Path | None) -> None:
    lines = sheet.write(exporting.rows(Customer.objects.all()))
    if file is None:
        sys.stdout.writelines(lines)
        return
    try:
        with file.open("w", encoding="utf-8", newline="") as opened:
            opened.writelines(lines)
    except OSError as problem:
        raise CommandError(f"{file}: {problem.strerror or problem}") from problem
