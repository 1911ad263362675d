"""The rows of one block while they are resolved."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.utils.text import slugify
from numpy.typing import NDArray

from apps.analytics.events import ActorKind, Outcome, Traffic
from apps.telemetry.formats.columns import Columns, Ints, Smalls
from apps.telemetry.formats.fields import TRAIT
from apps.telemetry.meaning.agents import Agent, Place, agent_of
from apps.telemetry.meaning.clients import are_plain, forwarded_client, listed_client
from apps.telemetry.meaning.hashing import Hashes, combined, splitmix
from apps.telemetry.meaning.paths import PLACE, Request, bare, request_of, shapes
from apps.telemetry.resolve.distinct import Codes, Distinct, renumbered
from apps.telemetry.resolve.identities import (
    NOBODY,
    hash_in,
    hashed,
    host_match,
    in_networks,
    network,
)
from apps.telemetry.resolve.operations import UNNAMED, Wanted
from apps.telemetry.resolve.unnamed import (
    AGENT,
    Evidence,
    as_networks,
    evidence_of,
    families_of,
    first_parts,
    hosts_of,
    networks_of,
    plain_words,
)

if TYPE_CHECKING:
    from apps.telemetry.resolve.resolver import Resolver
    from apps.telemetry.rules import OutcomeRule

LONGEST_TRAIT = 50  # characters of a value that tell it from others


class Rows:
    """The rows of one block while they are resolved."""

    def __init__(self, resolver: "Resolver", columns: Columns) -> None:
        resolver.start()
        self._r = resolver
        self._hash = resolver.hash
        self._identities = resolver.identities
        self._n = len(columns)
        self._text = columns.text
        self._columns = columns
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
        used, codes = renumbered(pair, (len(method.values) + 1) * width)
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
        default = self._r.default_service
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
        used, codes = renumbered(service_code * width + what + 1, len(services) * width)
        wanted: dict[tuple[int, str, str], Wanted] = {}
        keys: list[tuple[int, str, str]] = []
        for number in used.tolist():
            at, place = divmod(number, width)
            operation = self._wanted(place - 1, given.values if given is not None else [])
            key = (int(services[at]), operation.name, operation.pattern)
            wanted[key] = operation
            keys.append(key)
        self._r.operations(wanted)
        self._called = [name for _, name, _ in keys], codes
        numbers = np.array([self._r.operation(key) for key in keys] or [0], dtype=np.int64)
        self._routed = np.array([self._r.routed(key) for key in keys] or [False])[codes]
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
        for number, rule in enumerate(self._r.rules.operations):
            here = (self.rule == number) & (outcome != Outcome.CLIENT_ABORT)
            if rule.failed:
                outcome = np.where(
                    here & np.isin(means, list(rule.failed)), Outcome.FAILED, outcome
                )
            if rule.ok:
                outcome = np.where(here & np.isin(means, list(rule.ok)), Outcome.OK, outcome)
        open_ones = outcome != Outcome.CLIENT_ABORT
        for one in self._r.rules.outcomes:  # the first that fits decides
            fits = open_ones & self._fits(one, means)
            outcome = np.where(fits, one.outcome, outcome)
            open_ones &= ~fits
        return outcome.astype(np.int8)

    def _fits(self, rule: "OutcomeRule", means: Ints) -> NDArray[np.bool_]:
        fits = np.ones(self._n, dtype=bool)
        if rule.statuses:
            fits &= np.isin(means, list(rule.statuses))
        if rule.service:
            default = slugify(self._r.default_service) == rule.service
            named = self.distinct("service") or Distinct.none(self._n)
            same = [int(slugify(value) == rule.service) for value in named.values]
            fits &= named.numbers(same, int(default)) == 1
        if rule.operation:
            names, codes = self._called
            fits &= np.array([name == rule.operation for name in names] or [False])[codes]
        if rule.column:
            column = self.distinct(rule.column) or Distinct.none(self._n)
            fits &= column.numbers([int(rule.says(value)) for value in column.values], 0) == 1
        return fits

    def matched(self) -> Ints:
        """Return for each row the number of the first rule that matches it; how many there are = none."""
        rules = self._identities.rules
        best = np.full(self._n, len(rules), dtype=np.int64)
        for attribute in {rule.attribute for rule in rules}:
            mine = [(at, r.value) for at, r in enumerate(rules) if r.attribute == attribute]
            best = np.minimum(best, self._matches(attribute, mine, len(rules)))
        return best

    def customers(self, matched: Ints) -> Ints:
        """Return each row's customer: by the first rule that matches, by name, or the default."""
        rules = self._identities.rules
        by_rule = np.array([*(rule.customer for rule in rules), NOBODY], dtype=np.int64)[matched]
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
            clients = self.clients()
            networks = [(at, net) for at, value in rules if (net := network(value)) is not None]
            return clients.numbers([in_networks(v, networks, none) for v in clients.values], none)
        column = self.distinct(attribute)
        if attribute == "service" and column is None:
            column = Distinct(
                pa.array([self._r.default_service]), np.zeros(self._n, dtype=np.int64)
            )
        if column is None:
            return np.full(self._n, none, dtype=np.int64)
        exact = {value: at for at, value in reversed(rules)}
        if attribute != "host":
            if attribute == "service":  # by its slug as well, as the catalog and our pages name it
                slugs = {slugify(value): at for at, value in reversed(rules)}
                each = [min(exact.get(v, none), slugs.get(slugify(v), none)) for v in column.values]
                return column.numbers(each, none)
            found = column.numbers([exact.get(v, none) for v in column.values], none)
            return np.minimum(found, self._by_hash(attribute, column, rules, none))
        exact = {value.lower(): at for at, value in reversed(rules)}
        return column.numbers([host_match(v, exact, none) for v in column.values], none)

    def _by_hash(
        self, attribute: str, column: Distinct, rules: list[tuple[int, str]], none: int
    ) -> Ints | int:
        """Match the rules that name an API key by its keyed hash."""
        if attribute != "api_key":
            return none
        wanted = {hash_in(value): at for at, value in reversed(rules)}
        wanted.pop(None, None)
        if not wanted:
            return none
        # A rule may have been written when another key was in use.
        found = [none] * len(column.encoded)
        for keyed in self._r.hashes:
            numbers = keyed.many(attribute, column.encoded).tolist()
            found = [min(at, wanted.get(n, none)) for at, n in zip(found, numbers, strict=True)]
        return column.numbers(found, none)

    def seen(self, row: int) -> dict[str, str]:
        """Return what a row carries of what rules look at, in words; what it does not carry is left out."""
        found: dict[str, str] = {}
        for name in ("customer", "api_key", "oauth_client", "host", "user", "service"):
            column = self.distinct(name)
            if column is not None and column.codes[row] >= 0:
                found[name] = column.values[column.codes[row]]
        found.setdefault("service", self._r.default_service)
        if self._shapes.codes[row] >= 0:
            line = str(self._lines[int(self._line_codes[row])])
            if path := request_of(line).path:
                found["path_prefix"] = path
        clients = self.clients()
        if clients.codes[row] >= 0:
            found["network"] = clients.values[clients.codes[row]]
        return found

    def clients(self) -> Distinct:
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
        clients = self.clients()
        return clients.numbers(self._by_addr), clients.codes < 0

    def actors(self, customer: Ints, matched: Ints) -> tuple[Hashes, Smalls]:
        """Return a keyed hash of who asked, which includes the customer, and what it is made of."""
        value = np.zeros(self._n, dtype=np.int64)
        kind = np.zeros(self._n, dtype=np.int8)
        by_client, there = self._by_client()
        if by_client is not None:
            value = np.where(there, by_client, value)
            kind[there] = ActorKind.ADDRESS
        for name, made_of in (("session", ActorKind.SESSION), ("user", ActorKind.END_USER)):
            if (given := self.distinct(name)) is not None:
                there = given.codes >= 0
                value = np.where(there, given.numbers(self._hash.many(name, given.encoded)), value)
                kind[there] = made_of
        value, kind = self._as_rules_say(matched, value, kind)
        owners, codes = np.unique(customer, return_inverse=True)
        secret = self._hash.many("customer", pa.array(map(str, owners.tolist()), pa.string()))
        mixed = splitmix(value.view(np.uint64) ^ secret.view(np.uint64)[codes])
        return mixed.view(np.int64), kind

    def _by_client(self) -> tuple[Hashes | None, NDArray[np.bool_]]:
        """Return a hash of address and user agent, and where there is an address."""
        clients = self.clients()
        if not len(clients.encoded):
            return None, np.zeros(self._n, dtype=bool)
        agents = self.distinct("agent") or Distinct.none(self._n)
        by_agent = agents.numbers(self._hash.many("agent", agents.encoded))
        return combined(clients.numbers(self._by_addr), by_agent), clients.codes >= 0

    def _as_rules_say(self, matched: Ints, value: Hashes, kind: Smalls) -> tuple[Hashes, Smalls]:
        """Tell actors apart by what the rule that matched names, where the request carries it."""
        each = [*(rule.actor_from for rule in self._identities.rules), ""]
        for attribute in sorted(set(each) - {""}):
            here = np.array([one == attribute for one in each])[matched]
            made_of = ActorKind.END_USER
            if attribute == "network":
                hashes, given = self._by_client()
                made_of = ActorKind.ADDRESS
            else:
                column = self.distinct(attribute) or Distinct.none(self._n)
                hashes = column.numbers(self._hash.many(attribute, column.encoded))
                given = column.codes >= 0
            here &= given
            if hashes is not None:
                value = np.where(here, hashes, value)
                kind = np.where(here, np.int8(made_of), kind)
        return value, kind

    def unnamed(self, customer: Ints, traffic: Smalls) -> Evidence:
        """Return what the requests of customers that we cannot name have in common."""
        rows = np.flatnonzero((customer == NOBODY) & (traffic == Traffic.CUSTOMERS))
        if not len(rows):
            return {}
        attributes: list[tuple[str, Distinct, Callable[[list[str]], list[str]]]] = [
            ("path_prefix", first_parts(self._shapes, [r for r, _ in self._asked]), plain_words),
            ("network", networks_of(self.clients()), as_networks),
        ]
        for name, coarser, words in (
            ("customer", None, plain_words),
            ("api_key", None, self._as_hashed),
            ("oauth_client", None, plain_words),
            ("host", hosts_of, plain_words),
            (AGENT, families_of, plain_words),
        ):
            if (column := self.distinct(name)) is not None:
                attributes.append((name, coarser(column) if coarser else column, words))
        return evidence_of(rows, self._columns.ts, self.service, attributes)

    def _as_hashed(self, keys: list[str]) -> list[str]:
        numbers = self._hash.many("api_key", pa.array(keys, pa.string())).tolist()
        return plain_words([hashed(k, n) for k, n in zip(keys, numbers, strict=True)])

    def targets(self) -> tuple[Hashes, NDArray[np.bool_]]:
        """Return a hash of the concrete ids in the path, and where there are none.

        Of a path that a route pattern took in, the whole path is the id.
        """
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
        found, missing = hashes[self._line_codes], none[self._line_codes]
        if self._routed.any():
            here = np.flatnonzero(self._routed & (self._line_codes >= 0))
            used, codes = np.unique(self._line_codes[here], return_inverse=True)
            whole = pc.replace_substring_regex(
                self._lines.take(pa.array(used)), " HTTP/[0-9.]+$", ""
            )
            found[here], missing[here] = self._hash.quick("target", whole)[codes], False
        return found, missing

    def reporter(self) -> pa.Array:
        column = self.distinct("reporter") or self.distinct("host")
        if column is None:
            return pa.nulls(self._n, pa.int32())
        full = column.numbers(self._hash.many("host", column.encoded))
        return pa.array((full >> 32).astype(np.int32), mask=column.codes < 0)

    def traits(self) -> pa.Array:
        """Return which set of traits each row carries, null for none."""
        names = sorted(name for name in self._text if name.startswith(TRAIT))
        place = np.zeros(self._n, dtype=np.int64)
        found: list[Distinct] = []
        for name in names:
            column = self.distinct(name) or Distinct.none(self._n)
            found.append(column)
            # each step leaves fewer places than rows, so the product stays small
            place = place * (len(column.encoded) + 1) + column.codes + 1
            place = np.unique(place, return_inverse=True)[1]
        if not names:
            return pa.nulls(self._n, pa.int32())
        used, first = np.unique(place, return_index=True)
        sets = [
            tuple(
                (name.removeprefix(TRAIT), value)
                for name, column in zip(names, found, strict=True)
                if (code := column.codes[row]) >= 0 and (value := _shown(column.values[code]))
            )
            for row in first
        ]
        numbers = np.zeros(len(used), dtype=np.int32)
        carried = [at for at, one in enumerate(sets) if one]
        numbers[carried] = self._r.traits([sets[at] for at in carried])
        each = numbers[place]
        return pa.array(each, mask=each == 0)

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


def _shown(value: str) -> str:
    """Return the value of a trait as it may be stored and shown."""
    return "".join(c for c in value[:LONGEST_TRAIT] if c.isprintable()).strip()


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
