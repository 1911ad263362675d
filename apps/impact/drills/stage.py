"""What `drill senders` puts around real programs: an application behind them, and known traffic through them."""

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from apps.impact import snippets
from apps.telemetry.drills.installation import free_port, wait_for_port

OK, FAILING, LEAVING, MASKED, DEAD, RETRIED, PROBES = 40, 7, 5, 6, 4, 3, 3
PATIENCE = 0.25  # seconds before a client leaves
SLOW = 1.5  # seconds until the application answers those
NGINX_MODULES = "/etc/nginx/modules-enabled/*.conf"
APACHE_MODULES = Path("/usr/lib/apache2/modules")


@dataclass(frozen=True)
class Sent:
    """What went through a program: requests of people, how many failed, left before the answer, and probes."""

    requests: int
    failed: int
    left: int
    probes: int


@dataclass
class Application:
    """Answers by the path: /ok/, /boom/ (500), /slow/, and /flaky/, which fails on the first try."""

    seen: set[str] = field(default_factory=set)
    port: int = 0
    other_port: int = 0

    @contextmanager
    def running(self) -> Iterator["Application"]:
        """Listen on two ports while the block runs."""
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status = 200
                if "/boom/" in self.path:
                    status = 500
                elif "/slow/" in self.path:
                    time.sleep(SLOW)
                elif "/flaky/" in self.path and self.path not in application.seen:
                    application.seen.add(self.path)
                    status = 503
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "3")
                    self.end_headers()
                    self.wfile.write(b"hi\n")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port, self.other_port = (server.server_port for server in servers)
        try:
            yield self
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()


def send(port: int, *, masked: bool = False, leaves: bool = True) -> Sent:
    """Send the traffic through a program and return what it was; `masked`: also to pages that hide a failure."""
    for number in range(OK):
        _ask(port, f"/ok/{number}")
    for number in range(FAILING):
        _ask(port, f"/boom/{number}")
    for number in range(MASKED if masked else 0):
        _ask(port, f"/masked/boom/{number}")
    for number in range(DEAD):
        _ask(port, f"/dead/{number}")
    for number in range(RETRIED):
        _ask(port, f"/flaky/{port}-{number}")
    for _ in range(PROBES):
        _ask(port, "/healthz", agent="kube-probe/1.31")
    leaving = [
        threading.Thread(target=_ask, args=(port, f"/slow/{number}"), kwargs={"wait": PATIENCE})
        for number in range(LEAVING if leaves else 0)
    ]
    for one in leaving:
        one.start()
    for one in leaving:
        one.join()
    time.sleep(SLOW + 0.5)  # until the application has answered those who have gone
    failed = FAILING + DEAD + (MASKED if masked else 0)
    return Sent(OK + failed + RETRIED + len(leaving), failed, len(leaving), PROBES)


def _ask(
    port: int, path: str, *, agent: str = "Mozilla/5.0 (X11; Linux)", wait: float = 10
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=wait)
    try:
        connection.request(
            "GET",
            path,
            headers={
                "User-Agent": agent,
                "Cookie": "sid=s-42",
                "X-Session-Id": "s-42",
                "Idempotency-Key": path,
            },
        )
        connection.getresponse().read()
    except OSError:
        pass  # gone, as planned
    finally:
        connection.close()


@contextmanager
def program(*argv: str, port: int, folder: Path) -> Iterator[None]:
    """Run a program while the block runs. Raise RuntimeError with its last words when it does not listen."""
    said = folder / "said.log"
    with said.open("ab") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            try:
                wait_for_port(port, 30)
            except TimeoutError:
                words = said.read_text(errors="replace")[-800:]
                raise RuntimeError(f"{argv[0]} does not listen: {words}") from None
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


# ---- nginx


def nginx_logs() -> dict[str, snippets.Snippet]:
    """Return what nginx writes in the drill, by the name of the file."""
    return {
        "timed.log": snippets.NGINX_TEXT,
        "portal.ndjson": snippets.NGINX_JSON,
        "forwarded.log": snippets.FORWARDED,
        "named.log": snippets.CUSTOMER,
        "answered.log": snippets.METER,
        "marked.log": snippets.HEALTH_CHECKS,
    }


INGRESS = (
    'log_format upstreaminfo \'$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" $request_length $request_time [$host-ok] [] $upstream_addr '
    "$upstream_response_length $upstream_response_time $upstream_status $request_id';"
)
"""What the ingress controller has as its default (its variables that nginx lacks are replaced)."""


