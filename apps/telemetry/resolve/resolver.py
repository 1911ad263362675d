"""Resolves the columns of one sender, block after block."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from apps.analytics.events import EVENT_SCHEMA, ActorKind
from apps.telemetry.formats.build import blanks_to_null
from apps.telemetry.formats.columns import MISSING, Columns
from apps.telemetry.meaning import status as statuses
from apps.telemetry.meaning.hashing import KeyedHash
from apps.telemetry.meaning.paths import Request, has_number, request_of
from apps.telemetry.resolve.identities import Identities
from apps.telemetry.resolve.operations import Registry, Traits, Wanted
from apps.telemetry.resolve.rows import Rows
from apps.telemetry.resolve.tally import Tally, tally_of
from apps.telemetry.rules import OperationRule, Rules

REMEMBERED = 200_000  # request lines whose meaning is kept


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
        earlier: Sequence[bytes] = (),
    ) -> None:
        self.hash = KeyedHash(key)
        self.hashes = [self.hash, *(KeyedHash(one) for one in earlier)]
        self._registry = registry
        self.identities = identities
        self.rules = rules
        self.default_service = service
        self._matchers = [(rule.method, rule.matcher()) for rule in rules.operations]
        # A rule that names a number must see the numbers.
        named = [path for rule in rules.operations for path in rule.paths]
        named += [rule.value for rule in identities.rules if rule.attribute == "path_prefix"]
        self.by_shape = not any(has_number(path) for path in named)
        self._requests: dict[str, tuple[Request, int]] = {}
        self._operations: dict[tuple[int, str, str], int] = {}
        self._routed: set[tuple[int, str, str]] = set()
        self._services: dict[str, int] = {}

    def resolve(self, columns: Columns) -> tuple[pa.Table, Tally]:
        """Return the events of the columns, in their order, and what they are."""
        rows = Rows(self, columns)
        means, outcome = statuses.meaning(columns)
        outcome = rows.by_rules(means, outcome)
        matched = rows.matched()
        customer = rows.customers(matched)
        actor, kind = rows.actors(customer, matched)
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
            "traits": rows.traits(),
        }
        table = pa.table(
            [pa.array(arrays[f.name]).cast(f.type) for f in EVENT_SCHEMA], schema=EVENT_SCHEMA
        )
        tally = tally_of(
            columns,
            customer=customer,
            kind=kind,
            service=rows.service,
            operation=rows.operation,
            outcome=outcome,
            traffic=traffic,
        )
        tally.unnamed = rows.unnamed(customer, traffic)
        return table, tally

    def _quick(self, purpose: str, column: pa.Array | None, count: int) -> pa.Array:
        if column is None:
            return pa.nulls(count, pa.int64())
        column = blanks_to_null(column)
        return pa.array(
            self.hash.quick(purpose, column), mask=column.is_null().to_numpy(zero_copy_only=False)
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
            return self.operation_of_rule(self.rules.operations[rule])
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
            self._routed.update(
                key for key, one in group.items() if self._registry.routed(service, one)
            )

    def traits(self, wanted: Sequence[Traits]) -> list[int]:
        return self._registry.traits(wanted)

    def operation(self, key: tuple[int, str, str]) -> int:
        return self._operations[key]

    def routed(self, key: tuple[int, str, str]) -> bool:
        """Whether the operation takes in many paths, so that the path says what was asked for."""
        return key in self._routed

    def start(self) -> None:
        """Forget operations when there are very many, before a block needs them."""
        if len(self._operations) > REMEMBERED:
            self._operations.clear()
            self._routed.clear()
