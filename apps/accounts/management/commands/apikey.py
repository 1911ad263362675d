"""Issue, list and revoke the keys of machines."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts import actions
from apps.accounts.models import ApiKey, Scope

LONGEST = 200  # characters of a name


class Command(BaseCommand):
    """`manage.py apikey issue NAME`, `list`, `revoke PREFIX`."""

    help = "Issue, list and revoke API keys. A key is shown once, when it is issued."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        issue = verbs.add_parser("issue", help="make a key and print it")
        issue.add_argument("name", help="what uses it, for example “edge nginx”")
        issue.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="what it may do (default: ingest)",
        )
        verbs.add_parser("list", help="list all keys")
        revoke = verbs.add_parser("revoke", help="end a key")
        revoke.add_argument("prefix", help="the first 8 characters, as `list` shows them")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do what the verb says."""
        {"issue": self._issue, "list": self._list, "revoke": self._revoke}[options["verb"]](options)

    def _issue(self, options: dict[str, Any]) -> None:
        name = options["name"].strip()
        if not 0 < len(name) <= LONGEST or not name.isprintable():
            raise CommandError(f"A key's name has 1 to {LONGEST} characters, in one line.")
        _, token = actions.issue_key(
            name=name, scopes=options["scope"] or [Scope.INGEST], by=None, now=timezone.now()
        )
        self.stdout.write(token)

    def _list(self, _: dict[str, Any]) -> None:
        for key in ApiKey.objects.order_by("created_at", "pk"):
            state = "revoked" if key.revoked_at else "live"
            used = f"{key.used_at:%Y-%m-%d %H:%M} UTC" if key.used_at else "never used"
            self.stdout.write(
                f"{key.prefix}  {state:8} {','.join(key.scopes):14} {used:20}  {key.name}"
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        found = list(ApiKey.objects.filter(prefix=options["prefix"], revoked_at=None))
        for key in found:
            actions.revoke_key(key=key, by=None, now=timezone.now())
        if not found:
            raise CommandError(
                f"No live key begins with {options['prefix']!r}; `apikey list` shows them."
            )
        self.stdout.write(f"Revoked {options['prefix']}…")
