"""An OpenID provider over a real socket: discovery, authorize, token with PKCE, signed id tokens, userinfo."""

import base64
import hashlib
import json
import secrets
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "portal", "a secret: of the client"


@cache
def key(name):
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """Who signs in there, and how it misbehaves when told to."""

    def __init__(self):
        self.issuer = ""
        self.person = {"sub": "42", "email": "nobody@example.com", "email_verified": True}
        self.claims = {}  # written over what the id token says; None takes a claim out
        self.userinfo = None  # given there instead of in the id token
        self.signed_by = "ours"
        self.algorithm = "RS256"
        self.methods = ["client_secret_post", "client_secret_basic"]
        self.answers = {}  # path -> (status, body), instead of what belongs there
        self.codes = {}
        self.asked = []

    def describe(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "token_endpoint_auth_methods_supported": self.methods,
        }

    def keys(self):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(key("ours").public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}

    def authorize(self, asked):
        """Sign the person in at once, and return where to send the browser."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{back}"

    def token(self, form, basic):
        asked = self.codes.pop(form.get("code"), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        given = (form.get("client_id"), form.get("client_secret"))
        if self.methods == ["client_secret_basic"]:
            given = basic
        if (
            asked is None
            or given != (CLIENT, SECRET)
            or form["redirect_uri"] != asked["redirect_uri"]
            or asked["code_challenge_method"] != "S256"
            or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "id_token": self.sign(asked)}

    def sign(self, asked):
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300}
        said |= {"nonce": asked["nonce"]}
        said |= {"sub": self.person["sub"]} if self.userinfo is not None else self.person
        said = {name: value for name, value in (said | self.claims).items() if value is not None}
        signing = key(self.signed_by)
        if self.algorithm == "none":
            signing = None
        elif self.algorithm == "HS256":
            signing = "x" * 32
        return jwt.encode(said, signing, algorithm=self.algorithm, headers={"kid": "k1"})


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        provider, parts = self.server.provider, urlsplit(self.path)
        provider.asked.append(parts.path)
        if parts.path in provider.answers:
            self.answer(*provider.answers[parts.path])
        elif parts.path == "/.well-known/openid-configuration":
            self.answer(200, provider.describe())
        elif parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.send_response(302)
            self.send_header("Location", provider.authorize(asked))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif parts.path == "/keys":
            self.answer(200, provider.keys())
        elif self.headers["Authorization"] == "Bearer opaque":
            self.answer(200, {"sub": provider.person["sub"], **(provider.userinfo or {})})
        else:
            self.answer(401, {})

    def do_POST(self):
        provider = self.server.provider
        provider.asked.append(self.path)
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(sent).items()}
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        pair = base64.b64decode(given).decode().partition(":")
        basic = tuple(parse_qs(f"x={half}").get("x", [""])[0] for half in pair[::2])
        self.answer(*provider.answers.get(self.path) or provider.token(form, basic))

    def answer(self, status, body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@contextmanager
def serving(settings):
    """Run a provider; the portal's settings point at it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.provider = provider = Provider()
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    provider.close = lambda: (server.shutdown(), server.server_close())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.PORTAL_OIDC = {
        "issuer": provider.issuer, "client": CLIENT, "secret": SECRET, "name": "Acme",
    }  # fmt: skip
    try:
        yield provider
    finally:
        provider.close()
        thread.join()
