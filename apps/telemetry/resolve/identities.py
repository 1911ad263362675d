"""Whose a request is: rules in order, then names, and how hosts and networks match."""

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


@dataclass(frozen=True)
class Identities:
    """How to know a customer. Rules are in order, the first match wins; then the names in a customer field."""

    rules: Sequence[IdentityRule] = ()
    names: Mapping[str, int] = field(default_factory=dict)  # external ids and slugs
    default: int = NOBODY


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
