"""Check that the audit log is whole."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts import chain
from apps.accounts.models import How


class Command(BaseCommand):
    """`manage.py audit verify`."""

    help = "Check that no row of the audit log was changed or taken out; names the first that was."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verb."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("verify", help="compute every link anew; fails when one is broken")

    def handle(self, *_: Any, **__: Any) -> None:
        """Verify the log, and keep what was found."""
        found = chain.check(how=How.COMMAND, now=timezone.now())
        if not found.ok:
            raise CommandError(found.said)
        self.stdout.write(found.said)
        self.stdout.write(f"Link {found.position}: {found.digest}")
