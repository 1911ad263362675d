"""`bench ingest`: from a file to durable rows, against parsing alone and against DuckDB on the same lines."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import django
import duckdb
import orjson
from django.apps import apps
from django.db import transaction
from django.test.utils import override_settings
from django.utils import timezone

from apps.core.figures import BenchRow, Option, at_least, at_most, bench, compare

if (
    not apps.ready
):  # a measured process imports this module first; its imports are not what is measured
    django.setup()

from apps.telemetry import files

EVENTS = Option("--lines", int, 1_000_000, "lines of each format", quick=20_000)
DUCK_JSON = """
COPY (
    SELECT * FROM read_json({path!r}, format='newline_delimited') ORDER BY ts
) TO {out!r} (FORMAT parquet)
"""
DUCK_TEXT = r"""
COPY (
    SELECT strptime(g.time, '%d/%b/%Y:%H:%M:%S %z') AS ts, g.* EXCLUDE (time)
    FROM (
        SELECT regexp_extract(
            line,
            '^(\S+) - (\S+) \[([^\]]+)\] "([^"]*)" (\d+) (\S+) "([^"]*)" "([^"]*)" '
            || 'rt=(\S+) us="([^"]*)" sid="([^"]*)" rid=(\S+)',
            ['addr', 'usr', 'time', 'request', 'status', 'bytes', 'referer', 'agent', 'rt', 'us', 'sid', 'rid']
        ) AS g
        FROM read_csv(
            {path!r}, columns={{'line': 'VARCHAR'}}, delim='\x01', quote='', escape='', header=false,
            auto_detect=false
        )
    )
    ORDER BY ts
) TO {out!r} (FORMAT parquet)
"""


@bench(
    "ingest",
    help="files to durable rows, against orjson and DuckDB on the same lines",
    options=[EVENTS],
)
def ingest(*, lines: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Write files of each format, take them in, and compare."""
    repeats = 1 if quick else 3
    with TemporaryDirectory(prefix="portal-bench-") as folder:
        ndjson, text = Path(folder, "events.ndjson"), Path(folder, "access.log")
        write_ndjson(ndjson, lines, seed)
        write_text(text, lines, seed)

        def rows(
            name: str,
            path: Path,
            theirs: Callable[[], object],
            against: str,
            goal: float | None,
            note: str = "",
        ) -> Iterator[BenchRow]:
            ours, baseline = compare(partial(take_in, path), theirs, repeats=repeats, apart=True)
            yield BenchRow(
                f"{name} lines a second",
                lines / ours.seconds,
                lines / baseline.seconds,
                goal=None if quick or goal is None else at_least(goal),
                unit="/s",
                baseline_name=against,
                note=note,
            )
            yield BenchRow(f"{name} peak memory", ours.peak_rss_mb, unit="MB", goal=at_most(512))

        yield from list(
            rows("NDJSON", ndjson, partial(parse_only, ndjson), "orjson.loads alone", None)
        )
        duck = partial(by_duckdb, DUCK_JSON, ndjson)
        yield next(rows("NDJSON", ndjson, duck, "DuckDB read_json → Parquet", None))
        duck = partial(by_duckdb, DUCK_TEXT, text)
        yield from list(rows("nginx", text, duck, "DuckDB regexp_extract → Parquet", 1.0))


def take_in(path: Path) -> None:
    """Ingest a file into a store of its own and forget it."""
    with (
        TemporaryDirectory(prefix="portal-bench-") as folder,
        override_settings(EVENTS_DIR=Path(folder)),
        transaction.atomic(),
    ):
        files.ingest(str(path), now=timezone.now())
        transaction.set_rollback(True)


def parse_only(path: Path) -> None:
    """Parse each line and throw the result away: what no reader of JSON in Python can beat."""
    loads = orjson.loads
    with path.open("rb") as file:
        for line in file:
            loads(line)


def by_duckdb(sql: str, path: Path) -> None:
    """Let DuckDB turn the file into Parquet, on as many threads as it likes."""
    with TemporaryDirectory(prefix="portal-bench-") as folder, duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        con.execute(sql.format(path=str(path), out=str(Path(folder, "out.parquet"))))


def write_ndjson(path: Path, lines: int, seed: int) -> None:
    """Write events as an API gateway would."""
    dice = random.Random(seed)  # noqa: S311  (data, not secrets)
    names = [
        ("checkout", "pay"),
        ("checkout", "quote"),
        ("search", "find"),
        ("cart", "add"),
        ("login", "in"),
    ]
    moment = timezone.now() - timedelta(days=1)
    with path.open("wb") as file:
        for _ in range(lines):
            moment += timedelta(milliseconds=dice.randrange(0, 120))
            service, operation = dice.choice(names)
            event = {
                "ts": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "customer": f"c{int(5000 * dice.random() ** 3)}",
                "user": f"u{int(60_000 * dice.random() ** 2)}",
                "service": service,
                "operation": operation,
                "status": dice.choices([200, 201, 404, 500, 503], [80, 10, 5, 3, 2])[0],
                "latency_ms": dice.randrange(3, 900),
            }
            if dice.random() < 0.3:
                event["idempotency_key"] = f"{dice.getrandbits(128):032x}"
            file.write(orjson.dumps(event) + b"\n")


def write_text(path: Path, lines: int, seed: int) -> None:
    """Write a log as nginx would, in the form `timed`."""
    dice = random.Random(seed)  # noqa: S311  (data, not secrets)
    agents = [
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{n}.0 Safari/537.36"
        for n in range(90, 130)
    ]
    paths = [
        "GET /product/{}",
        "POST /cart/{}",
        "GET /search?q={}",
        "POST /checkout",
        "GET /",
        "GET /static/app.js",
    ]
    moment = (timezone.now() - timedelta(days=1)).timestamp()
    with path.open("w") as file:
        for _ in range(lines):
            moment += dice.random() * 0.12
            stamp = datetime.fromtimestamp(moment, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
            person = int(60_000 * dice.random() ** 2)
            status = dice.choices([200, 404, 502], [93, 4, 3])[0]
            request = dice.choice(paths).format(int(200_000 * dice.random() ** 3))
            file.write(
                f'203.0.{person >> 8}.{person & 255} - - [{stamp}] "{request} HTTP/1.1" {status} '
                f'{dice.randrange(90_000)} "-" "{agents[person % len(agents)]}" rt={dice.random():.3f} '
                f'us="{status}" sid="s{person}" rid={dice.getrandbits(128):032x}\n'
            )
