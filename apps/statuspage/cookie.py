"""The signed cookie that says whose page a browser may read, without asking the database.

`<customer>.<expiry>.<key id>.<hmac-sha256>`, all digits and hex. It cannot be revoked, so it lives for
LIFE only; Django renews it on every page that a signed-in contact opens. For GRACE longer it still
opens the page, but only while Django cannot be asked: an outage of the database must not take from
customers what they could read before.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

NAME = "status_for"
LIFE = 15 * 60
GRACE = 12 * 3600
_SALT = b"apps.statuspage.cookie"
_TOKEN = re.compile(r"([1-9][0-9]{0,17})\.([0-9]{1,12})\.([0-9a-f]{8})\.([0-9a-f]{64})", re.ASCII)
_IN_HEADER = re.compile(rf"(?:^|;)\s*{NAME}=([^;\s]*)")


@dataclass(frozen=True)
class Pass:
    """A cookie whose signature is right."""

    customer: int
    expires: int  # epoch seconds

    def fresh(self, now: float) -> bool:
        """Whether it opens the page by itself."""
        return now < self.expires

    def in_grace(self, now: float) -> bool:
        """Whether it opens the page while Django cannot be asked."""
        return now < self.expires + GRACE


def sign(customer: int, *, now: float) -> str:
    """Return the cookie's value for a customer's page."""
    secret = settings.SECRET_KEY
    key, key_id = _key(secret)
    text = f"{customer:d}.{int(now) + LIFE:d}.{key_id}"
    return f"{text}.{_mac(key, text)}"


def read(token: str) -> Pass | None:
    """Return what the cookie's value says; None when we did not sign it, whatever is in it."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    customer, expires, key_id, mac = match.groups()
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        key, its_id = _key(secret)
        if its_id == key_id:
            right = _mac(key, f"{customer}.{expires}.{key_id}")
            return Pass(int(customer), int(expires)) if hmac.compare_digest(right, mac) else None
    return None


def read_header(header: str) -> Pass | None:
    """Return what a Cookie header says."""
    match = _IN_HEADER.search(header)
    return read(match[1]) if match else None


@lru_cache(maxsize=8)
def _key(secret: str) -> tuple[bytes, str]:
    key = hmac.new(secret.encode(), _SALT, hashlib.sha256).digest()
    return key, hashlib.sha256(key).hexdigest()[:8]


def _mac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()
