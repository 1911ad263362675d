"""What closes a gap, to paste: settings of proxies, calls of libraries, clients and senders.

Every field that a snippet writes is one that `telemetry.formats` reads; `tests/impact/test_snippets.py`
reads what each one writes by our own parsers.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """Something to paste.

    `where` says into what, `fields` which of our fields (`telemetry.formats.fields`) its log then carries,
    `note` what to know before.
    """

    where: str
    text: str
    fields: tuple[str, ...] = ()
    note: str = ""


NGINX_TEXT = Snippet(
    "nginx, as text",
    """\
log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                 '"$http_user_agent" rt=$request_time us="$upstream_status" sid="$cookie_sid" '
                 'key="$http_idempotency_key" rid=$request_id';
access_log /var/log/nginx/access.log timed;""",
    ("session", "key", "request_id", "upstream", "request_time"),
    "sid is the name of your session cookie. Only a keyed hash of it is kept.",
)
NGINX_JSON = Snippet(
    "nginx, as JSON",
    """\
log_format portal escape=json '{"time":"$time_iso8601","remote_addr":"$remote_addr","request":"$request",'
                              '"status":"$status","upstream_status":"$upstream_status",'
                              '"request_time":"$request_time","user_agent":"$http_user_agent",'
                              '"session_id":"$cookie_sid","idempotency_key":"$http_idempotency_key",'
                              '"request_id":"$request_id"}';
access_log /var/log/nginx/access.ndjson portal;""",
    ("session", "key", "request_id", "upstream", "request_time"),
    "sid is the name of your session cookie. Only a keyed hash of it is kept.",
)
NGINX_INGRESS = Snippet(
    "nginx ingress controller",
    """\
kubectl logs --follow --namespace ingress-nginx deployment/ingress-nginx-controller | manage.py tail -""",
    note="Its own format (upstreaminfo) is read as it is; so is nginx's combined, without anything to set.",
)
APACHE = Snippet(
    "Apache",
    """\
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{Referer}i\\" \\"%{User-Agent}i\\" duration_us=%D \
sid=\\"%{sid}C\\" key=\\"%{Idempotency-Key}i\\" rid=%L" portal
CustomLog /var/log/apache2/access.log portal""",
    ("session", "key", "request_id"),
    "sid is the name of your session cookie. Only a keyed hash of it is kept.",
)
ENVOY_TEXT = Snippet(
    "Envoy, as text",
    """\
access_log:
- name: envoy.access_loggers.file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: /dev/stdout""",
    note="Its default format is read as it is. It carries no session: people are told apart by address only.",
)
ENVOY_OTLP = Snippet(
    "Envoy, traces over OTLP",
    """\
tracing:
  provider:
    name: envoy.tracers.opentelemetry
    typed_config:
      "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
      service_name: edge
      http_service:
        http_uri: {uri: "https://portal.example.com/v1/traces", cluster: portal, timeout: 5s}
        request_headers_to_add:
        - header: {key: Authorization, value: "Bearer KEY"}""",
    note="In the connection manager, beside a cluster called portal. What could not be delivered Envoy drops:"
    " where every request counts, have its access log followed instead. Not both: each would count.",
)
ENVOY_OTLP_LOG = Snippet(
    "Envoy, access log over OTLP",
    """\
