"""The rules file of `manage.py ingest --rules FILE.toml`: what the requests in a log are.

    customer = "acme"              # whose the requests are that no identification rule names
                                   # (a customer's slug or external id)
    [service]                      # what the log is of; created when we do not know it
    slug = "shop"
    name = "Shop"

    [fields]                       # what the log calls things, before our own names for them
    session = "visitor"            # also: user, customer, key, api_key, service, operation, time,
    user = ["uid", "login"]        # status, latency_ms, request_id, host, ... (formats/fields.py)
    region = "x_region"            # and what attempts are broken down by (PORTAL_TRAITS)

    [[operations]]                 # the first that matches a request names it
    name = "Place order"
    method = "POST"                # left out: any
    path = ["/checkout", "/v2/orders"]   # {anything} matches one segment, * matches any rest
    failed = [402]                 # statuses that are failures here although others call them fine
    ok = [404]                     # and the other way round

    [[outcomes]]                   # what a status alone does not tell; the first that fits decides,
    outcome = "failed"             # before what operations say; or "ok", or "client_abort"
    service = "shop"               # left out: any, and so with what follows
    operation = "POST /orders"     # as the catalogue names it
    status = [200, 402]
    field = "x_error_code"         # a field, header or attribute, as the log or the span calls it
    is = ["declined", 51]          # left out: whatever is given there
    is_not = ["none"]              # ... except these

    [format]                       # a log that is in none of the formats that we find
    pattern = '$remote_addr [$time_local] "$request" $status'    # nginx's log_format, or
    regex = '(?P<time>\\S+) (?P<status>\\d+) (?P<path>\\S+)'       # named as in [fields]; RE2, so it is never slow
    time = "%d.%m.%Y %H:%M:%S %z"  # left out: found; without %z it is UTC

Who left (499, a load balancer's 460, Envoy's 0 with DC) did not fail, whatever is declared here. Every key is
optional; an unknown one is refused. What the file that PORTAL_RULES names says of fields, operations and outcomes
holds for what comes over HTTP as well.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.analytics.events import Outcome
from apps.telemetry.formats.build import FLAGS, NUMERIC, OUTCOMES
from apps.telemetry.formats.declared import BadPattern, LogFormat, checked, from_log_format
from apps.telemetry.formats.fields import FIELDS, WATCH, FieldNames, plain
from apps.telemetry.meaning.paths import METHODS

SLUG = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


class BadRules(Exception):
    """The rules file cannot be used; the message says where and why."""


@dataclass(frozen=True)
class OperationRule:
    """An operation and how its requests look."""

    name: str
    method: str  # "" = any
    paths: tuple[str, ...]
    failed: frozenset[int] = frozenset()
    ok: frozenset[int] = frozenset()

    def matcher(self) -> re.Pattern[str]:
        """Return what its paths match."""
        return re.compile("|".join(f"(?:{_pattern(path)})" for path in self.paths))


@dataclass(frozen=True)
class OutcomeRule:
    """What requests of some kind came to. `column` is the column of `Columns.text` that holds the field."""

    outcome: Outcome
    service: str = ""
    operation: str = ""
    statuses: frozenset[int] = frozenset()
    column: str = ""
    values: frozenset[str] = frozenset()  # empty = any
    others: frozenset[str] = frozenset()

    def says(self, value: str) -> bool:
        """Whether the field's value is one of those that the rule is about."""
        return value not in self.others and (not self.values or value in self.values)


@dataclass(frozen=True)
class Rules:
    """What a rules file says; without a file, nothing."""

    service: str = ""
    service_name: str = ""
    customer: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operations: tuple[OperationRule, ...] = ()
    outcomes: tuple[OutcomeRule, ...] = ()
    format: LogFormat | None = None

    def names(self) -> FieldNames:
        """Return what senders call our fields, by these rules."""
        columns = [rule.column for rule in self.outcomes if rule.column.startswith(WATCH)]
        return FieldNames(
            self.fields,
            traits=settings.PORTAL_TRAITS,
            watched=[column.removeprefix(WATCH) for column in columns],
        )


