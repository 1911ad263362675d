"""The company's own sign-in (PORTAL_OIDC_*): OpenID Connect's code flow with PKCE, as Core 1.0 and RFC 9700 have it.

The provider says who somebody is; what they may do here is ours. Nothing it answers is believed before its
signature, issuer, audience, time and nonce are checked, and nothing of it is kept.
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
import requests
from django.conf import settings
from django.core.cache import cache
from django.urls import reverse
from urllib3.exceptions import HTTPError

from apps.accounts.models import Role, User

#: Seconds to connect and to answer: the provider may not hold a process for long.
TIMEOUT = (3, 5)
#: The longest answer that is read.
LONGEST = 1_000_000
#: Seconds for which the provider's description of itself is kept.
KNOWN_FOR = 300
#: Seconds by which the provider's clock may differ from ours.
LEEWAY = 60
#: Signatures by a key of which we know only the public half: never "none", never a shared secret.
ALGORITHMS = frozenset({
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
})  # fmt: skip
#: What a provider has to say of itself.
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
CLAIMS = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class Away(Exception):
    """The provider does not answer, or not as one does; the message is for the log."""


class Unusable(Exception):
    """What came back proves nothing; the message is for the log."""


class Refused(Exception):
    """They are who they say, and may not come in; the message says why to them."""


@dataclass(frozen=True)
class Attempt:
    """A sign-in that was begun: what only the browser that began it knows, kept in its session."""

    state: str
    nonce: str
    verifier: str

    @staticmethod
    def begin() -> "Attempt":
        """Return one that nobody can guess."""
        return Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))


@dataclass(frozen=True)
class Company:
    """The provider, as the settings name it."""

    issuer: str
    client: str
    secret: str
    name: str

    def address(self, attempt: Attempt) -> str:
        """Return where to send somebody who wants to sign in. Raises Away."""
        challenge = hashlib.sha256(attempt.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": callback(),
            "scope": "openid email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint: str = self._described()["authorization_endpoint"]
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    def person(self, *, code: str, attempt: Attempt) -> User:
        """Return whom the provider signed in. Raises Away, Unusable or Refused."""
        described = self._described()
        answered = self._exchange(described, code=code, verifier=attempt.verifier)
        claims = self._verified(described, str(answered.get("id_token")), nonce=attempt.nonce)
        if not {"email", "email_verified"} <= claims.keys():
            claims |= self._asked(described, str(answered.get("access_token")), claims["sub"])
        return known(claims)

    def _described(self) -> dict[str, Any]:
        """Return what the provider says of itself: its addresses (OpenID Connect Discovery 1.0, 4)."""
        kept = f"accounts.company:{hashlib.sha256(self.issuer.encode()).hexdigest()}"
        found = cache.get(kept)
        if found is None:
            found = _answer("GET", f"{self.issuer}/.well-known/openid-configuration")
            if str(found.get("issuer")).rstrip("/") != self.issuer:
                raise Away("it describes another issuer")
            for name in ENDPOINTS:
                if not str(found.get(name)).startswith(("https://", "http://")):
                    raise Away(f"it names no {name}")
            cache.set(kept, found, KNOWN_FOR)
        return dict(found)

    def _exchange(self, described: dict[str, Any], *, code: str, verifier: str) -> dict[str, Any]:
        """Give the code for tokens. A code that the provider refuses proves nothing."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback(),
            "client_id": self.client,
            "code_verifier": verifier,
        }
        ways = described.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = None
        if self.secret and "client_secret_post" in ways:
            form["client_secret"] = self.secret
        elif self.secret:
            basic = (quote_plus(self.client), quote_plus(self.secret))
        return _answer("POST", described["token_endpoint"], data=form, auth=basic)

    def _verified(self, described: dict[str, Any], token: str, *, nonce: str) -> dict[str, Any]:
        """Return what an id token says once all of it is checked (OpenID Connect Core 1.0, 3.1.3.7)."""
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise Unusable(f"the id token is signed by {head.get('alg')!r}")
            key = _key(_answer("GET", described["jwks_uri"]), head)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[head["alg"]],
                audience=self.client,
                issuer=described["issuer"],
                leeway=LEEWAY,
                options={"require": CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise Unusable(f"the id token: {error}") from error
        if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise Unusable("the id token answers another attempt")
        if isinstance(claims["aud"], list) and claims.get("azp", self.client) != self.client:
            raise Unusable("the id token was made for another client")
        return claims

    def _asked(self, described: dict[str, Any], token: str, subject: str) -> dict[str, Any]:
        """Return what userinfo adds about the same person; nothing where there is no userinfo."""
        if not described.get("userinfo_endpoint"):
            return {}
        bearer = {"Authorization": f"Bearer {token}"}
        found = _answer("GET", str(described["userinfo_endpoint"]), headers=bearer)
        if found.get("sub") != subject:
            raise Unusable("userinfo speaks of somebody else")
        return {name: found[name] for name in ("email", "email_verified") if name in found}


def company() -> Company | None:
    """Return the provider that the settings name, None without one."""
    return Company(**settings.PORTAL_OIDC) if settings.PORTAL_OIDC else None


def callback() -> str:
    """Return the address that is registered with the provider."""
    return f"{settings.PORTAL_URL}{reverse('company_callback')}"


def known(claims: dict[str, Any]) -> User:
    """Return the person whom checked claims speak of. Raises Refused: nobody comes in who is not here already."""
    email = str(claims.get("email") or "")
    if not email:
        raise Refused(
            "Your company told us no e-mail address of yours, so we cannot tell who you are here."
        )
    # Some providers write the boolean as a word.
    if str(claims.get("email_verified")).lower() != "true":
        raise Refused(
            f"Your company has not verified that {email} is yours. Have it verified there, then sign in again."
        )
    # Only A to Z: other letters may become ones that somebody else has.
    wanted = email.strip().lower() if email.isascii() else email.strip()
    person = None if "\0" in wanted else User.objects.filter(email=wanted).first()
    if person is None:
        raise Refused(
            f"Nobody has invited {email} here. Ask somebody who manages people to invite that address."
        )
    if person.role == Role.CUSTOMER:
        raise Refused("Customers sign in with a code that we mail to them.")
    if not person.is_active:
        raise Refused(
            "Your account here is deactivated. Ask somebody who manages people if that should not be so."
        )
    return person


def _key(keys: dict[str, Any], head: dict[str, Any]) -> Any:
    """Return the key that signed: the one of that name, or the only one where no name is given."""
    named = jwt.PyJWKSet.from_dict(keys).keys
    fitting = [key for key in named if key.key_id == head["kid"]] if "kid" in head else named
    if len(fitting) != 1:
        raise Unusable("the provider has no such key")
    return fitting[0]


def _answer(method: str, address: str, **given: Any) -> dict[str, Any]:
    """Return the JSON object that an address of the provider answers with. Raises Away, Unusable for a 4xx."""
    try:
        with requests.request(
            method, address, timeout=TIMEOUT, allow_redirects=False, stream=True, **given
        ) as answer:
            status = answer.status_code
            text = answer.raw.read(LONGEST + 1, decode_content=True)
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise Away(f"{_place(address)}: {type(error).__name__}") from error
    if 400 <= status < 500:
        raise Unusable(f"{_place(address)} answers {status}")
    try:
        found = json.loads(text) if len(text) <= LONGEST else None
    except ValueError:
        found = None
    if status != 200 or not isinstance(found, dict):
        raise Away(f"{_place(address)} answers {status}, no JSON object")
    return found


def _place(address: str) -> str:
    """Return an address without what may be secret in it."""
    return address.partition("?")[0]
