"""An installation for a drill: a database and a folder, and processes of the portal in them."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

import duckdb
import psycopg
from django.conf import settings
from django.db import connection

SERVERS: dict[Path, int] = {}
"""The server's process by the folder of its installation."""


@dataclass(frozen=True)
class Home:
    """An installation of its own: a database and a folder."""

    folder: Path
    url: str

    @property
    def events(self) -> Path:
        return self.folder / "events"

    @property
    def server(self) -> int:
        """The process of the server that runs."""
        return SERVERS[self.folder]

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the portal needs to work in it."""
        return os.environ | {
            "PORTAL_HOME": str(self.folder),
            "DATABASE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "EVENTS_LEAST_FREE": "0",
        }

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the portal in it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end; return its exit code and what it said."""
        process = self.command(*arguments)
        said, _ = process.communicate()
        return process.returncode, said

    @contextmanager
    def serving(self, port: int) -> Iterator[str]:
        """Serve the portal on a port while the block runs; yield its address."""
        with subprocess.Popen(
            [
                sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error",
                "--host", "127.0.0.1", "--port", str(port), "portal.wsgi:application",
            ],
            cwd=settings.BASE_DIR,
            env=self.environment | {"PORTAL_PROCESS": "web"},
        ) as server:  # fmt: skip
            try:
                wait_for_port(port)
                SERVERS[self.folder] = server.pid
                yield f"http://127.0.0.1:{port}"
            finally:
                server.terminate()

    def of_source(self, source: str, columns: str) -> tuple[int, ...]:
        """Return what a SELECT of aggregates gives over the events whose batches are of a source that ends so."""
        with psycopg.connect(self.url) as con:
            found = con.execute(
                "SELECT s.path FROM telemetry_segment s JOIN telemetry_batch b ON b.id = s.batch_id"
                " WHERE s.deleted_at IS NULL AND right(b.source, %s) = %s",
                [len(source), source],
            ).fetchall()
        if not found:
            return (0, 0, 0, 0)
        files = [str(self.events / path) for (path,) in found]
        with duckdb.connect() as engine:
            row = engine.execute(f"SELECT {columns} FROM read_parquet($f)", {"f": files}).fetchone()  # noqa: S608
        return tuple(row or ())

    def kill_server(self) -> None:
        """Kill the server's first process: the others see it gone and end at once."""
        with psycopg.connect(self.url) as con:
            about = Path(f"/proc/{con.info.backend_pid}/status").read_text().splitlines()
        [parent] = [line.split()[1] for line in about if line.startswith("PPid:")]
        os.kill(int(parent), signal.SIGKILL)

    def wait_for_server(self) -> None:
        """Wait until the database answers."""
        end = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return


#: Starts a PostgreSQL for PORTAL_HOME, says where it is, and holds it until its input ends.
_HOLD = (
    "import sys; from portal.embedded import ensure; print(ensure(), flush=True); sys.stdin.read()"
)


@contextmanager
def installation(*, own: bool) -> Iterator[Home]:
    with TemporaryDirectory(prefix="portal-drill-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the server may run as another user, who has to pass through
        with _own_server(folder) if own else _own_database() as url:
            home = Home(folder, url)
            code, said = home.finish("migrate", "--verbosity", "0")
            if code:
                raise RuntimeError(f"the drill's database could not be made: {said}")
            yield home


@contextmanager
def _own_server(folder: Path) -> Iterator[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "DATABASE_URL_FILE"}}
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD],
        cwd=settings.BASE_DIR,
        env=kept | {"PORTAL_HOME": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None  # noqa: S101  (a pipe was asked for)
        assert holder.stdout is not None  # noqa: S101
        yield holder.stdout.readline().strip()
        with suppress(BrokenPipeError):
            holder.stdin.close()


@contextmanager
def _own_database() -> Iterator[str]:
    own = connection.settings_dict
    name = f"portal_drill_{uuid.uuid4().hex[:12]}"
    server = {
        "user": own["USER"],
        "password": own["PASSWORD"],
        "port": own["PORT"],
        "host": own["HOST"],
    }
    query = urlencode({key: value for key, value in server.items() if value}, quote_via=quote)
    with psycopg.connect(f"postgresql:///postgres?{query}", autocommit=True) as con:
        con.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"postgresql:///{name}?{query}"
        finally:
            con.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 60) -> None:
    """Wait until somebody listens on a port. Raise TimeoutError."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.1)
        else:
            return
