"""What the three commands share: choose, run, print rows as they come, exit by the verdict."""

import traceback
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.figures.registry import BadOptionError, Entry, Option, Registry
from apps.core.figures.rows import Row


class FiguresCommand(BaseCommand):
    """Run the named entries of a registry; a subclass says which, and in which words."""

    registry: ClassVar[Registry[Any]]
    verb: ClassVar[str]
    columns: ClassVar[tuple[tuple[str, int], ...]]  # heading and width; negative = flush right
    verdicts: ClassVar[tuple[str, str]]  # what stands for ok and not ok
    missed: ClassVar[str]  # "{n} of {of} …", said at the end when any row is not ok

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the common options, and those of every entry."""
        parser.add_argument("names", nargs="*", metavar="NAME", help="which; without NAME, a list")
        parser.add_argument("--all", action="store_true", help="run all there is")
        parser.add_argument(
            "--seed", type=int, default=1, help="seed of generated data (default 1)"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object per line")
        parser.add_argument("--quick", action="store_true", help="a short form, for the test suite")
        group = parser.add_argument_group("options of single entries")
        for flag, users in self._options().items():
            option = users[0][1]
            words = "; ".join(f"{name}: {one.help} ({one.default})" for name, one in users)
            # Unset stays unset, so that an entry's own default and --quick can tell.
            if option.type is bool:
                group.add_argument(flag, action="store_true", default=None, help=words)
            else:
                group.add_argument(flag, default=None, help=words.replace("%", "%%"))

    def handle(self, *, names: list[str], **options: Any) -> None:
        """Print the list, or run and print; raise CommandError when a row is not ok."""
        entries = self.registry.entries()
        if not 0 <= options["seed"] < 2**63:
            raise CommandError("--seed is a whole number from 0 to 2⁶³ − 1.")
        if options["all"]:
            names = list(entries)
        if not names:
            self._print_list(entries.values(), as_json=options["json"])
            return
        chosen = [self._entry(entries, name) for name in dict.fromkeys(names)]
        self._refuse_foreign_options(chosen, options)
        rows = bad = 0
        for entry in chosen:
            for row in self._run(entry, options):
                rows += 1
                bad += row is None or row.ok is False
        if bad:
            raise CommandError(self.missed.format(n=bad, of=rows))

    def _run(self, entry: Entry[Row], options: dict[str, Any]) -> Iterator[Row | None]:
        """Print and yield the entry's rows; None stands for one that broke or said nothing."""
        printed = False
        try:
            for row in entry.run(options, seed=options["seed"], quick=options["quick"]):
                if options["json"]:
                    line = orjson.dumps({self.verb: entry.name, **row.as_json()}).decode()
                    self.stdout.write(line)
                else:
                    if not printed:
                        self._print_head(entry)
                    self._print_row(row)
                self.stdout.flush()
                printed = True
                yield row
        except BadOptionError as error:
            raise CommandError(str(error)) from error
        except Exception:  # noqa: BLE001  (one broken entry must not hide the others' figures)
            self.stderr.write(f"{self.verb} {entry.name} broke:\n{traceback.format_exc()}")
            yield None
            return
        if not printed:
            self.stderr.write(f"{self.verb} {entry.name} said nothing.")
            yield None

    def _options(self) -> dict[str, list[tuple[str, Option]]]:
        found: dict[str, list[tuple[str, Option]]] = {}
        for entry in self.registry.entries().values():
            for option in entry.options:
                found.setdefault(option.flag, []).append((entry.name, option))
        return found

    def _entry(self, entries: dict[str, Entry[Row]], name: str) -> Entry[Row]:
        try:
            return entries[name]
        except KeyError:
            there = ", ".join(entries) or "nothing yet"
            raise CommandError(f"There is no {self.verb} {name!r}. There is: {there}.") from None

    def _refuse_foreign_options(self, chosen: list[Entry[Row]], options: dict[str, Any]) -> None:
        own = {option.name for entry in chosen for option in entry.options}
        for flag, users in self._options().items():
            name = users[0][1].name
            if options.get(name) is not None and name not in own:
                of = ", ".join(entry for entry, _ in users)
                raise CommandError(f"{flag} belongs to {of}, which was not asked for.")

    def _print_list(self, entries: Iterable[Entry[Row]], *, as_json: bool) -> None:
        entries = list(entries)
        if as_json:
            for entry in entries:
                self.stdout.write(
                    orjson.dumps({self.verb: entry.name, "help": entry.help}).decode()
                )
            return
        if not entries:
            self.stdout.write(f"There is nothing to {self.verb} yet.")
        width = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            flags = " ".join(option.flag for option in entry.options)
            self.stdout.write(f"{entry.name:<{width}}  {entry.help}{flags and f'  [{flags}]'}")

    def _print_head(self, entry: Entry[Row]) -> None:
        self.stdout.write(f"\n{entry.name}: {entry.help}")
        self._print_cells([heading for heading, _ in self.columns], "")

    def _print_row(self, row: Row) -> None:
        verdict = "" if row.ok is None else self.verdicts[0 if row.ok else 1]
        self._print_cells(row.cells(), verdict)

    def _print_cells(self, cells: Iterable[str], verdict: str) -> None:
        *cells, note = cells
        texts = [
            f"{cell:>{-width}}" if width < 0 else f"{cell:<{width}}"
            for cell, (_, width) in zip(cells, self.columns, strict=False)
        ]
        self.stdout.write(
            "  ".join(("", *texts, f"{verdict:<{len(self.verdicts[1])}}", note)).rstrip()
        )
