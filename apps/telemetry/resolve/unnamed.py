"""What requests that belong to nobody we can name have in common, so that a person can name them.

Counted for each day and attribute, in a sketch of bounded size. What could tell one person apart is not
kept: of an address only its network, of an API key only how it begins and a keyed hash, of a user agent
only its family, of a path only its first part.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.telemetry.formats.columns import Ints
from apps.telemetry.meaning.clients import are_plain
from apps.telemetry.meaning.paths import Request
from apps.telemetry.resolve.distinct import Distinct, renumbered
from apps.telemetry.resolve.sketch import Sketch, cut_to_largest

DAY_MS = 86_400_000
MOST_DAYS = 35
"""Days of one block that are counted, the latest ones: older evidence is not kept anyway."""

LONGEST = 200  # characters of a value that are kept
AGENT = "agent"  # a user agent's family: evidence only, no rule looks at it

_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome")),
    *(("CriOS/", "Chrome"), ("FxiOS/", "Firefox"), ("Safari/", "Safari"), ("MSIE", "Explorer")),
)
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z._ -]{0,39}")


class Group(NamedTuple):
    """A service and one value of an attribute there."""

    service: int
    value: str


Evidence = dict[tuple[int, str], Sketch[Group]]  # by day (since 1970) and attribute


def add(evidence: Evidence, more: Evidence) -> None:
    """Take in what was found in another block."""
    for key, sketch in more.items():
        evidence.setdefault(key, Sketch()).merge(sketch)


def evidence_of(
    rows: Ints,
    ts: Ints,
    service: Ints,
    attributes: Sequence[tuple[str, Distinct, Callable[[list[str]], list[str]]]],
) -> Evidence:
    """Count the rows `rows` by day, service and value; the last of each attribute puts its values into words."""
    found: Evidence = {}
    if not len(rows):
        return found
    times = ts[rows]
    first, last = int(times.min()) // DAY_MS, int(times.max()) // DAY_MS
    days = times // DAY_MS if first != last else None
    numbers = service[rows]
    services, service_code = renumbered(numbers, int(numbers.max()) + 1)
    for day in [last] if days is None else np.unique(days)[-MOST_DAYS:].tolist():
        mine = slice(None) if days is None else days == day
        for attribute, column, words in attributes:
            if not len(column.encoded):
                continue
            sketch = _counted(column, rows[mine], services, service_code[mine], words)
            if sketch.total:
                found[day, attribute] = sketch
    return found


def _counted(
    column: Distinct,
    rows: Ints,
    services: Ints,
    service_code: Ints,
    words: Callable[[list[str]], list[str]],
) -> Sketch[Group]:
    codes = column.codes[rows]
    given = codes >= 0
    width = len(column.encoded)
    pair = service_code[given] * width + codes[given]
    size = len(services) * width
    if size > 4 * len(pair) + 1_000_000:
        used, counts = np.unique(pair, return_counts=True)
    else:
        used, counts = np.arange(size), np.bincount(pair, minlength=size)
    kept, lower, missed = cut_to_largest(counts)
    sketch: Sketch[Group] = Sketch(total=len(pair), missed=missed)
    at = used[kept]
    values = words(column.encoded.take(pa.array(at % width)).to_pylist())
    for where, value, count in zip((at // width).tolist(), values, lower.tolist(), strict=True):
        group = Group(int(services[where]), value)
        sketch.counts[group] = sketch.counts.get(group, 0) + count
    return sketch


def plain_words(values: list[str]) -> list[str]:
    """Return values fit to be stored; of one with an @ only what follows, for it may be a person's address."""
    return [_plain(value) for value in values]


def _plain(value: str) -> str:
    value = " ".join(value.replace("\0", "").split())
    if "@" in value:
        value = f"…@{value.rpartition('@')[2]}"
    return value if len(value) <= LONGEST else value[: LONGEST - 1] + "…"


def recoded(column: Distinct, each: Sequence[str | None]) -> Distinct:
    """Return a column in which each value is replaced by a coarser one; None is no value."""
    encoded = pa.array(each, pa.string()).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Distinct(encoded.dictionary, np.append(codes, -1)[column.codes])


def networks_of(clients: Distinct) -> Distinct:
    """Return the /24 or /48 of each client's address; of plain ones the first three numbers (`as_networks`)."""
    if len(clients.encoded) and are_plain(clients.encoded):
        cut = pc.utf8_rtrim(clients.encoded, characters="0123456789").dictionary_encode()
        codes = cut.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return Distinct(cut.dictionary, np.append(codes, -1)[clients.codes])
    return recoded(clients, [_network(value) for value in clients.values])


def as_networks(values: list[str]) -> list[str]:
    """Return networks in full."""
    return [f"{value}0/24" if value.endswith(".") else value for value in values]


@lru_cache(maxsize=100_000)
def _network(value: str) -> str | None:
    try:
        address = ip_address(value)
    except ValueError:
        return None
    length = 24 if address.version == 4 else 48
    return str(ip_network(f"{address}/{length}", strict=False))


def hosts_of(hosts: Distinct) -> Distinct:
    """Return host names as rules compare them: lower case, without a port."""
    return recoded(hosts, [host_of(value)[:LONGEST] or None for value in hosts.values])


def host_of(value: str) -> str:
    """Return a host name in lower case and without its port."""
    return (value.rsplit(":", 1)[0] if value.count(":") == 1 else value).lower()


def families_of(agents: Distinct) -> Distinct:
    """Return the family of each user agent."""
    return recoded(agents, [family_of(value) for value in agents.values])


@lru_cache(maxsize=100_000)
def family_of(agent: str) -> str | None:
    """Return what kind of program a user agent is of, without version or platform."""
    if agent.startswith("Mozilla/"):
        return next((name for mark, name in _BROWSERS if mark in agent), "Another browser")
    match = _PRODUCT.match(agent)
    return match[0].strip(" .-_") or None if match else None


def first_parts(shapes: Distinct, requests: Sequence[Request]) -> Distinct:
    """Return the first part of each path, such as /v2."""
    return recoded(shapes, [first_part(request.pattern) for request in requests])


def first_part(pattern: str) -> str | None:
    """Return the first part of a path; "/" when it is an id or a file."""
    if not pattern.startswith("/"):
        return None
    part = pattern.split("/", 2)[1]
    return "/" if "{" in part or "*" in part or "…" in part else f"/{part[: LONGEST - 1]}"