@contextmanager
def nginx(binary: str, folder: Path, application: Application) -> Iterator[int]:
    """Run nginx with every snippet for it; yield its port."""
    port = free_port()
    pasted = "\n".join(
        one.text.replace("/var/log/nginx/access.log", str(folder / name)).replace(
            "/var/log/nginx/access.ndjson", str(folder / name)
        )
        for name, one in nginx_logs().items()
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
{temporary}
{pasted}
{INGRESS}
access_log {folder}/ingress.log upstreaminfo;
access_log {folder}/combined.log combined;
upstream two {{
    server 127.0.0.1:{application.port} max_fails=0;
    server 127.0.0.1:{application.other_port} max_fails=0;
}}
server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{application.port}; }}
    location /dead/ {{ proxy_pass http://127.0.0.1:1; }}
    location /flaky/ {{ proxy_pass http://two; proxy_next_upstream http_503; }}
    location /masked/ {{
        proxy_pass http://127.0.0.1:{application.port};
        proxy_intercept_errors on;
        error_page 500 502 503 504 =200 /sorry;
    }}
    location = /sorry {{ internal; return 200 "Back soon"; }}
}}
}}
"""
    )
    with program(
        binary, "-c", str(conf), "-e", str(folder / "error.log"), port=port, folder=folder
    ):
        yield port


# ---- Apache


@contextmanager
def apache(binary: str, folder: Path, application: Application) -> Iterator[int]:
    """Run Apache with its snippet and with its own combined format; yield its port."""
    port = free_port()
    names = ("mpm_event", "authz_core", "proxy", "proxy_http", "unixd")
    modules = "\n".join(
        f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so"
        for name in names
        if (APACHE_MODULES / f"mod_{name}.so").exists()
    )
    pasted = snippets.APACHE.text.replace("/var/log/apache2/access.log", str(folder / "apache.log"))
    conf = folder / "apache.conf"
    conf.write_text(
        f"""
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache-error.log
Mutex posixsem
{modules}
User www-data
Group www-data
{pasted}
LogFormat "%h %l %u %t \\"%r\\" %>s %b \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
CustomLog {folder}/apache-combined.log combined
ProxyPass /dead/ http://127.0.0.1:1/
ProxyPass / http://127.0.0.1:{application.port}/ disablereuse=on
"""
    )
    with program(binary, "-f", str(conf), "-DFOREGROUND", port=port, folder=folder):
        yield port


# ---- Envoy


@contextmanager
def envoy(
    binary: str, folder: Path, application: Application, *, portal: str, keys: dict[str, str]
) -> Iterator[dict[str, int]]:
    """Run Envoy with each snippet for it in a listener of its own; yield their ports by the snippet's name."""
    pasted = {
        "text": snippets.ENVOY_TEXT.text.replace("/dev/stdout", str(folder / "envoy.log")),
        "json": snippets.ENVOY.text.replace("/dev/stdout", str(folder / "envoy.ndjson")),
        "traces": _to(portal, keys["traces"], snippets.ENVOY_OTLP.text),
        "logs": _to(portal, keys["logs"], snippets.ENVOY_OTLP_LOG.text),
    }
    ports = {name: free_port() for name in pasted}
    listeners = "".join(_listener(ports[name], text) for name, text in pasted.items())
    clusters = "".join(
        _cluster(name, port)
        for name, port in {
            "app": application.port,
            "dead": 1,
            "portal": int(portal.rpartition(":")[2]),
        }.items()
    )
    conf = folder / "envoy.yaml"
    conf.write_text(f"static_resources:\n  listeners:\n{listeners}  clusters:\n{clusters}")
    argv = (
        binary,
        "-c",
        str(conf),
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "--log-level",
        "warning",
    )
    with program(*argv, port=ports["logs"], folder=folder):
        yield ports


def _to(portal: str, key: str, text: str) -> str:
    return text.replace("https://portal.example.com", portal).replace("Bearer KEY", f"Bearer {key}")


def _listener(port: int, pasted: str) -> str:
    lines = "".join(f"          {line}\n" for line in pasted.splitlines())
    return f"""
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in{port}
          use_remote_address: true
{lines}          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{prefix: "/dead/"}}, route: {{cluster: dead}}}}
              - match: {{prefix: "/flaky/"}}
                route: {{cluster: app, retry_policy: {{retry_on: 5xx, num_retries: 2}}}}
              - {{match: {{prefix: "/"}}, route: {{cluster: app}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"""


def _cluster(name: str, port: int) -> str:
    endpoint = json.dumps(
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    )
    return (
        f"  - {{name: {name}, connect_timeout: 1s, load_assignment: {{cluster_name: {name},"
        f" endpoints: [{{lb_endpoints: [{endpoint}]}}]}}}}\n"
    )


# ---- SDKs

PYTHON = """
import sys, time
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider(resource=Resource.create({"service.name": "sdk-python"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(compression=getattr(__import__(
    "opentelemetry.exporter.otlp.proto.http", fromlist=["Compression"]), "Compression").Gzip)))
tracer = provider.get_tracer("drill")
for number in range(int(sys.argv[1])):
    with tracer.start_as_current_span("GET /ok", kind=trace.SpanKind.SERVER) as span:
        span.set_attribute("http.request.method", "GET")
        span.set_attribute("http.route", "/ok")
        span.set_attribute("http.response.status_code", 500 if number < int(sys.argv[2]) else 200)
        with tracer.start_as_current_span("SELECT", kind=trace.SpanKind.CLIENT):
            pass
provider.shutdown()
"""
JAVASCRIPT = """
const { NodeTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-node");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-" + process.argv[4]);
const { SpanKind } = require("@opentelemetry/api");
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "sdk-javascript" }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
});
const tracer = provider.getTracer("drill");
for (let number = 0; number < Number(process.argv[2]); number += 1) {
  const span = tracer.startSpan("GET /ok", { kind: SpanKind.SERVER });
  span.setAttributes({
    "http.request.method": "GET",
    "http.route": "/ok",
    "http.response.status_code": number < Number(process.argv[3]) ? 500 : 200,
  });
  tracer.startSpan("fetch", { kind: SpanKind.CLIENT }).end();
  span.end();
}
provider.shutdown();
"""
