"""`bench acknowledge`: how long a sender waits for the word that its events are stored, at a steady rate."""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import orjson
from django.db.models import Sum
from django.utils import timezone

from apps.accounts.models import ApiKey, Scope
from apps.core.figures import BenchRow, Option, at_least, at_most, bench
from apps.core.webserver import Web, database_url, web
from apps.telemetry.models import Batch

RATE = Option("--rate", int, 20_000, "events a second that are sent", quick=2_000)
SECONDS = Option("--seconds", int, 30, "seconds for which they are sent", quick=1)
IN_A_BODY = 1_000
SENDERS = 8
SLOWEST_MS = 100
KEEPS = """
import os

def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    with open(os.environ["KEEP"], "ab") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\\n"]
"""


@dataclass(frozen=True)
class _Sent:
    """What became of the deliveries: how long each took from when it was due, and how many were taken."""

    waited_ms: list[float]
    taken: int
    refused: int

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.waited_ms, n=100)[-1]


@bench(
    "acknowledge", help="the wait for 200 while events come in steadily", options=[RATE, SECONDS]
)
def acknowledge(*, rate: int, seconds: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Send NDJSON over HTTP on a fixed schedule, as collectors do, to the server that `up` runs.

    A wait is counted from when the delivery was due, so that a server that holds senders up cannot hide it.
    The baseline appends the same bodies to one file, durably, and reads nothing of them.
    """
    bodies = list(deliveries(rate * seconds, seed))
    _, token = ApiKey.objects.issue(name=f"bench {timezone.now():%H%M%S%f}", scopes=[Scope.INGEST])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "keeps.py").write_text(KEEPS)
        with web("keeps:application", python_path=folder, KEEP=str(Path(folder) / "kept")) as bare:
            theirs = send(bare, bodies, token, rate=rate)
        with web(DATABASE_URL=database_url()) as site:
            before = _stored()
            ours = send(site, bodies, token, rate=rate)
            stored = _stored() - before
    what = f"{rate:,} events a second"
    yield BenchRow(
        f"{what}: p99 of the wait",
        ours.p99,
        theirs.p99,
        goal=None if quick else at_most(SLOWEST_MS),
        absolute=True,
        unit="ms",
        baseline_name="appending the same bodies to a file, durably",
    )
    yield BenchRow(
        f"{what}: median of the wait",
        statistics.median(ours.waited_ms),
        statistics.median(theirs.waited_ms),
        unit="ms",
        baseline_name="the same",
    )
    yield BenchRow(
        f"{what}: stored of {len(bodies) * IN_A_BODY:,}, acknowledged",
        float(stored),
        float(ours.taken * IN_A_BODY),
        goal=at_least(1),
        unit="events",
        baseline_name="what was acknowledged",
        note=f"{ours.refused} deliveries refused",
    )


def deliveries(events: int, seed: int) -> Iterator[bytes]:
    """Yield bodies of a thousand events each, all different, as a program writes them."""
    dice = random.Random(seed)  # noqa: S311  (data, not secrets)
    now = int(timezone.now().timestamp() * 1000)
    for first in range(0, events, IN_A_BODY):
        yield b"".join(
            orjson.dumps(
                {
                    "ts": now + number // 20,
                    "service": "shop",
                    "operation": f"GET /page/{dice.randrange(40)}",
                    "status": dice.choices([200, 404, 503], [95, 2, 3])[0],
                    "latency_ms": dice.randrange(5, 900),
                    "session": f"s{int(60_000 * dice.random() ** 2)}",
                    "request_id": f"{dice.getrandbits(64):016x}",
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for number in range(first, first + IN_A_BODY)
        )


def send(site: Web, bodies: Sequence[bytes], token: str, *, rate: int) -> _Sent:
    """Send each body when it is due; senders take turns and wait for their answer."""
    began = time.perf_counter() + 0.2
    beat = IN_A_BODY / rate

    def sender(which: int) -> tuple[list[float], int, int]:
        waited, taken, refused = [], 0, 0
        with closing(HTTPConnection("127.0.0.1", site.port, timeout=30)) as to:
            for number in range(which, len(bodies), SENDERS):
                due = began + number * beat
                time.sleep(max(0.0, due - time.perf_counter()))
                status = _post(to, bodies[number], token)
                waited.append((time.perf_counter() - due) * 1000)
                taken += status == 200
                refused += status != 200
        return waited, taken, refused

    with ThreadPoolExecutor(SENDERS) as pool:
        parts = list(pool.map(sender, range(SENDERS)))
    return _Sent(
        [one for waited, _, _ in parts for one in waited],
        sum(taken for _, taken, _ in parts),
        sum(refused for _, _, refused in parts),
    )


def _post(to: HTTPConnection, body: bytes, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    try:
        to.request("POST", "/api/v1/events", body, headers)
        answer = to.getresponse()
        answer.read()
    except (OSError, HTTPException):
        to.close()
        return 0
    return answer.status


def _stored() -> int:
    return Batch.objects.aggregate(rows=Sum("rows"))["rows"] or 0