def load(path: Path) -> Rules:
    """Read a rules file. Raise BadRules."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise BadRules(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadRules(f"{path}: not text in UTF-8") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRules(f"{path}: {error}") from error
    return _Reader(path, text).rules(data)


def in_force() -> Rules:
    """Return the rules of the file that PORTAL_RULES names; without it, none. Raise BadRules."""
    if not settings.PORTAL_RULES:
        return Rules()
    path = Path(settings.PORTAL_RULES)
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise BadRules(f"{path}: {error.strerror or error}") from error
    return _loaded(path, changed)


@lru_cache(maxsize=2)
def _loaded(path: Path, _: int) -> Rules:
    return load(path)


def over_http() -> Rules:
    """Return those of the rules in force that are not about one log. Raise BadRules."""
    return replace(in_force(), service="", service_name="", customer="", format=None)


def _pattern(path: str) -> str:
    parts = re.split(r"(\{[^{}/]*\}|\*)", path)
    made = ["[^/]+" if p.startswith("{") else ".*" if p == "*" else re.escape(p) for p in parts]
    return "".join(made)


class _Reader:
    """Checks every key of a rules file and knows on which line it stands."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def rules(self, data: dict[str, Any]) -> Rules:
        known = {"customer", "service", "fields", "operations", "outcomes", "format"}
        self._known(data, known, "")
        service = self._table(data, "service")
        self._known(service, {"slug", "name"}, "[service]")
        slug = self._text(service, "slug", "[service]")
        if slug and not SLUG.fullmatch(slug):
            raise self._bad("slug", f'"{slug}" is no slug: lower-case letters, digits and hyphens')
        operations = data.get("operations", [])
        if not isinstance(operations, list):
            raise self._bad("operations", "write each operation under [[operations]]")
        rules = tuple(self._operation(entry, at) for at, entry in enumerate(operations, 1))
        names = [rule.name for rule in rules]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise self._bad(
                twice, f'two operations are named "{twice}"; one may have several paths'
            )
        outcomes = data.get("outcomes", [])
        if not isinstance(outcomes, list):
            raise self._bad("outcomes", "write each outcome under [[outcomes]]")
        found = Rules(
            service=slug,
            service_name=self._text(service, "name", "[service]"),
            customer=self._text(data, "customer", ""),
            fields=self._fields(self._table(data, "fields")),
            operations=rules,
        )
        known_names = found.names()
        found = replace(
            found,
            outcomes=tuple(
                self._outcome(one, at, known_names) for at, one in enumerate(outcomes, 1)
            ),
        )
        return replace(found, format=self._format(self._table(data, "format"), found.names()))

    def _outcome(self, entry: object, at: int, names: FieldNames) -> OutcomeRule:
        where = f"[[outcomes]] number {at}"
        if not isinstance(entry, dict):
            raise self._bad("outcomes", f"{where}: not a table")
        keys = {"outcome", "service", "operation", "status", "field", "is", "is_not"}
        self._known(entry, keys, where)
        word = self._text(entry, "outcome", where)
        if word not in OUTCOMES:
            raise self._bad("[[outcomes]]", f"{where}: outcome is failed, ok or client_abort")
        name = self._text(entry, "field", where)
        if not name and ("is" in entry or "is_not" in entry):
            raise self._bad("[[outcomes]]", f"{where}: is and is_not need a field")
        found = OutcomeRule(
            outcome=Outcome(OUTCOMES[word]),
            service=self._text(entry, "service", where),
            operation=self._text(entry, "operation", where),
            statuses=self._statuses(entry, "status", where),
            column=self._column(name, names, where) if name else "",
            values=self._values(entry, "is", where),
            others=self._values(entry, "is_not", where),
        )
        if not (found.service or found.operation or found.statuses or found.column):
            raise self._bad("[[outcomes]]", f"{where}: it would fit every request")
        return found

    def _column(self, name: str, names: FieldNames, where: str) -> str:
        """Return the column that holds a field: that of our field of this name, or one of its own."""
        column = (names.find(name) or (f"{WATCH}{plain(name)}", 0))[0]
        if column == "status" and plain(name) != "code":
            raise self._bad(name, f"{where}: write status = [...] for the status of HTTP")
        if column == "time" or column.startswith("latency"):
            raise self._bad(name, f"{where}: {name} is a time")
        apart = column in NUMERIC or column in FLAGS or column == "cookie"
        return f"{WATCH}{plain(name)}" if apart else column

    def _values(self, entry: dict[str, Any], key: str, where: str) -> frozenset[str]:
        given = entry.get(key, [])
        given = given if isinstance(given, list) else [given]
        if not all(isinstance(one, str | int | float) for one in given):
            raise self._bad(key, f"{where}: {key} is a list of texts and numbers")
        return frozenset(str(one).lower() if isinstance(one, bool) else str(one) for one in given)

    def _format(self, table: dict[str, Any], names: FieldNames) -> LogFormat | None:
        self._known(table, {"pattern", "regex", "time"}, "[format]")
        if not table:
            return None
        pattern, regex = (self._text(table, key, "[format]") for key in ("pattern", "regex"))
        if bool(pattern) == bool(regex):
            raise self._bad("[format]", "[format]: it has either a pattern or a regex")
        when = self._text(table, "time", "[format]")
        try:
            if pattern:
                return from_log_format(pattern, time_format=when, names=names)
            return checked(regex, time_format=when, names=names)
        except BadPattern as bad:
            key = "pattern" if pattern else "regex"
            raise self._bad(key, f"[format] {key}: {bad}") from bad

    def _fields(self, table: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        self._known(table, {*FIELDS, *settings.PORTAL_TRAITS}, "[fields]")
        found: dict[str, tuple[str, ...]] = {}
        for name, value in table.items():
            names = [value] if isinstance(value, str) else value
            if not isinstance(names, list) or not all(
                isinstance(n, str) and n.strip() for n in names
            ):
                raise self._bad(name, f"[fields] {name}: a name or a list of names is needed")
            found[name] = tuple(names)
        return found

    def _operation(self, entry: object, at: int) -> OperationRule:
        where = f"[[operations]] number {at}"
        if not isinstance(entry, dict):
            raise self._bad("operations", f"{where}: not a table")
        self._known(entry, {"name", "method", "path", "failed", "ok"}, where)
        name = self._text(entry, "name", where)
        if not name:
            raise self._bad("[[operations]]", f"{where}: it has no name")
        method = self._text(entry, "method", where).upper()
        if method and method not in METHODS:
            raise self._bad(method, f'{where} ("{name}"): there is no method {method}')
        paths = entry.get("path", [])
        paths = [paths] if isinstance(paths, str) else paths
        if not isinstance(paths, list) or not paths:
            raise self._bad(name, f'{where} ("{name}"): it has no path')
        for path in paths:
            self._check_path(path, f'{where} ("{name}")')
        return OperationRule(
            name=name[:300],
            method=method,
            paths=tuple(paths),
            failed=self._statuses(entry, "failed", where),
            ok=self._statuses(entry, "ok", where),
        )

    def _check_path(self, path: object, where: str) -> None:
        if not isinstance(path, str) or not path.startswith(("/", "*")):
            raise self._bad(str(path), f"{where}: the path {path!r} does not begin with /")
        rest = re.sub(r"\{[^{}/]*\}", "", path)
        if "{" in rest or "}" in rest:
            raise self._bad(path, f"{where}: the path {path!r} has a brace without its partner")

    def _statuses(self, entry: dict[str, Any], key: str, where: str) -> frozenset[int]:
        values = entry.get(key, [])
        if not isinstance(values, list) or not all(
            isinstance(v, int) and not isinstance(v, bool) and 100 <= v <= 599 for v in values
        ):
            raise self._bad(key, f"{where}: {key} is a list of statuses, such as [402]")
        return frozenset(values)

    def _table(self, data: dict[str, Any], key: str) -> dict[str, Any]:
        value = data.get(key, {})
        if not isinstance(value, dict):
            raise self._bad(key, f"{key} is a table: write [{key}]")
        return value

    def _text(self, data: dict[str, Any], key: str, where: str) -> str:
        value = data.get(key, "")
        if not isinstance(value, str):
            raise self._bad(key, f"{where} {key}: a text is needed".strip())
        return value.strip()

    def _known(self, data: dict[str, Any], known: set[str], where: str) -> None:
        for key in data:
            if key not in known:
                raise self._bad(
                    key, f"{where} has no key {key}; it may have {', '.join(sorted(known))}".strip()
                )

    def _bad(self, near: str, message: str) -> BadRules:
        word = re.compile(rf"(?<![\w-]){re.escape(near)}(?![\w-])")
        line = next((n for n, text in enumerate(self._lines, 1) if word.search(text)), None)
        return BadRules(f"{self._path}{f', line {line}' if line else ''}: {message}")
