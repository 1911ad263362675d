"""`manage.py restore DIR`: a backup in the place of this installation."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from portal.backup import BackupError, restore


class Command(BaseCommand):
    """Restore, with everything else stopped."""

    help = (
        "Put a backup in the place of this installation: database, events, keys. Everything else has to be stopped."
        " Nothing is touched before the whole backup was found to be what was written."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where from, and whether something may be lost."""
        parser.add_argument("folder", type=Path, metavar="DIR", help="what `backup` has written")
        parser.add_argument(
            "--replace", action="store_true", help="although there are people or events here"
        )

    def handle(self, *, folder: Path, replace: bool, **_: Any) -> None:
        """Restore it, and say what to do next."""
        try:
            done = restore(
                folder.absolute(), replace=replace, now=timezone.now(), say=self.stdout.write
            )
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored: the database, and {done.rows:,} events in {done.files:,} files."
            " `manage.py events verify` checks them; roll-ups and pages are made again by workers."
            " Whoever was erased after this backup was made is in it: erase them again."
        )