access_log:
- name: envoy.access_loggers.open_telemetry
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig
    http_service:
      http_uri: {uri: "https://portal.example.com/v1/logs", cluster: portal, timeout: 5s}
      request_headers_to_add:
      - header: {key: Authorization, value: "Bearer KEY"}
    resource_attributes:
      values:
      - {key: service.name, value: {string_value: edge}}
    attributes:
      values:
      - {key: start_time, value: {string_value: "%START_TIME%"}}
      - {key: duration_ms, value: {string_value: "%DURATION%"}}
      - {key: method, value: {string_value: "%REQ(:METHOD)%"}}
      - {key: path, value: {string_value: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"}}
      - {key: response_code, value: {string_value: "%RESPONSE_CODE%"}}
      - {key: response_flags, value: {string_value: "%RESPONSE_FLAGS%"}}
      - {key: user_agent, value: {string_value: "%REQ(USER-AGENT)%"}}
      - {key: x_forwarded_for, value: {string_value: "%REQ(X-FORWARDED-FOR)%"}}
      - {key: session_id, value: {string_value: "%REQ(X-SESSION-ID)%"}}
      - {key: idempotency_key, value: {string_value: "%REQ(IDEMPOTENCY-KEY)%"}}
      - {key: request_id, value: {string_value: "%REQ(X-REQUEST-ID)%"}}""",
    note="In the connection manager, beside a cluster called portal. What could not be delivered Envoy drops.",
)
ENVOY = Snippet(
    "Envoy, as JSON",
    """\
access_log:
- name: envoy.access_loggers.file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: /dev/stdout
    log_format:
      json_format:
        start_time: "%START_TIME%"
        duration: "%DURATION%"
        method: "%REQ(:METHOD)%"
        path: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
        response_code: "%RESPONSE_CODE%"
        response_flags: "%RESPONSE_FLAGS%"
        user_agent: "%REQ(USER-AGENT)%"
        x_forwarded_for: "%REQ(X-FORWARDED-FOR)%"
        session_id: "%REQ(X-SESSION-ID)%"
        idempotency_key: "%REQ(IDEMPOTENCY-KEY)%"
        request_id: "%REQ(X-REQUEST-ID)%\"""",
    ("session", "key", "request_id", "forwarded"),
    'Have the application or the app send X-Session-Id; `cookie: "%REQ(COOKIE)%"` does as well where the'
    " cookie is called sid or session.",
)
OTEL_PYTHON = Snippet(
    "OpenTelemetry in Python",
    """\
from opentelemetry import trace

span = trace.get_current_span()
span.set_attribute("session.id", session_pseudonym)
span.set_attribute("idempotency.key", request.headers.get("Idempotency-Key", ""))""",
    ("session", "key"),
    "Set them on the server's span: OTLP carries them here. Give a pseudonym, never the cookie itself.",
)
OTEL_JAVASCRIPT = Snippet(
    "OpenTelemetry in JavaScript",
    """\
import { trace } from "@opentelemetry/api";

const span = trace.getActiveSpan();
span?.setAttribute("session.id", sessionPseudonym);
span?.setAttribute("idempotency.key", request.headers["idempotency-key"] ?? "");""",
    ("session", "key"),
    "Set them on the server's span: OTLP carries them here. Give a pseudonym, never the cookie itself.",
)
CLIENT_PYTHON = Snippet(
    "A client in Python",
    """\
import uuid

key = str(uuid.uuid4())  # one for each order, not for each try
for attempt in range(3):
    answer = session.post(url, json=order, headers={"Idempotency-Key": key})
    if answer.status_code < 500:
        break""",
    note="The server must log the header: see nginx and Envoy here.",
)
CLIENT_JAVASCRIPT = Snippet(
    "A client in JavaScript",
    """\
const key = crypto.randomUUID(); // one for each order, not for each try
let answer;
for (let attempt = 0; attempt < 3; attempt += 1) {
  answer = await fetch(url, { method: "POST", body, headers: { "Idempotency-Key": key } });
  if (answer.status < 500) break;
}""",
    note="The server must log the header: see nginx and Envoy here.",
)
FORWARDED = Snippet(
    "nginx behind a proxy",
    """\
log_format forwarded '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                     '"$http_user_agent" rt=$request_time us="$upstream_status" sid="$cookie_sid" '
                     'xff="$http_x_forwarded_for"';
access_log /var/log/nginx/access.log forwarded;""",
    ("forwarded", "session"),
    "Take the header only from proxies of your own: others can write into it what they like.",
)
CUSTOMER = Snippet(
    "nginx, the customer's account",
    """\
log_format named '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                 '"$http_user_agent" rt=$request_time host=$host tenant=$upstream_http_x_tenant_id '
                 'client_id=$upstream_http_x_client_id';
access_log /var/log/nginx/access.log named;""",
    ("customer", "api_key", "host"),
    "Have the application answer with X-Tenant-Id once it knows who asks; then write an identification rule.",
)
METER = Snippet(
    "nginx, what the service itself answered",
    """\
log_format answered '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                    '"$http_user_agent" rt=$request_time us="$upstream_status" ucs=$upstream_cache_status';
access_log /var/log/nginx/access.log answered;""",
    ("upstream", "cache"),
    "A proxy may answer in place of the service: with both statuses it shows which one failed.",
)
HEALTH_CHECKS = Snippet(
    "nginx, health checks marked",
    """\
map $http_user_agent $traffic {
    default           -;
    ~*my-health-check probe;
    ~*my-crawler      bot;
}
log_format marked '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
                  '"$http_user_agent" rt=$request_time traffic=$traffic';
access_log /var/log/nginx/access.log marked;""",
    ("traffic",),
    "What is marked probe or bot is counted apart and is no part of a customer's number; of the rest, those that"
    " say themselves what they are (kube-probe, crawlers) are found as before.",
)
ARRIVED = Snippet(
    "A sender in Python",
    """\
event["arrived_at"] = datetime.now(UTC).isoformat()  # as the collector receives it
event["hostname"] = socket.gethostname()             # of the server that wrote it""",
    ("arrived", "reporter"),
    "With both the clock of each server is compared with the others', and set right.",
)
VECTOR = Snippet(
    "Vector, in a remap transform",
    """\
.arrived_at = format_timestamp!(now(), format: "%+")
.hostname = get_hostname!()""",
    ("arrived", "reporter"),
    "With both the clock of each server is compared with the others', and set right.",
)
FOLLOWING = Snippet(
    "Logs, as they grow",
    "manage.py tail /var/log/nginx/access.log",
    note="Follows rotations, goes on where it stopped, and stores each line once. Apache's and Envoy's logs are"
    " recognised as well; manage.py tail --help says more.",
)
HISTORY = Snippet(
    "Logs of earlier weeks",
    "manage.py ingest /var/log/nginx/access.log-*.gz /var/log/nginx/access.log",
    note="Three earlier weeks or more. Files that were read before are known again; nothing is counted twice.",
)
SENDING = Snippet(
    "Events over HTTP",
    """\
curl -H "Authorization: Bearer $KEY" -H "Content-Type: application/x-ndjson" \\
     --data-binary @events.ndjson https://portal.example.com/api/v1/events""",
    note="The same body sent again changes nothing, so what was kept back can be sent whole.",
)
OTEL_SDK = Snippet(
    "OpenTelemetry, any SDK",
    """\
export OTEL_EXPORTER_OTLP_ENDPOINT=https://portal.example.com
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer $KEY\"""",
    note="Spans of servers count, once each; add session.id and customer.id to them to tell people apart.",
)
OTEL_COLLECTOR = Snippet(
    "OpenTelemetry collector",
    """\
exporters:
  otlphttp/portal:
    endpoint: https://portal.example.com
    headers: {Authorization: "Bearer ${env:PORTAL_KEY}"}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlphttp/portal]}""",
    note="Put it before anything that samples: of spans that were left out nobody can tell a story.",
)
OUTCOME = Snippet(
    "An application's own events",
    """\
log.info(json.dumps({
    "time": started.isoformat(),
    "operation": "POST /orders",
    "status": 202,
    "outcome": "failed" if order.refused else "ok",
    "session_id": session_pseudonym,
}))""",
    ("outcome", "session"),
    "For answers that come later, or that say 200 and mean no.",
)
BEACON = Snippet(
    "Network Error Logging, from browsers",
    """\
add_header Report-To '{"group":"nel","max_age":86400,"endpoints":[{"url":"https://reports.example.com/nel"}]}';
add_header NEL '{"report_to":"nel","max_age":86400,"failure_fraction":1.0}';""",
    note="Browsers then report failures that never reached you, to an address of yours. Reports are not"
    " read here; they tell which of the missing failed on the way.",
)
WAITED = Snippet(
    "A script of your pages",
    """\
addEventListener("pagehide", () => {
  const waits = performance.getEntriesByType("resource").map(({ name, duration }) => ({ name, duration }));
  navigator.sendBeacon("https://reports.example.com/waits", JSON.stringify(waits));
});""",
    note="Browsers then tell an address of yours how long each call took, with the way to you and back. These"
    " reports are not read here.",
)
SAMPLING = Snippet(
    "OpenTelemetry collector, all or nothing of a session",
    """\
processors:
  probabilistic_sampler:
    mode: hash_seed
    from_attribute: session.id
    attribute_source: record
    sampling_percentage: 10""",
    note="For logs. Sampled by session, what is kept of somebody is kept whole.",
)

ACTOR = (NGINX_TEXT, NGINX_JSON, APACHE, ENVOY, OTEL_PYTHON, OTEL_JAVASCRIPT)

SENDERS = (
    *(
        FOLLOWING,
        NGINX_TEXT,
        NGINX_JSON,
        NGINX_INGRESS,
        APACHE,
        ENVOY_TEXT,
        ENVOY,
        ENVOY_OTLP,
        ENVOY_OTLP_LOG,
    ),
    *(SENDING, OTEL_SDK, OTEL_COLLECTOR),
)

SNIPPETS: dict[str, Sequence[Snippet]] = {
    "actor": ACTOR,
    "address": ACTOR,
    "user_uptime": ACTOR,
    "proxy": (FORWARDED, *ACTOR),
    "attempts": (CLIENT_PYTHON, CLIENT_JAVASCRIPT, *ACTOR),
    "customer": (CUSTOMER,),
    "meter": (METER,),
    "sender": SENDERS,
    "no_events": SENDERS,
    "lost_attempts": (HISTORY, *ACTOR),
    "not_returned": (HISTORY, *ACTOR),
    "net_lost": (BEACON,),
    "server_time": (WAITED,),
    "ingest_time": (ARRIVED, VECTOR),
    "outcome": (OUTCOME,),
    "probes": (HEALTH_CHECKS,),
    "sampled": (SAMPLING,),
}
"""Code of a gap -> what closes it, the likeliest first. The others close by time, or never."""


def snippets_for(code: str) -> Sequence[Snippet]:
    """Return what closes a gap; nothing when only time does, or too few people were affected."""
    return SNIPPETS.get(code, ())
