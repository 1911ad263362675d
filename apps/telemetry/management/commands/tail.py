"""`manage.py tail`: follow logs as they grow."""

import json
import signal
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.telemetry import files, rules
from apps.telemetry.catalogue import UnknownCustomer
from apps.telemetry.formats.detect import FORMATS

EPILOG = """
A log is followed through rotation by renaming, by copying and cutting (copytruncate), and packed with gzip. After a
restart, or a kill, it goes on where it was, also in the files that were rotated meanwhile. Quote a pattern to have
files followed that are made later:  manage.py tail '/var/log/nginx/*.log'

It ends with SIGTERM or Ctrl-C, after storing what it has read, and at the end of standard input (-).

Exit codes
  0  ended as asked; all that was read is stored
  1  what was read could not be stored
  2  wrong arguments
"""


class Command(BaseCommand):
    """Follow access logs and store their requests as they come."""

    help = "Follow growing logs, as a log shipper does; - for standard input."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help="a log, a quoted pattern, or - for a pipe"
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
            "--service", default="", metavar="SLUG", help='the service that the logs are of ("web")'
        )
        parser.add_argument(
            "--every",
            type=float,
            default=1.0,
            metavar="SECONDS",
            help="how long a line waits at most, 0.1 to 60 (1)",
        )
        parser.add_argument(
            "--json", action="store_true", help="at the end, print one JSON object for each log"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Follow until asked to end; raise CommandError (exit 1) when something could not be stored."""
        try:
            found = rules.load(Path(options["rules"])) if options["rules"] else rules.in_force()
        except rules.BadRules as bad:
            raise CommandError(f"The rules file cannot be used. {bad}") from bad
        service = options["service"] or found.service or "web"
        if not rules.SLUG.fullmatch(service):
            raise CommandError(
                f'"{service}" is no service: a slug has lower-case letters, digits and hyphens, such as shop-api.'
            )
        if not 0.1 <= options["every"] <= 60:
            raise CommandError("--every takes 0.1 to 60 seconds.")
        how = files.How(
            rules=found, service=service, wanted=options["format"], every=options["every"]
        )
        tail = files.Tail(options["paths"], how, say=self.stderr.write)
        before = {one: signal.signal(one, tail.stop) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            done = tail.run(timezone.now)
        except UnknownCustomer as bad:
            raise CommandError(f"There is no customer {bad} (the rules file names it).") from bad
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
        for report in tail.reports.values():
            self.stdout.write(
                json.dumps(report.as_json())
                if options["json"]
                else f"{report.source}: {report.lines:,} lines: {report.stored:,} stored, "
                f"{report.already:,} already there, {report.rejects.total:,} rejected"
            )
        if not done:
            raise CommandError("Not all that was read could be stored.")
