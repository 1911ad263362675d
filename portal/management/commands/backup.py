"""`manage.py backup DIR`: a copy of all that cannot be made again."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from portal.backup import BackupError, back_up


class Command(BaseCommand):
    """Back up while everything runs."""

    help = (
        "Write the database, the events and the keys, all of one moment, into a new folder, while everything runs."
        " On the same disk files of events are linked and take no room; for another disk copy the folder."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where to."""
        parser.add_argument("folder", type=Path, metavar="DIR", help="a new or empty folder")

    def handle(self, *, folder: Path, **_: Any) -> None:
        """Write it, and say what is in it."""
        try:
            done = back_up(folder.absolute(), now=timezone.now())
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        how = f", {done.linked:,} of them linked" if done.linked else ""
        self.stdout.write(
            f"{folder}: the database, and {done.rows:,} events in {done.files:,} files{how}."
            " It holds secrets: keep it where only you read it."
        )
