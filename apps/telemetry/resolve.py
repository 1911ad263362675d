"""Columns to events: customer, actor, operation, outcome and traffic of each request, a block at a time.

Everything is looked up once for each distinct value, so a block costs a few array operations per column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apps.analytics.events import EVENT_SCHEMA, ActorKind, Outcome, Traffic
from apps.telemetry.formats.build import blanks_to_null
from apps.telemetry.formats.columns import MISSING, Columns, Ints, Smalls
from apps.telemetry.meaning import status as statuses
from apps.telemetry.meaning.agents import Agent, Place, agent_of
from apps.telemetry.meaning.clients import are_plain, forwarded_client, listed_client
from apps.telemetry.meaning.hashing import Hashes, KeyedHash, combined, splitmix
from apps.telemetry.meaning.paths import PLACE, Request, bare, has_number, request_of, shapes
from apps.telemetry.rules import OperationRule, Rules

NOBODY = 0
UNNAMED = "(not named)"
REMEMBERED = 200_000  # request lines whose meaning is kept
Codes = NDArray[np.int64]


class Registry(Protocol):
    """Where services and operations get their numbers."""

    def service(self, slug: str) -> int:
        """Return the number of the service that a sender names, which may be new to us."""
        ...

    def operations(self, service: int, wanted: Sequence["Wanted"]) -> list[int]:
        """Return the numbers of operations, which may be new to us."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """An operation as traffic shows it."""

    name: str
    method: str = ""
    pattern: str = ""
    declared: bool = False  # by a rules file or by the sender, not derived from a path


@dataclass(frozen=True)
class IdentityRule:
    """A request whose `attribute` matches `value` is the customer's."""

    attribute: str
    value: str
    customer: int


@dataclass(frozen=True)
class Identities:
    """How to know a customer. Rules are in order, the first match wins; then the names in a customer field."""

    rules: Sequence[IdentityRule] = ()
    names: Mapping[str, int] = field(default_factory=dict)  # external ids and slugs
    default: int = NOBODY


@dataclass
class Distinct:
    """A column as its distinct values and, for each row, the number of its value (-1 = none)."""

    encoded: pa.Array
    codes: Codes

    @classmethod
    def of(cls, column: pa.Array) -> "Distinct":
        """Encode a column; "" and "-" are no values."""
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        for blank in ("", "-"):
            if (at := pc.index(encoded.dictionary, blank).as_py()) >= 0:
                codes[codes == at] = -1
        return cls(encoded.dictionary, codes)

    @classmethod
    def none(cls, count: int) -> "Distinct":
        """Return a column in which nothing is given."""
        return cls(pa.array([], pa.string()), np.full(count, -1, dtype=np.int64))

    @cached_property
    def values(self) -> list[str]:
        found: list[str] = self.encoded.to_pylist()
        return found

    def numbers(self, each: Sequence[int] | Hashes, none: int = 0) -> Ints:
        """Return for each row the number that belongs to its value."""
        table = np.empty(len(self.encoded) + 1, dtype=np.int64)
        table[:-1] = each
        table[-1] = none
        return table[self.codes]


