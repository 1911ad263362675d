"""Whose a request is: rules in order, then names, and how hosts and networks match."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

NOBODY = 0


@dataclass(frozen=True)
class IdentityRule:
    """A request whose `attribute` matches `value` is the customer's."""

    attribute: str
    value: str
    customer: int
    actor_from: str = ""  # which attribute tells their actors apart; "" = as found


@dataclass(frozen=True)
class Identities:
    """How to know a customer. Rules are in order, the first match wins; then the names in a customer field."""

    rules: Sequence[IdentityRule] = ()
    names: Mapping[str, int] = field(default_factory=dict)  # external ids and slugs
    default: int = NOBODY


HASHED = re.compile(r".{0,4}…#(?P<hash>[0-9a-f]{16})")
"""How evidence shows an API key, and a rule may name it: how it begins and its keyed hash."""


def hashed(value: str, number: int) -> str:
    """Return an API key as evidence shows it; `number` is its keyed hash."""
    return f"{value[: min(4, len(value) // 3)]}…#{number & (2**64 - 1):016x}"


def hash_in(value: str) -> int | None:
    """Return the keyed hash that a rule's value names, None when it names the key itself."""
    match = HASHED.fullmatch(value)
    if match is None:
        return None
    number = int(match["hash"], 16)
    return number - 2**64 if number >= 2**63 else number


def network(value: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(value.strip(), strict=False)
    except ValueError:
        return None


def in_networks(
    value: str, networks: list[tuple[int, IPv4Network | IPv6Network]], none: int
) -> int:
    try:
        address = ip_address(value)
    except ValueError:
        return none
    return next(
        (at for at, net in networks if address.version == net.version and address in net), none
    )


def host_match(value: str, exact: Mapping[str, int], none: int) -> int:
    """Match a host name without its port, then `*.example.com` for its parents."""
    host = value.lower().rsplit(":", 1)[0] if value.count(":") == 1 else value.lower()
    found = [exact[host]] if host in exact else []
    while "." in host:
        host = host.partition(".")[2]
        if f"*.{host}" in exact:
            found.append(exact[f"*.{host}"])
    return min(found, default=none)
