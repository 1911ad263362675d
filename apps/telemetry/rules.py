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

Every key is optional; an unknown one is refused.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.telemetry.formats.fields import FIELDS
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
class Rules:
    """What a rules file says; without a file, nothing."""

    service: str = ""
    service_name: str = ""
    customer: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    operations: tuple[OperationRule, ...] = ()


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
        self._known(data, {"customer", "service", "fields", "operations"}, "")
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
        return Rules(
            service=slug,
            service_name=self._text(service, "name", "[service]"),
            customer=self._text(data, "customer", ""),
            fields=self._fields(self._table(data, "fields")),
            operations=rules,
        )

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
