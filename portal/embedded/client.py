"""The side of a process that needs PostgreSQL: join the running server, or have one started."""

import atexit
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from portal import env
from portal.embedded.errors import EmbeddedError
from portal.embedded.home import ROOT, Home, home_path, is_locked, locked, open_lock, try_lock

DATABASE = "portal"
PORT = 5432
#: The worker's queues; mail and computing must not wait for each other.
QUEUES = ("default", "mail", "impact")
#: Changed with what `_prepare` does.
PREPARED = "2"
#: Seconds for a server to come up; a large one that crashed replays its log first.
PATIENCE = 150.0

#: Variables that the keeper needs; the rest of the environment is not its business.
PASSED_ON = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PORTAL_POSTGRES_BIN",
    "PORTAL_PG_FAST",
    "PYTHONPATH",
    "TMPDIR",
)


@dataclass
class OwnServer:
    """The embedded server that this process uses."""

    home: Home
    url: str
    users: int  # descriptor that holds our shared lock
    keeper: "subprocess.Popen[bytes] | None"  # when it was this process that started it
    pid: int  # whose lock it is: a forked child must not act on it


_own: OwnServer | None = None


def own_server() -> OwnServer | None:
    """Return the embedded server that this process uses, or None when the database is somebody else's."""
    return _own


def ensure(home: Path | None = None) -> str:
    """Return the address of a PostgreSQL that answers, and set DATABASE_URL to it.

    DATABASE_URL when it is set; else the server of PORTAL_HOME, started when it does not run. It goes on at least
    until this process ends. Raises EmbeddedError.
    """
    global _own  # noqa: PLW0603  (one server a process)
    if url := env.text("DATABASE_URL"):
        return url
    place = Home(home_path(home))
    place.make()
    users = open_lock(place.run / "postgres.users")
    try:
        end = time.monotonic() + PATIENCE
        _enter(place, users, end)
        sockets, keeper = _join(place, end)
        url = _address(place, sockets)
        _prepare(place, url)
    except BaseException:
        os.close(users)
        raise
    _own = OwnServer(place, url, users, keeper, os.getpid())
    atexit.register(release)
    os.environ["DATABASE_URL"] = url
    return url


def revive() -> bool:
    """Start the keeper again if it died while this process uses its server; tell whether that was needed."""
    if _own is None or is_locked(_own.home.run / "postgres.lock"):
        return False
    if _own.keeper is not None:
        _own.keeper.poll()
    _, _own.keeper = _join(_own.home, time.monotonic() + PATIENCE)
    return True


def server_number() -> int:
    """Return the process number of the embedded server that this process uses; 0 while there is none."""
    if _own is None:
        return 0
    try:
        return int(json.loads(_own.home.state.read_bytes())["server"])
    except (OSError, ValueError, KeyError):
        return 0


def release(*, seconds: float = 20) -> None:
    """Stop using the server; when nobody else does, wait up to `seconds` for it to be gone."""
    global _own
    own, _own = _own, None
    if own is None or own.pid != os.getpid():
        return
    if os.environ.get("DATABASE_URL") == own.url:
        del os.environ["DATABASE_URL"]
    # Closed, not unlocked: a forked child that still works with the database keeps the lock.
    os.close(own.users)
    end = time.monotonic() + seconds
    with suppress(EmbeddedError, OSError, KeyboardInterrupt):  # the keeper stops it without us
        while is_locked(own.home.run / "postgres.lock") and time.monotonic() < end:
            if _used_by_others(own.home):
                break
            time.sleep(0.02)
    if own.keeper is not None and own.keeper.poll() is None:
        if not is_locked(own.home.run / "postgres.lock"):
            own.keeper.wait(timeout=5)
        else:
            own.keeper.returncode = 0  # it outlives us: no longer ours to wait for


def _enter(home: Home, users: int, end: float) -> None:
    """Take the users' lock; it is held exclusively only by a keeper that is stopping its server."""
    while not try_lock(users, shared=True):
        if time.monotonic() > end:
            raise EmbeddedError(f"PostgreSQL in {home.path} does not stop; see {home.log}.")
        time.sleep(0.02)


