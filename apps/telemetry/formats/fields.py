"""What senders call the things that we need: one list of names for JSON keys, CSV headers and log tails."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

FIELDS: dict[str, tuple[str, ...]] = {
    "time": (
        *("ts", "time", "timestamp", "_timestamp", "start_time", "time_iso8601", "time_local"),
        *("datetime", "event_time", "msec", "date"),
    ),
    "latency_ms": (
        *("latency_ms", "duration_ms", "response_time_ms", "elapsed_ms", "took_ms"),
        *("latency", "duration", "elapsed"),
    ),
    "latency_s": ("latency_s", "duration_s", "latency_seconds", "duration_seconds"),
    "latency_us": ("latency_us", "duration_us", "duration_micros"),
    "latency_ns": ("latency_ns", "duration_ns"),
    # nginx: seconds, and the time beside it is when the request ended
    "request_time": ("request_time", "rt"),
    "customer": (
        *("customer", "customer_id", "tenant", "tenant_id", "account", "account_id"),
        *("organization", "organisation", "org", "org_id", "company"),
    ),
    "user": (
        "actor",
        "user",
        "user_id",
        "uid",
        "end_user",
        "remote_user",
        "username",
        "enduser_id",
    ),
    "session": ("session", "session_id", "sid", "cookie_sid", "sessionid", "visitor_id", "visitor"),
    "cookie": ("cookie", "http_cookie"),
    "api_key": ("api_key", "apikey", "api_key_id", "client_id", "consumer"),
    "oauth_client": ("oauth_client", "oauth_client_id", "azp", "client_app"),
    "service": ("service", "service_name", "app", "application"),
    "operation": ("operation", "operation_name", "op", "endpoint", "route", "action"),
    "method": ("method", "request_method", "http_method", "http_request_method", "verb"),
    "path": (
        *("path", "uri", "url", "request_uri", "request_path", "url_path", "http_target"),
        *("http_url", "x_envoy_original_path"),
    ),
    "request": ("request", "request_line"),
    "status": (
        *("status", "status_code", "response_code", "http_status", "http_status_code"),
        *("http_response_status_code", "code"),
    ),
    "upstream": ("upstream_status", "us"),
    "cache": ("upstream_cache_status", "cache_status", "ucs"),
    "flags": ("response_flags",),
    "outcome": ("outcome",),
    "ok": ("ok", "success", "succeeded"),
    "error": ("error", "failed", "is_error"),
    "key": (
        "idempotency_key",
        "idempotency",
        "idempotencykey",
        "http_idempotency_key",
        "idem",
        "key",
    ),
    "request_id": ("request_id", "rid", "req_id", "x_request_id", "http_x_request_id", "event_id"),
    "host": ("host", "http_host", "authority", "_authority", "server_name", "vhost"),
    "reporter": ("hostname", "reporter", "reporting_host", "instance", "pod", "node"),
    "addr": ("remote_addr", "client_ip", "ip", "client_address", "remote_ip", "addr", "client"),
    "forwarded": ("x_forwarded_for", "http_x_forwarded_for", "xff", "forwarded_for"),
    "agent": ("user_agent", "http_user_agent", "ua", "useragent", "agent"),
    "arrived": ("arrived", "arrived_at", "received", "received_at"),
    "traffic": ("traffic",),
    "bot": ("bot", "is_bot"),
}
"""Our name of a field -> the names that senders use, the one to prefer first."""

TRAITS: dict[str, tuple[str, ...]] = {
    "region": ("cloud_region", "aws_region", "client_region"),
    "country": ("country_code", "geoip_country_code", "geo_country_iso_code", "cf_ipcountry"),
    "app_version": ("client_version", "x_app_version"),
    "platform": ("device_type", "client_platform", "x_platform"),
}
"""What requests are told apart by in a breakdown -> other names for it; the trait's own name comes first."""

TRAIT = "trait:"
"""Before the name of a trait among the names of our fields."""

WATCH = "watch:"
"""Before the name of a field that an outcome rule looks at."""

SESSION_COOKIES = (
    "sid",
    "session",
    "sessionid",
    "session_id",
    "jsessionid",
    "phpsessid",
    "connect.sid",
)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return a sender's name in the form of FIELDS: lower case, underscores, no $ in front."""
    return (
        name.strip()
        .lstrip("$")
        .lower()
        .replace("-", "_")
        .replace(".", "_")
        .replace(":", "_")
        .replace("@", "_")
    )


class FieldNames:
    """The names in force: FIELDS, `traits`, and before them those that a rules file declares.

    `watched` are names of fields that outcome rules look at, and that mean nothing else then.
    """

    def __init__(
        self,
        declared: Mapping[str, Sequence[str]] | None = None,
        *,
        traits: Sequence[str] = tuple(TRAITS),
        watched: Sequence[str] = (),
    ) -> None:
        self._rank: dict[str, tuple[str, int]] = {}
        fields = FIELDS | {
            f"{TRAIT}{name}": (plain(name), *TRAITS.get(name, ())) for name in traits
        }
        for field, names in fields.items():
            for rank, name in enumerate(names):
                self._rank.setdefault(name, (field, rank))
        declared = {(f"{TRAIT}{k}" if k in traits else k): v for k, v in (declared or {}).items()}
        for field, own in declared.items():
            for rank, name in enumerate(own):
                self._rank[plain(name)] = (field, rank - len(own))
        for name in watched:
            self._rank[plain(name)] = (f"{WATCH}{plain(name)}", 0)
        self._seen: dict[str, tuple[str, int] | None] = {}

    def find(self, name: str) -> tuple[str, int] | None:
        """Return our field and the rank of this name in it (lowest wins), or None for a name of no use."""
        try:
            return self._seen[name]
        except KeyError:
            found = self._rank.get(plain(name))
            if len(self._seen) < 4096:  # names come from the input: their number must be bounded
                self._seen[name] = found
            return found

    def pick(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return, for each of our fields that occurs, the sender's names for it, preferred first."""
        found: dict[str, list[tuple[int, str]]] = {}
        for name in names:
            if (hit := self.find(name)) is not None:
                found.setdefault(hit[0], []).append((hit[1], name))
        return {field: [name for _, name in sorted(ranked)] for field, ranked in found.items()}
