"""What a rule's value must look like, and which rules would take all its requests before it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

_HOST = re.compile(
    r"(?:\*\.)?(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
)


class BadValue(ValueError):
    """The value cannot be what a rule looks for; the message says why and what to write."""


def normal(attribute: str, value: str) -> str:
    """Return the value in the one form in which it is kept and compared. Raise BadValue."""
    value = value.strip()
    if not value:
        raise BadValue("Write what the requests carry.")
    if not value.isprintable():
        raise BadValue("There is a character in it that cannot be printed.")
    if attribute == "host":
        return _host(value)
    if attribute == "path_prefix":
        return _path(value)
    if attribute == "network":
        return _network(value)
    return value


def _host(value: str) -> str:
    value = value.lower()
    if "/" in value:
        raise BadValue(
            "Write the host name alone, such as api.example.com, without https:// or a path."
        )
    if value.count(":") == 1:
        value = value.partition(":")[0]
    if not _HOST.fullmatch(value):
        raise BadValue(
            "This is no host name. Write one such as api.example.com, or *.example.com for all below it."
        )
    return value


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise BadValue("A path begins with /, such as /partners/acme/.")
    if set(value) & set("?# *{}"):
        raise BadValue("Write how the path begins, letter by letter: no ?, #, *, braces or spaces.")
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise BadValue(
            f"“{value[:60]}” is no network. Write an address with a length,"
            " such as 203.0.113.0/24 or 2001:db8::/48."
        ) from None


@dataclass(frozen=True)
class Ranked:
    """A rule and its place in the list, from 1."""

    rank: int
    pk: int
    attribute: str
    value: str
    customer: int
    enabled: bool


def shadows(rules: Sequence[Ranked], wanted: Iterable[int]) -> dict[int, Ranked]:
    """Return, by primary key, the earlier rule that takes every request of a wanted rule before it."""
    first = {(rule.attribute, rule.value): rule for rule in reversed(rules) if rule.enabled}
    chosen = set(wanted)
    found: dict[int, Ranked] = {}
    for rule in rules:
        if rule.pk not in chosen or not rule.enabled:
            continue
        earlier = [
            other
            for value in covering(rule.attribute, rule.value)
            if (other := first.get((rule.attribute, value))) and other.rank < rule.rank
        ]
        if earlier:
            found[rule.pk] = min(earlier, key=lambda other: other.rank)
    return found


def covering(attribute: str, value: str) -> Iterator[str]:
    """Yield the values of wider rules, which match whatever this one does."""
    if attribute == "host":
        host = value.removeprefix("*.")
        while "." in host:
            host = host.partition(".")[2]
            yield f"*.{host}"
    elif attribute == "path_prefix":
        for end in range(1, len(value)):
            yield value[:end]
    elif attribute == "network":
        try:
            net = ip_network(value, strict=False)
        except ValueError:
            return
        for length in range(net.prefixlen):
            yield str(net.supernet(new_prefix=length))
