"""From where the present request came: what the audit log and the list of sessions say."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

LONGEST_AGENT = 300


@dataclass(frozen=True)
class Whereabouts:
    """An address and a program, each empty where it is not known."""

    address: str | None = None
    agent: str = ""


NOWHERE = Whereabouts()
_here: ContextVar[Whereabouts] = ContextVar("whereabouts", default=NOWHERE)


def here() -> Whereabouts:
    """Return from where the present request came; nothing is known of commands and workers."""
    return _here.get()


@contextmanager
def at(place: Whereabouts) -> Iterator[None]:
    """Have everything inside say that it came from `place`."""
    token = _here.set(place)
    try:
        yield
    finally:
        _here.reset(token)


def of_request(request: HttpRequest) -> Whereabouts:
    """Return from where a request came."""
    agent = request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:LONGEST_AGENT]
    return Whereabouts(address_of(request), agent)


def address_of(request: HttpRequest) -> str | None:
    """Return the client's address, past as many proxies as are ours (PORTAL_TRUSTED_PROXIES)."""
    told = request.META.get("REMOTE_ADDR", "")
    if ours := settings.PORTAL_TRUSTED_PROXIES:
        chain = [one.strip() for one in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        # The nearest proxy writes last; what stands before our own words can be made up.
        told = chain[-ours] if len(chain) >= ours else told
    try:
        return str(ipaddress.ip_address(told))
    except ValueError:
        return None
