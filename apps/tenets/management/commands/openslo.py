"""Tenets as files of OpenSLO: check, import, export."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.accounts.models import User
from apps.customers.models import Kind
from apps.tenets import queries
from apps.tenets.models import Tenet
from apps.tenets.openslo.checking import check
from apps.tenets.openslo.drafting import UnableToImport, make_drafts
from apps.tenets.openslo.findings import Report
from apps.tenets.openslo.reading import MOST_BYTES, Problem
from apps.tenets.openslo.writing import export


class Command(BaseCommand):
    """`manage.py openslo check|import|export`: problems as `file:line: message`."""

    help = (
        "Check files of OpenSLO v1, import them as drafts, export a tenet's version."
        " Exits 0 when all is well, 1 when a file is refused, 2 when asked wrongly."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        checked = verbs.add_parser("check", help="say what is wrong with files")
        checked.add_argument("files", nargs="+", metavar="FILE")
        imported = verbs.add_parser("import", help="make drafts of files, each whole or not at all")
        imported.add_argument("files", nargs="+", metavar="FILE")
        imported.add_argument("--as", dest="user", required=True, help="the author's address")
        imported.add_argument("--kind", choices=Kind.values, default="", help="promised to")
        imported.add_argument("--add-services", action="store_true", help="that the catalog lacks")
        exported = verbs.add_parser("export", help="write a tenet's version")
        exported.add_argument("tenet", help="its short name")
        exported.add_argument("--number", type=int, help="of the version (default: the newest)")

    def handle(self, *_: Any, **options: Any) -> None:
        """Do what the verb says."""
        {"check": self._check, "import": self._import, "export": self._export}[options["verb"]](
            options
        )

    def _check(self, options: dict[str, Any]) -> None:
        refused = [file for file in options["files"] if self._read(file).refused]
        self._end(refused)

    def _import(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(email=options["user"].lower(), is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {options['user']}.", returncode=2)
        refused = []
        for file in options["files"]:
            report = self._read(file)
            try:
                made = make_drafts(
                    report=report,
                    user=user,
                    now=timezone.now(),
                    kind=options["kind"],
                    add_services=options["add_services"],
                )
            except UnableToImport as problem:
                refused.append(file)
                if not report.refused:
                    self._say(file, problem.problems)
                continue
            for one in made:
                what = "draft" if one.changed else "unchanged"
                self.stdout.write(f"{what}: {one.version.tenet.slug} v{one.version.number}")
        self._end(refused)

    def _export(self, options: dict[str, Any]) -> None:
        try:
            tenet = queries.tenet_named(slug=options["tenet"])
        except Tenet.DoesNotExist:
            raise CommandError(f"There is no tenet {options['tenet']}.", returncode=2) from None
        versions = queries.versions_of(tenet)
        if options["number"] is not None:
            versions = versions.filter(number=options["number"])
        version = versions.first()
        if version is None:
            raise CommandError(f"Tenet {tenet.slug} has no such version.", returncode=2)
        self.stdout.write(export(version), ending="")

    def _read(self, file: str) -> Report:
        try:
            with Path(file).open("rb") as opened:
                text = opened.read(MOST_BYTES + 1).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as problem:
            words = problem.strerror if isinstance(problem, OSError) else "no text in UTF-8"
            report = Report(problems=[Problem(1, f"It cannot be read: {words}.")])
        else:
            report = check(text)
        self._say(file, report.problems)
        return report

    def _say(self, file: str, problems: list[Problem]) -> None:
        for problem in problems:
            words = "" if problem.error else "note: "
            self.stderr.write(f"{file}:{problem.line}: {words}{problem.text}")

    def _end(self, refused: list[str]) -> None:
        if refused:
            raise CommandError(f"{len(refused)} refused.", returncode=1)
