"""`bench status`: the rendered page against a bare WSGI application, in the same server on the same machine."""

import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from apps.core.figures import BenchRow, Goal, Option, at_least, bench
from apps.core.webserver import Web, web
from apps.statuspage.rehearsal import pass_for, stage

REQUESTS = Option("--requests", int, 40_000, "requests in a round", quick=2_000)
ROUNDS = 5  # in turns, so that what else runs here hits both
CONNECTIONS = 4
PIPELINED = 16  # requests written at once: the client must not be what is measured
HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\\n"]
"""


@dataclass(frozen=True)
class _Round:
    per_second: float
    cpu_us: float
    p99_ms: float


@bench("status", help="the status page against a bare WSGI application", options=[REQUESTS])
def status(*, requests: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Ask both in turns, and compare requests a second, processor time and the slowest hundredth."""
    staged = stage(now=timezone.now())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hello.py").write_text(HELLO)
        with web() as ours, web("hello:application", python_path=folder) as bare:
            for what, cookie, goal in (
                ("/", "", at_least(0.5)),
                ("/ for a customer, by signed cookie", pass_for(staged.customer), None),
            ):
                mine: list[_Round] = []
                theirs: list[_Round] = []
                for number in range(2 if quick else ROUNDS):
                    turn = [(ours, mine), (bare, theirs)]
                    for site, found in turn if number % 2 else reversed(turn):
                        found.append(_round(site, requests, cookie))
                yield from _rows(what, mine, theirs, goal)


def _rows(
    what: str, ours: list[_Round], bare: list[_Round], goal: Goal | None
) -> Iterator[BenchRow]:
    def middle(rounds: list[_Round], name: str) -> float:
        values: list[float] = [getattr(one, name) for one in rounds]
        return statistics.median(values)

    for label, name, unit in (
        ("requests a second", "per_second", "1/s"),
        ("server's processor time", "cpu_us", "µs/request"),
        ("p99", "p99_ms", "ms"),
    ):
        yield BenchRow(
            f"{what}: {label}",
            middle(ours, name),
            middle(bare, name),
            goal=goal if name == "per_second" else None,
            unit=unit,
            baseline_name="a bare WSGI application",
        )


def _round(site: Web, requests: int, cookie: str) -> _Round:
    words = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Accept-Encoding: gzip"]
    request = "\r\n".join([*words, *([f"Cookie: {cookie}"] if cookie else []), "", ""]).encode()
    length = _length(site, request)
    each = max(requests // CONNECTIONS // PIPELINED, 1)
    cpu, began = site.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda _: _pour(site, request, length, each), range(CONNECTIONS)))
    took = time.monotonic() - began
    cpu = site.cpu_seconds() - cpu
    done = each * PIPELINED * CONNECTIONS
    return _Round(done / took, cpu / done * 1e6, _p99(site, request, length, requests // 20))


def _length(site: Web, request: bytes) -> int:
    """Return how long an answer is, head and body: every one of a round is as long."""
    with closing(socket.create_connection(("127.0.0.1", site.port), timeout=30)) as to:
        to.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += to.recv(65536)
        head = answer.partition(b"\r\n\r\n")[0]
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        return len(head) + 4 + int(lines[b"content-length"])


def _pour(site: Web, request: bytes, length: int, times: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", site.port), timeout=30)) as to:
        buffer = memoryview(bytearray(1 << 18))
        for _ in range(times):
            to.sendall(request * PIPELINED)
            _take(to, buffer, length * PIPELINED)


def _p99(site: Web, request: bytes, length: int, times: int) -> float:
    taken = []
    with closing(socket.create_connection(("127.0.0.1", site.port), timeout=30)) as to:
        buffer = memoryview(bytearray(1 << 18))
        for _ in range(max(times, 100)):
            began = time.perf_counter()
            to.sendall(request)
            _take(to, buffer, length)
            taken.append(time.perf_counter() - began)
    return statistics.quantiles(taken, n=100)[-1] * 1000


def _take(to: socket.socket, buffer: memoryview, left: int) -> None:
    while left:
        got = to.recv_into(buffer, min(left, len(buffer)))
        if not got:
            raise ConnectionError("the server closed in the middle of an answer")
        left -= got
