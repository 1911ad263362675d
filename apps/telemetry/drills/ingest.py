"""`drill ingest`: ingester, compactor and PostgreSQL are killed at random moments while a reader reads.

Every line must be stored exactly once, and no reader may ever see an error, a line twice, or less than what was
acknowledged.
"""

import json
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import duckdb
import psycopg
import pyarrow.parquet as pq
from django.utils import timezone

from apps.core.figures import DrillStep, Option, drill
from apps.telemetry.drills.installation import Home, installation

KILLS = Option("--kills", int, 200, "how often something is killed", quick=4)
SERVER = Option(
    flag="--own-server",
    type=bool,
    default=False,
    help="a PostgreSQL of its own, which is killed as well (without --quick always)",
)
LINES = 4_000  # added to the log before each round
CHUNK = 16 * 1024
ROUNDS = 5  # a bound, for each kill, on how often something is started
GRACE = 5  # seconds that replaced files stay: far longer than a read here takes
VICTIMS = ("ingest", "compact", "PostgreSQL")
ODDS = (10, 10, 3)


@dataclass
class _Count:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    in_work: int = 0  # kills that hit an ingester or a compactor after it had begun to store
    runs: int = 0
    wrong_exits: list[str] = field(default_factory=list)


class _Reader(threading.Thread):
    """Lists the files and reads them, over and over, as every page does."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self._home = home
        self._over = threading.Event()
        self.acknowledged = 0
        self.reads = self.away = self.doubles = self.less = 0
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._over.wait(0.02):
            due = self.acknowledged
            try:
                with psycopg.connect(self._home.url, connect_timeout=5) as con:
                    found = con.execute(
                        "SELECT path FROM telemetry_segment WHERE deleted_at IS NULL"
                    ).fetchall()
            except psycopg.Error:
                self.away += 1
                continue
            files = [str(self._home.events / path) for (path,) in found]
            if not files:
                continue
            try:
                with duckdb.connect() as con:
                    row = con.execute(
                        "SELECT count(*), count(DISTINCT request) FROM read_parquet(?)", [files]
                    ).fetchone()
            except duckdb.Error as error:
                self.errors.append(str(error)[:300])
                continue
            rows, different = row or (0, 0)
            self.reads += 1
            self.doubles += rows != different
            self.less += different < due

    def end(self) -> None:
        self._over.set()
        self.join(60)


@drill(
    "ingest",
    help="kill ingester, compactor and PostgreSQL at random while a reader reads: each line exactly once",
    options=[KILLS, SERVER],
)
def ingest(*, kills: int, own_server: bool, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Let a log grow, take it in, merge, kill, go on, and compare the store with the log."""
    dice = random.Random(seed)  # noqa: S311  (moments, not secrets)
    own = own_server or not quick
    odds = ODDS if own else (*ODDS[:2], 0)
    with installation(own=own) as home:
        log = home.folder / "access.log"
        written = _grow(log, 0, LINES)
        count = _Count()
        took = _run(home, log, count) or 1.0
        reader = _Reader(home)
        reader.acknowledged = _stored_rows(home)
        reader.start()
        while count.kills.total() < kills and count.runs < kills * ROUNDS:
            written = _grow(log, written, LINES)
            [victim] = dice.choices(VICTIMS, odds)
            _round(home, log, victim, dice.uniform(0.3 * took, 1.4 * took), count)
            reader.acknowledged = _stored_rows(home)
        finished = _run(home, log, count) is not None
        again = _run(home, log, count) is not None
        merged = home.finish("events", "compact", "--all", "--grace", str(GRACE))
        reader.end()
        of = ", ".join(f"{count.kills[name]} {name}" for name in VICTIMS if count.kills[name])
        yield DrillStep(
            "killed -9",
            tried=count.kills.total(),
            violations=0,
            note=f"{of}; {count.in_work} while storing",
        )
        bad = len(count.wrong_exits) + (not finished) + (not again) + bool(merged[0])
        yield DrillStep(
            "runs that ended by themselves end well",
            count.runs - count.kills.total(),
            bad,
            "; ".join([*count.wrong_exits[:3], *([merged[1][-300:]] if merged[0] else [])]),
        )
        note = f"{reader.away} times there was no PostgreSQL" if reader.away else ""
        yield DrillStep(
            "reads that fail",
            reader.reads,
            len(reader.errors),
            "; ".join(reader.errors[:2]) or note,
        )
        yield DrillStep("reads that see a line twice", reader.reads, reader.doubles)
        yield DrillStep("reads that see less than was acknowledged", reader.reads, reader.less)
        yield from _compare(home, written)
        if quick:
            return
        code, said = home.finish("events", "verify")
        yield DrillStep("manage.py events verify", 1, int(bool(code)), said[-300:] if code else "")