def _used_by_others(home: Home) -> bool:
    descriptor = open_lock(home.run / "postgres.users")
    try:
        # Both fail while the keeper stops its server: it holds the lock exclusively.
        return not try_lock(descriptor) and try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def _join(home: Home, end: float) -> "tuple[str, subprocess.Popen[bytes] | None]":
    """Return the socket directory of a server that accepts connections, and the keeper if we started it."""
    keeper = None
    while True:
        if sockets := _accepting(home):
            return sockets, keeper
        if not is_locked(home.run / "postgres.lock"):
            if keeper is not None:
                keeper.wait()
            keeper = _start_keeper(home, end)
        elif time.monotonic() > end:
            raise EmbeddedError(f"PostgreSQL in {home.path} does not answer; see {home.log}.")
        else:
            time.sleep(0.02)


def _accepting(home: Home) -> str:
    """Return the socket directory of the running server, or nothing."""
    try:
        sockets = str(json.loads(home.state.read_bytes())["sockets"])
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(f"{sockets}/.s.PGSQL.{PORT}")
    except (OSError, ValueError, KeyError):
        return ""
    return sockets if is_locked(home.run / "postgres.lock") else ""


def _start_keeper(home: Home, end: float) -> "subprocess.Popen[bytes]":
    """Start a keeper and wait for its word: ready, or another one was first. EmbeddedError is its complaint."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with home.log.open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "portal.embedded.keeper", str(home.path)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert keeper.stdout is not None  # noqa: S101  (a pipe was asked for)
    with keeper.stdout as answer:
        # The keeper gives up on its own before this; it closes the pipe when it ends.
        word = answer.readline()
    try:
        said = json.loads(word)
    except ValueError:
        keeper.wait()
        raise EmbeddedError(
            f"The keeper of PostgreSQL ended without a word; see {home.log}."
        ) from None
    if "error" in said:
        keeper.wait()
        raise EmbeddedError(str(said["error"]))
    if "busy" in said:
        keeper.wait()
        time.sleep(0.02)
        if time.monotonic() > end:
            raise EmbeddedError(f"PostgreSQL in {home.path} does not answer; see {home.log}.")
    return keeper


def _address(home: Home, sockets: str, database: str = DATABASE) -> str:
    try:
        password = home.password.read_text(encoding="ascii").strip()
    except OSError as error:
        raise EmbeddedError(f"Cannot read {home.password}: {error.strerror}.") from error
    return f"postgresql://portal:{password}@/{database}?host={quote(sockets, safe='/')}&port={PORT}"


def _prepare(home: Home, url: str) -> None:
    """Create the database, its extensions and the message queue's tables, once for a data directory."""
    if home.remembers("prepared", PREPARED):
        return
    with locked(home.run / "prepare.lock", seconds=PATIENCE, what="prepare the database"):
        if home.remembers("prepared", PREPARED):
            return
        import psycopg  # noqa: PLC0415  (not needed by a warm command)

        try:
            create_database(url.replace(f"@/{DATABASE}?", "@/postgres?", 1))
            prepare_database(url)
        except psycopg.Error as error:
            raise EmbeddedError(
                f"The database in {home.data} could not be prepared: {error}"
            ) from error
        home.remember("prepared", PREPARED)


def create_database(admin_url: str) -> None:
    """Create the portal's database on the server that `admin_url` names, unless it is there."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def prepare_database(url: str) -> None:
    """Install what the portal needs beside its own tables: btree_gist where there is one, and pgmq."""
    import pgmq  # noqa: PLC0415
    import psycopg  # noqa: PLC0415

    with psycopg.connect(url) as connection:
        connection.execute(
            "DO $$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist')"
            " THEN CREATE EXTENSION IF NOT EXISTS btree_gist; END IF; END $$"
        )
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'")
        if found.fetchone() is None:
            pgmq.install_pgmq_from_sql(conn=connection)
        # Here rather than by whoever comes first: two who make the same one at once stand in each other's way.
        for queue in QUEUES:
            connection.execute("SELECT pgmq.create(%s)", [queue])