@dataclass
class Tally:
    """What was seen, for the summary."""

    rows: int = 0
    bots: int = 0
    probes: int = 0
    failed: int = 0
    customers: int = 0  # rows of customers' traffic
    named: int = 0  # of these, rows of a customer that we can name
    with_actor: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    operations: set[int] = field(default_factory=set)
    services: set[int] = field(default_factory=set)

    def add(self, other: "Tally") -> None:
        for name in ("rows", "bots", "probes", "failed", "customers", "named", "with_actor"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        firsts = [t for t in (self.first_ms, other.first_ms) if t is not None]
        lasts = [t for t in (self.last_ms, other.last_ms) if t is not None]
        self.first_ms = min(firsts, default=None)
        self.last_ms = max(lasts, default=None)
        self.operations |= other.operations
        self.services |= other.services


class Resolver:
    """Resolves columns of one sender; keeps what it looked up."""

    def __init__(
        self,
        *,
        key: bytes,
        registry: Registry,
        identities: Identities,
        rules: Rules,
        service: str,
    ) -> None:
        self._hash = KeyedHash(key)
        self._registry = registry
        self._identities = identities
        self._rules = rules
        self._service = service
        self._matchers = [(rule.method, rule.matcher()) for rule in rules.operations]
        # A rule that names a number must see the numbers.
        named = [path for rule in rules.operations for path in rule.paths]
        named += [rule.value for rule in identities.rules if rule.attribute == "path_prefix"]
        self.by_shape = not any(has_number(path) for path in named)
        self._requests: dict[str, tuple[Request, int]] = {}
        self._operations: dict[tuple[int, str, str], int] = {}
        self._services: dict[str, int] = {}

    def resolve(self, columns: Columns) -> tuple[pa.Table, Tally]:
        """Return the events of the columns, in their order, and what they are."""
        rows = _Rows(self, columns)
        means, outcome = statuses.meaning(columns)
        outcome = rows.by_rules(means, outcome)
        customer = rows.customers()
        actor, kind = rows.actors(customer)
        traffic = rows.traffic()
        addr, no_addr = rows.addr_hash()
        target, no_target = rows.targets()
        text = columns.text
        arrays = {
            "ts": pa.array(columns.ts),
            "latency_ms": pa.array(columns.latency_ms, mask=np.isnan(columns.latency_ms)).cast(
                pa.int32()
            ),
            "customer": customer,
            "actor": pa.array(actor, mask=kind == ActorKind.NONE),
            "actor_kind": kind,
            "addr": pa.array(addr, mask=no_addr),
            "service": rows.service,
            "operation": rows.operation,
            "target": pa.array(target, mask=no_target),
            "outcome": outcome,
            "status": pa.array(np.where(means == MISSING, 0, means), mask=means == MISSING),
            "key": self._quick("key", text.get("key"), len(columns)),
            "request": self._quick("request", text.get("request_id"), len(columns)),
            "host": rows.reporter(),
            "traffic": traffic,
            "arrived": pa.array(columns.arrived, mask=columns.arrived == MISSING),
        }
        table = pa.table(
            [pa.array(arrays[f.name]).cast(f.type) for f in EVENT_SCHEMA], schema=EVENT_SCHEMA
        )
        return table, _tally(columns, customer, kind, rows, outcome, traffic)

    def _quick(self, purpose: str, column: pa.Array | None, count: int) -> pa.Array:
        if column is None:
            return pa.nulls(count, pa.int64())
        column = blanks_to_null(column)
        return pa.array(
            self._hash.quick(purpose, column), mask=column.is_null().to_numpy(zero_copy_only=False)
        )

    # what a request line, a service and an operation are; each looked up once

    def service(self, name: str) -> int:
        if name not in self._services:
            if len(self._services) > 10_000:
                self._services.clear()
            self._services[name] = self._registry.service(name)
        return self._services[name]

    def request(self, line: str) -> tuple[Request, int]:
        """Return what a line asks for and the number of the rule that names it, -1 for none."""
        known = self._requests.get(line)
        if known is None:
            request = request_of(line)
            known = request, self._rule(request)
            if len(self._requests) >= REMEMBERED:
                self._requests.clear()
            self._requests[line] = known
        return known

    def _rule(self, request: Request) -> int:
        for number, (method, matcher) in enumerate(self._matchers):
            if method in {"", request.method} and matcher.fullmatch(request.path):
                return number
        return -1

    def operation_of(self, request: Request, rule: int) -> Wanted:
        if rule >= 0:
            return self.operation_of_rule(self._rules.operations[rule])
        return Wanted(request.name[:300], request.method, request.pattern[:500])

    @staticmethod
    def operation_of_rule(rule: OperationRule) -> Wanted:
        return Wanted(rule.name, rule.method, rule.paths[0][:500], declared=True)

    def operations(self, wanted: Mapping[tuple[int, str, str], Wanted]) -> None:
        """Give every operation of the mapping its number."""
        missing: dict[int, dict[tuple[int, str, str], Wanted]] = {}
        for key, operation in wanted.items():
            if key not in self._operations:
                missing.setdefault(key[0], {})[key] = operation
        for service, group in missing.items():
            numbers = self._registry.operations(service, list(group.values()))
            self._operations.update(zip(group, numbers, strict=True))

    def operation(self, key: tuple[int, str, str]) -> int:
        return self._operations[key]

    def start(self) -> None:
        """Forget operations when there are very many, before a block needs them."""
        if len(self._operations) > REMEMBERED:
            self._operations.clear()


class _Rows:
    """The rows of one block while they are resolved."""

    def __init__(self, resolver: Resolver, columns: Columns) -> None:
        resolver.start()
        self._r = resolver
        self._hash = resolver._hash  # noqa: SLF001  (one class in two parts)
        self._identities = resolver._identities  # noqa: SLF001
        self._n = len(columns)
        self._text = columns.text
        self._encoded: dict[str, Distinct] = {}
        self._lines, self._line_codes = self._request_lines()
        self._lines = bare(self._lines)
        self._shapes = self._shaped()
        self._asked = [resolver.request(shape) for shape in self._shapes.values]
        self.service = self._service_numbers()
        self.operation, self.rule = self._operation_numbers()

    def distinct(self, name: str) -> Distinct | None:
        """Return a text column as distinct values, or None when nobody gave it."""
        if name not in self._text:
            return None
        if name not in self._encoded:
            self._encoded[name] = Distinct.of(self._text[name])
        return self._encoded[name]

    def _request_lines(self) -> tuple[pa.Array, Codes]:
        """Return the distinct request lines, whichever way they were given, and each row's (-1 = none)."""
        if (whole := self._text.get("request")) is not None:
            encoded = whole.dictionary_encode()
            codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
            return encoded.dictionary, codes
        path = self.distinct("path")
        if path is None:
            return pa.array([], pa.string()), np.full(self._n, -1)
        method = self.distinct("method") or Distinct.none(self._n)
        width = len(path.values) + 1
        pair = np.where(path.codes < 0, -1, (method.codes + 1) * width + path.codes)
        used, codes = _renumbered(pair, (len(method.values) + 1) * width)
        methods = pa.array(["GET", *method.values], pa.string()).take(pa.array(used // width))
        paths = pa.array([*path.values, ""], pa.string()).take(pa.array(used % width))
        return pc.binary_join_element_wise(methods, paths, " "), codes

    def _shaped(self) -> Distinct:
        """Return the shapes of the request lines, and each row's."""
        lines = shapes(self._lines) if self._r.by_shape else self._lines
        encoded = lines.dictionary_encode()
        self._shape_of = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        codes = np.append(self._shape_of, -1)[self._line_codes]
        return Distinct(encoded.dictionary, codes)

    def _service_numbers(self) -> Ints:
        named = self.distinct("service")
        default = self._r._service  # noqa: SLF001
        if named is None:
            return np.full(self._n, self._r.service(default), dtype=np.int64)
        seen = np.zeros(len(named.values) + 1, dtype=bool)
        seen[named.codes] = True
        each = [self._r.service(v) if seen[i] else 0 for i, v in enumerate(named.values)]
        return named.numbers(each, self._r.service(default) if seen[-1] else 0)

    def _operation_numbers(self) -> tuple[Ints, Ints]:
        """Return each row's operation, and the number of the rule that named it (-1 = none)."""
        given = self.distinct("operation")
        asked = self._shapes
        rule = asked.numbers([r for _, r in self._asked], -1)
        by_name = given.codes if given is not None else np.full(self._n, -1)
        # What names the operation: a rule, else the sender, else the path.
        names = len(given.values) if given is not None else 0
        what = np.where(
            (rule < 0) & (by_name >= 0),
            by_name,
            np.where(asked.codes >= 0, names + asked.codes, -1),
        )
        services, service_code = np.unique(self.service, return_inverse=True)
        width = names + len(asked.values) + 1
        used, codes = _renumbered(service_code * width + what + 1, len(services) * width)
        wanted: dict[tuple[int, str, str], Wanted] = {}
        keys: list[tuple[int, str, str]] = []
        for number in used.tolist():
            at, place = divmod(number, width)
            operation = self._wanted(place - 1, given.values if given is not None else [])
            key = (int(services[at]), operation.name, operation.pattern)
            wanted[key] = operation
            keys.append(key)
        self._r.operations(wanted)
        numbers = np.array([self._r.operation(key) for key in keys] or [0], dtype=np.int64)
        return numbers[codes], rule

    def _wanted(self, place: int, names: list[str]) -> Wanted:
        if place < 0:
            return Wanted(UNNAMED, declared=True)
        if place < len(names):
            return Wanted(
                " ".join(names[place].split())[:300].replace("\0", "") or UNNAMED, declared=True
            )
        return self._r.operation_of(*self._asked[place - len(names)])

    def by_rules(self, means: Ints, outcome: Smalls) -> Smalls:
        """Apply what operations declare to be failed or fine."""
        for number, rule in enumerate(self._r._rules.operations):  # noqa: SLF001
            here = (self.rule == number) & (outcome != Outcome.CLIENT_ABORT)
            if rule.failed:
                outcome = np.where(
                    here & np.isin(means, list(rule.failed)), Outcome.FAILED, outcome
                )
            if rule.ok:
                outcome = np.where(here & np.isin(means, list(rule.ok)), Outcome.OK, outcome)
        return outcome.astype(np.int8)

    def customers(self) -> Ints:
        """Return each row's customer: by the first rule that matches, by name, or the default."""
        rules = self._identities.rules
        best = np.full(self._n, len(rules), dtype=np.int64)
        for attribute in {rule.attribute for rule in rules}:
            mine = [(at, r.value) for at, r in enumerate(rules) if r.attribute == attribute]
            best = np.minimum(best, self._matches(attribute, mine, len(rules)))
        by_rule = np.array([*(rule.customer for rule in rules), NOBODY], dtype=np.int64)[best]
        if (named := self.distinct("customer")) is not None:
            names = self._identities.names
            by_name = named.numbers([names.get(v, NOBODY) for v in named.values], NOBODY)
            by_rule = np.where(by_rule == NOBODY, by_name, by_rule)
            # a name that we do not know is somebody else, not the default customer
            return np.where(
                (by_rule == NOBODY) & (named.codes < 0), self._identities.default, by_rule
            )
        return np.where(by_rule == NOBODY, self._identities.default, by_rule)

    def _matches(self, attribute: str, rules: list[tuple[int, str]], none: int) -> Ints:
        if attribute == "path_prefix":
            prefixes = [
                next((at for at, value in rules if request.path.startswith(value)), none)
                for request, _ in self._asked
            ]
            return self._shapes.numbers(prefixes, none)
        if attribute == "network":
            clients = self._clients()
            networks = [(at, net) for at, value in rules if (net := _network(value)) is not None]
            return clients.numbers([_in_networks(v, networks, none) for v in clients.values], none)
        column = self.distinct(attribute)
        if column is None and attribute == "service":
            column = Distinct(pa.array([self._r._service]), np.zeros(self._n, dtype=np.int64))  # noqa: SLF001
        if column is None:
            return np.full(self._n, none, dtype=np.int64)
        exact = {value: at for at, value in reversed(rules)}
        if attribute != "host":
            return column.numbers([exact.get(v, none) for v in column.values], none)
        return column.numbers([_host_match(v, exact, none) for v in column.values], none)

    def _clients(self) -> Distinct:
        """Return the client's address of each row."""
        if "client" in self._encoded:
            return self._encoded["client"]
        listed = self.distinct("addr") or Distinct.none(self._n)
        forwarded = self.distinct("forwarded")
        if forwarded is None and are_plain(listed.encoded):
            self._by_addr = self._hash.many("address", listed.encoded)
            self._encoded["client"] = listed
            return listed
        values: list[str] = list(map(listed_client, listed.values))
        codes = listed.codes
        if forwarded is not None:
            first = [forwarded_client(value) for value in forwarded.values]
            valid = forwarded.numbers([value is not None for value in first], 0) > 0
            codes = np.where(valid, forwarded.codes + len(values), codes)
            values += [value or "" for value in first]
        clients = Distinct(pa.array(values, pa.string()), codes)
        self._by_addr = self._hash.many("address", clients.encoded)
        self._encoded["client"] = clients
        return clients

    def addr_hash(self) -> tuple[Hashes, NDArray[np.bool_]]:
        clients = self._clients()
        return clients.numbers(self._by_addr), clients.codes < 0

    def actors(self, customer: Ints) -> tuple[Hashes, Smalls]:
        """Return a keyed hash of who asked, which includes the customer, and what it is made of."""
        value = np.zeros(self._n, dtype=np.int64)
        kind = np.zeros(self._n, dtype=np.int8)
        clients = self._clients()
        if len(clients.encoded):
            by_addr = clients.numbers(self._by_addr)
            agents = self.distinct("agent") or Distinct.none(self._n)
            by_agent = agents.numbers(self._hash.many("agent", agents.encoded))
            there = clients.codes >= 0
            value = np.where(there, combined(by_addr, by_agent), value)
            kind[there] = ActorKind.ADDRESS
        for name, made_of in (("session", ActorKind.SESSION), ("user", ActorKind.END_USER)):
            if (given := self.distinct(name)) is not None:
                there = given.codes >= 0
                value = np.where(there, given.numbers(self._hash.many(name, given.encoded)), value)
                kind[there] = made_of
        owners, codes = np.unique(customer, return_inverse=True)
        secret = self._hash.many("customer", pa.array(map(str, owners.tolist()), pa.string()))
        mixed = splitmix(value.view(np.uint64) ^ secret.view(np.uint64)[codes])
        return mixed.view(np.int64), kind

    def targets(self) -> tuple[Hashes, NDArray[np.bool_]]:
        """Return a hash of the concrete ids in the path, and where there are none."""
        order = np.argsort(self._shape_of, kind="stable")
        starts = np.searchsorted(self._shape_of[order], np.arange(len(self._asked) + 1))
        ids: list[pa.Array] = []
        for number, (request, _) in enumerate(self._asked):
            mine = order[starts[number] : starts[number + 1]]
            ids.append(_ids(request, self._shapes.values[number], self._lines, mine))
        joined = pa.concat_arrays(ids) if ids else pa.array([], pa.string())
        hashes = np.zeros(len(order) + 1, dtype=np.int64)
        none = np.ones(len(order) + 1, dtype=bool)
        hashes[order] = self._hash.quick("target", joined)
        none[order] = pc.equal(joined, "").to_numpy(zero_copy_only=False)
        return hashes[self._line_codes], none[self._line_codes]

    def reporter(self) -> pa.Array:
        column = self.distinct("reporter") or self.distinct("host")
        if column is None:
            return pa.nulls(self._n, pa.int32())
        full = column.numbers(self._hash.many("host", column.encoded))
        return pa.array((full >> 32).astype(np.int32), mask=column.codes < 0)

    def traffic(self) -> Smalls:
        agents = self.distinct("agent")
        by_agent = np.full(self._n, int(Agent.ANYBODY), dtype=np.int64)
        if agents is not None:
            by_agent = agents.numbers([int(agent_of(v)) for v in agents.values], int(Agent.MACHINE))
        place = self._shapes.numbers([int(request.place) for request, _ in self._asked], 0)
        probe = (by_agent == Agent.PROBE) | (place == Place.ALIVE)
        probe |= (place == Place.MAYBE_ALIVE) & (by_agent == Agent.MACHINE)
        result = np.where(
            probe, Traffic.PROBE, np.where(by_agent == Agent.BOT, Traffic.BOT, Traffic.CUSTOMERS)
        )
        if (said := self.distinct("traffic")) is not None:
            words = {"bot": Traffic.BOT, "probe": Traffic.PROBE, "customers": Traffic.CUSTOMERS}
            told = said.numbers([words.get(v.lower(), -1) for v in said.values], -1)
            result = np.where(told >= 0, told, result)
        return result.astype(np.int8)


def _ids(request: Request, shape: str, lines: pa.Array, rows: Codes) -> pa.Array:
    """Return the concrete ids of the lines `rows`, which all have one shape."""
    places = shape.count(PLACE)
    if not places or "{id}" not in request.pattern:  # the ids, if any, stand in the shape itself
        return pa.array([request.ids] * len(rows), pa.string())
    mine = lines.take(pa.array(rows))
    if places == 1 and request.ids == PLACE:
        before, _, after = shape.partition(PLACE)
        return pc.utf8_slice_codeunits(mine, len(before), -len(after) or None)
    return pa.array([request_of(line).ids for line in mine.to_pylist()], pa.string())


def _renumbered(values: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the values in use, and for each row the place of its value among them (-1 stays -1)."""
    if size > 4 * len(values) + 1_000_000:  # too sparse for a table
        used, codes = np.unique(values, return_inverse=True)
        if len(used) and used[0] == -1:
            return used[1:], codes - 1
        return used, codes.astype(np.int64)
    seen = np.zeros(size + 1, dtype=bool)
    seen[values] = True
    seen[size] = False
    used = np.flatnonzero(seen)
    place = np.full(size + 1, -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return used, place[values]


def _network(value: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(value.strip(), strict=False)
    except ValueError:
        return None


def _in_networks(
    value: str, networks: list[tuple[int, IPv4Network | IPv6Network]], none: int
) -> int:
    try:
        address = ip_address(value)
    except ValueError:
        return none
    return next(
        (at for at, net in networks if address.version == net.version and address in net), none
    )


def _host_match(value: str, exact: Mapping[str, int], none: int) -> int:
    """Match a host name without its port, then `*.example.com` for its parents."""
    host = value.lower().rsplit(":", 1)[0] if value.count(":") == 1 else value.lower()
    found = [exact[host]] if host in exact else []
    while "." in host:
        host = host.partition(".")[2]
        if f"*.{host}" in exact:
            found.append(exact[f"*.{host}"])
    return min(found, default=none)


def _tally(
    columns: Columns,
    customer: Ints,
    kind: Smalls,
    rows: _Rows,
    outcome: Smalls,
    traffic: Smalls,
) -> Tally:
    theirs = traffic == Traffic.CUSTOMERS
    return Tally(
        rows=len(columns),
        bots=int(np.count_nonzero(traffic == Traffic.BOT)),
        probes=int(np.count_nonzero(traffic == Traffic.PROBE)),
        failed=int(np.count_nonzero((outcome == Outcome.FAILED) & theirs)),
        customers=int(np.count_nonzero(theirs)),
        named=int(np.count_nonzero(theirs & (customer != NOBODY))),
        with_actor=int(np.count_nonzero(theirs & (kind != ActorKind.NONE))),
        first_ms=int(columns.ts.min()) if len(columns) else None,
        last_ms=int(columns.ts.max()) if len(columns) else None,
        operations=set(np.unique(rows.operation).tolist()),
        services=set(np.unique(rows.service).tolist()),
    )
