"""`drill ingest`: ingest is killed at random moments and run again; every line must be stored exactly once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

import psycopg
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core.figures import DrillStep, Option, drill

KILLS = Option("--kills", int, 20, "how often ingest is killed", quick=3)
LINES = 4_000  # added to the log before each round
CHUNK = 16 * 1024
ROUNDS = 500  # a bound on how often ingest is started, whatever happens


@dataclass
class _Count:
    """What happened."""

    kills: int = 0
    in_work: int = 0  # kills that hit it after it had begun to store
    runs: int = 0
    wrong_exits: list[str] = field(default_factory=list)


@drill(
    "ingest",
    help="kill ingest at random moments and run it again: each line exactly once",
    options=[KILLS],
)
def ingest(*, kills: int, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Let a log grow, take it in, kill the taker, and compare the store with the log."""
    dice = random.Random(seed)  # noqa: S311  (moments, not secrets)
    with _installation() as home:
        log = home.folder / "access.log"
        written = _grow(log, 0, LINES)
        took = _run(home, log, _Count()) or 1.0
        count = _Count()
        while count.kills < kills and count.runs < ROUNDS:
            written = _grow(log, written, LINES)
            _start_and_kill(home, log, dice.uniform(0.0, took * 1.1), count)
        finished = _run(home, log, count) is not None
        again = _run(home, log, count) is not None
        yield DrillStep(
            "ingest killed -9",
            tried=count.kills,
            violations=0,
            note=f"{count.in_work} while storing",
        )
        bad = len(count.wrong_exits) + (not finished) + (not again)
        yield DrillStep(
            "runs that ended by themselves end well",
            count.runs - count.kills,
            bad,
            "; ".join(count.wrong_exits[:3]),
        )
        yield from _compare(home, written)


def _compare(home: "_Home", written: int) -> Iterator[DrillStep]:
    with psycopg.connect(home.url) as con:
        segments = con.execute(
            "SELECT path, rows, sha256 FROM telemetry_segment WHERE deleted_at IS NULL"
        ).fetchall()
        batches = con.execute("SELECT coalesce(sum(rows), 0) FROM telemetry_batch").fetchone()
    requests: list[int] = []
    torn = 0
    for path, rows, digest in segments:
        file = home.events / path
        torn += not file.exists() or sha256(file.read_bytes()).hexdigest() != digest
        values = (
            pq.read_table(file, columns=["request"]).column("request").to_pylist()
            if file.exists()
            else []
        )
        torn += len(values) != rows
        requests += values
    lost = written - len(set(requests))
    double = len(requests) - len(set(requests))
    yield DrillStep("lines lost", tried=written, violations=max(lost, 0))
    yield DrillStep("lines stored twice", tried=written, violations=double)
    yield DrillStep(
        "files that are not what the catalogue says", tried=len(segments), violations=torn
    )
    known = {path for path, _, _ in segments}
    orphans = [
        p for p in home.events.glob("dt=*/hh=*/*") if str(p.relative_to(home.events)) not in known
    ]
    counted = int(batches[0]) if batches else 0
    yield DrillStep(
        "batches count what is stored",
        tried=written,
        violations=abs(counted - len(requests)),
        note=f"{len(orphans)} orphan files for the sweep",
    )


@dataclass(frozen=True)
class _Home:
    """An installation of its own: a database on the same server and a folder."""

    folder: Path
    url: str

    @property
    def events(self) -> Path:
        return self.folder / "events"

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the portal in it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=os.environ
            | {
                "PORTAL_HOME": str(self.folder),
                "DATABASE_URL": self.url,
                "DJANGO_SETTINGS_MODULE": "portal.settings",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@contextmanager
def _installation() -> Iterator[_Home]:
    own = connection.settings_dict
    name = f"portal_drill_{uuid.uuid4().hex[:12]}"
    server = {
        "user": own["USER"],
        "password": own["PASSWORD"],
        "port": own["PORT"],
        "host": own["HOST"],
    }
    query = urlencode({key: value for key, value in server.items() if value}, quote_via=quote)
    url = f"postgresql:///{name}?{query}"
    with psycopg.connect(f"postgresql:///postgres?{query}", autocommit=True) as con:
        con.execute(f'CREATE DATABASE "{name}"')
        try:
            with TemporaryDirectory(prefix="portal-drill-") as folder:
                home = _Home(Path(folder), url)
                migrate = home.command("migrate", "--verbosity", "0")
                said, _ = migrate.communicate()
                if migrate.returncode:
                    raise RuntimeError(f"the drill's database could not be made: {said}")
                yield home
        finally:
            con.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _grow(log: Path, start: int, lines: int) -> int:
    """Add lines to the log, each with an id of its own, over some hours; return how many it has."""
    begin = timezone.now() - timedelta(days=2)
    with log.open("a") as file:
        for number in range(start, start + lines):
            stamp = (begin + timedelta(seconds=number * 0.9)).strftime("%d/%b/%Y:%H:%M:%S +0000")
            file.write(
                f'203.0.113.{number % 250} - - [{stamp}] "GET /product/{number} HTTP/1.1" 200 2 "-" "Mozilla/5.0" '
                f'rt=0.003 us="200" sid="s{number % 99}" rid={number:032x}\n'
            )
    return start + lines


def _run(home: _Home, log: Path, count: _Count) -> float | None:
    """Run ingest to its end; return the seconds it took, None when it failed."""
    started = time.monotonic()
    process = _start(home, log)
    said, _ = process.communicate()
    count.runs += 1
    if process.returncode:
        count.wrong_exits.append(said[-300:])
        return None
    json.loads(said.splitlines()[-1])
    return time.monotonic() - started


def _start(home: _Home, log: Path) -> subprocess.Popen[str]:
    return home.command("ingest", str(log), "--json", "--chunk-bytes", str(CHUNK))


def _start_and_kill(home: _Home, log: Path, after: float, count: _Count) -> None:
    """Start ingest and kill it after some seconds, if it has not ended before that."""
    before = _stored(home)
    process = _start(home, log)
    try:
        said, _ = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        count.kills += 1
        count.in_work += _stored(home) > before
    else:
        if process.returncode:
            count.wrong_exits.append(said[-300:])
    count.runs += 1


def _stored(home: _Home) -> int:
    with psycopg.connect(home.url) as con:
        row = con.execute("SELECT count(*) FROM telemetry_batch").fetchone()
    return int(row[0]) if row else 0
