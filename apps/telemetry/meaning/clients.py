"""The client's address, out of what proxies write."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

import pyarrow as pa
import pyarrow.compute as pc

_PLAIN = re.compile(r"^(?:[1-9][0-9]{0,2}\.)(?:[0-9]{1,3}\.){2}[0-9]{1,3}$", re.ASCII)
Address = IPv4Address | IPv6Address


@lru_cache(maxsize=300_000)
def forwarded_client(text: str) -> str | None:
    """Return the first valid address of an X-Forwarded-For value, or None."""
    for word in text.split(","):
        if (address := _address(word)) is not None:
            return str(address)
    return None


def are_plain(column: pa.Array) -> bool:
    """Whether every value is one IPv4 address and nothing else, so that it stands for itself."""
    return bool(pc.all(pc.match_substring_regex(column, _PLAIN.pattern)).as_py())


@lru_cache(maxsize=300_000)
def listed_client(text: str) -> str:
    """Return the first public address of a list, else its first address, else the text (a host name)."""
    if _PLAIN.fullmatch(text):
        return text
    addresses = [a for word in text.replace(",", " ").split() if (a := _address(word)) is not None]
    for address in addresses:
        if address.is_global:
            return str(address)
    return str(addresses[0]) if addresses else text[:255]


def _address(text: str) -> Address | None:
    """Return an address that may carry a port, brackets or quotes."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
