"""What attributes mean: semantic conventions, old and new, and what Envoy writes beside them.

Names: opentelemetry.io/docs/specs/semconv (HTTP, RPC, messaging, user, session), before and after the HTTP
conventions became stable (`http.status_code`, `http.response.status_code`).
"""

from typing import Any

from apps.telemetry.formats.fields import TRAIT, WATCH, FieldNames
from apps.telemetry.meaning.paths import path_of_url

Value = str | int | float | bool

_NAMES: dict[str, tuple[str, ...]] = {
    "method": ("http.request.method", "http.method"),
    "status": ("http.response.status_code", "http.status_code"),
    "route": ("http.route",),
    "path": ("url.path", "http.target"),
    "url": ("url.full", "http.url"),
    "host": ("server.address", "http.host", "net.host.name", "http.server_name"),
    "agent": ("user_agent.original", "http.user_agent", "user_agent"),
    "synthetic": ("user_agent.synthetic.type",),
    "addr": (
        *("client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr"),
        *("net.peer.ip", "peer.address"),
    ),
    "forwarded": ("http.request.header.x-forwarded-for", "http.request.header.x_forwarded_for"),
    "user": ("user.id", "enduser.id", "enduser.pseudo.id"),
    "session": ("session.id",),
    "key": ("http.request.header.idempotency-key", "http.request.header.idempotency_key"),
    "flags": ("response_flags",),
    "grpc": ("rpc.grpc.status_code", "rpc.response.status_code", "grpc.status_code"),
    "rpc_service": ("rpc.service",),
    "rpc_method": ("rpc.method",),
    "doing": ("messaging.operation.type", "messaging.operation.name", "messaging.operation"),
    "queue": ("messaging.destination.name", "messaging.destination"),
    "error_type": ("error.type",),
    "service": ("service.name",),
    "reporter": ("service.instance.id", "host.name"),
}
_FIELDS = {name: (field, rank) for field, all_ in _NAMES.items() for rank, name in enumerate(all_)}
_OURS = frozenset(
    {"customer", "user", "session", "api_key", "oauth_client", "key", "bot", "traffic"}
)
"""Fields that are known by any of the names that other formats have for them as well."""

# gRPC: the codes that mean that the server failed (semantic conventions, RPC), and RESOURCE_EXHAUSTED, which is a 429.
_GRPC = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)  # fmt: skip
_GRPC_FAILED = frozenset({2, 4, 8, 12, 13, 14, 15})
_CANCELLED = 1
_SYNTHETIC = {"bot": "bot", "test": "probe"}
ERROR = 2  # the status of a span


class Attributes:
    """Picks the attributes that we need, under our names; learns the senders' names as they come."""

    def __init__(self, names: FieldNames) -> None:
        self._names = names
        self._known: dict[str, tuple[str, int] | None] = dict(_FIELDS)

    def find(self, name: str) -> tuple[str, int] | None:
        """Return our field and the rank of this name in it (lowest wins); None for a name of no use."""
        try:
            return self._known[name]
        except KeyError:
            found = self._names.find(name)
            if found and not (found[0] in _OURS or found[0].startswith((TRAIT, WATCH))):
                found = None
            if found:
                found = found[0], found[1] + 100  # a convention's own name comes first
            if len(self._known) < 4096:  # names come from the input: their number must be bounded
                self._known[name] = found
            return found


def request(found: dict[str, Any], *, name: str, error: bool) -> dict[str, Any]:
    """Return one request under the names of `formats.fields`, from attributes under ours, which it uses up.

    `name` is the span's, `error` whether its status says so.
    """
    take = found.pop
    outcome = _outcome(
        take("grpc", None), found.get("status"), error=bool(take("error_type", None)) or error
    )
    kind = _SYNTHETIC.get(str(take("synthetic", None)))
    _name_operation(found, name)
    if outcome:
        found["outcome"] = outcome
    if kind:
        found["traffic"] = kind
    return found


def _name_operation(found: dict[str, Any], name: str) -> None:
    """Say what was asked for: a route, a method of an RPC, a queue, a path, or as the span is called."""
    take = found.pop
    route, called, queue = take("route", None), _rpc(found), take("queue", None)
    path, url, doing = found.get("path"), take("url", None), take("doing", None)
    if path is None and url:
        path = path_of_url(str(url))
    if path is not None:
        found["path"] = str(path) or "/"
    if route:
        found["operation"] = f"{found.get('method') or ''} {route}".strip()
    elif called:
        found["operation"] = called
    elif queue:
        found["operation"] = f"{doing or 'process'} {queue}"
    elif path is None:
        first, _, rest = name.partition(" ")
        if rest.startswith("/") and first.isascii() and first.isalpha():
            # "GET /product/7": a sender without routes; the ids in it are told apart as in a log's path.
            found["method"], found["path"] = first.upper(), rest
        elif name:
            found["operation"] = name


def _rpc(found: dict[str, Any]) -> str:
    service, method = found.pop("rpc_service", None), found.pop("rpc_method", None)
    if method and "/" in str(method):  # the stable convention: the whole name in one
        return str(method)
    return f"{service}/{method}" if service and method else str(method or "")


def _outcome(grpc: object, http: object, *, error: bool) -> str:
    """Return what the sender says beside the status of HTTP; empty where that says enough."""
    code = None if grpc is None else _grpc(grpc)
    if code is not None:
        return "client_abort" if code == _CANCELLED else "failed" if code in _GRPC_FAILED else "ok"
    status = http if type(http) is int else _number(http)
    if status is None:
        return "failed" if error else "ok"
    # 4xx is the caller's fault, whatever a span says; a 200 that the service calls an error is one.
    return "failed" if error and 100 <= status < 400 else ""


def _grpc(value: object) -> int | None:
    number = _number(value)
    if number is not None:
        return number
    word = str(value).upper()
    return _GRPC.index(word) if word in _GRPC else None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