def _round(home: Home, log: Path, victim: str, after: float, count: _Count) -> None:
    """Let an ingester and a compactor run side by side, and kill one of them, or the database."""
    before = _progress(home)
    running = {
        "ingest": _start(home, log),
        "compact": home.command("events", "compact", "--all", "--grace", str(GRACE)),
    }
    time.sleep(after)
    if victim == "PostgreSQL":
        home.kill_server()
        count.kills[victim] += 1
    elif running[victim].poll() is None:
        count.in_work += _progress(home) > before
        running[victim].send_signal(signal.SIGKILL)
        count.kills[victim] += 1
    for name, process in running.items():
        said, _ = process.communicate()
        count.runs += 1
        killed = process.returncode == -signal.SIGKILL and name == victim
        # Without a database a run ends with words, and says that it did.
        refused = victim == "PostgreSQL" and process.returncode == 1 and "Traceback" not in said
        if process.returncode and not killed and not refused:
            count.wrong_exits.append(f"{name}: {said[-300:]}")
    home.wait_for_server()


def _compare(home: Home, written: int) -> Iterator[DrillStep]:
    with psycopg.connect(home.url) as con:
        segments = con.execute(
            "SELECT path, rows, sha256 FROM telemetry_segment WHERE deleted_at IS NULL"
        ).fetchall()
        batches = con.execute("SELECT coalesce(sum(rows), 0) FROM telemetry_batch").fetchone()
        hours = con.execute(
            "SELECT coalesce(sum(requests), 0)::bigint FROM telemetry_hourcount"
        ).fetchone()
        days = con.execute(
            "SELECT coalesce(sum(requests), 0)::bigint FROM telemetry_customerday WHERE customer_id IS NULL"
        ).fetchone()
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
    for name, sums in (("hours", hours), ("customers' days", days)):
        off = abs((int(sums[0]) if sums else 0) - len(requests))
        yield DrillStep(f"{name} count what is stored", tried=written, violations=off)
    counted = int(batches[0]) if batches else 0
    yield DrillStep(
        "batches count what is stored",
        tried=written,
        violations=abs(counted - len(requests)),
        note=f"{len(orphans)} orphan files for the sweep",
    )


def _grow(log: Path, start: int, lines: int) -> int:
    """Add lines to the log, each with an id of its own, over some hours; return how many it has."""
    # So near each other that the lines of thousands of rounds lie in the past: a later one would be refused.
    begin = timezone.now() - timedelta(days=4)
    with log.open("a") as file:
        for number in range(start, start + lines):
            stamp = (begin + timedelta(seconds=number * 0.1)).strftime("%d/%b/%Y:%H:%M:%S +0000")
            file.write(
                f'203.0.113.{number % 250} - - [{stamp}] "GET /product/{number} HTTP/1.1" 200 2 "-" "Mozilla/5.0" '
                f'rt=0.003 us="200" sid="s{number % 99}" rid={number:032x}\n'
            )
    return start + lines


def _run(home: Home, log: Path, count: _Count) -> float | None:
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


def _start(home: Home, log: Path) -> subprocess.Popen[str]:
    return home.command("ingest", str(log), "--json", "--chunk-bytes", str(CHUNK))


def _progress(home: Home) -> int:
    """A number that grows with each batch and each merge."""
    with psycopg.connect(home.url) as con:
        row = con.execute("SELECT max(id) FROM telemetry_segment").fetchone()
    return int(row[0] or 0) if row else 0


def _stored_rows(home: Home) -> int:
    with psycopg.connect(home.url) as con:
        row = con.execute("SELECT coalesce(sum(rows), 0) FROM telemetry_batch").fetchone()
    return int(row[0]) if row else 0
