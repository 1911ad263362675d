"""A real Celery worker on the test database, for the tests that kill one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).parent.parent


def database_url() -> str:
    """Return the address of the test database, as a process of its own needs it."""
    given = connection.get_connection_params()
    user = quote(given.get("user") or "", safe="")
    password = quote(given.get("password") or "", safe="")
    place = {k: str(given[k]) for k in ("host", "port") if given.get(k)}
    return f"postgresql://{user}:{password}@/{quote(given['dbname'])}?{urlencode(place)}"


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process of the portal that works on this test's data."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "EMAIL_", "COVERAGE"))
    }
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": database_url(),
        "PORTAL_HOME": str(settings.EVENTS_DIR.parent),
        "PORTAL_SWEEP_SECONDS": "1",
        "PORTAL_LEASE_SECONDS": "2",
        "PORTAL_LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@contextmanager
def running(*arguments: str, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m …` in a process group of its own; whatever is left of it is killed at the end."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env=environment(**more),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 the process and all its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def worker(log: Path, **more: str):
    """Run a worker for every queue, with its clock (beat) inside."""
    return running(
        "celery", "-A", "portal", "worker", "--beat", "--schedule", str(log.with_suffix(".beat")),
        "-Q", "default,mail,impact", "-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle",
        log=log, PORTAL_PROCESS="worker", PORTAL_NUDGES="1", **more,
    )  # fmt: skip


def install_queues() -> None:
    """Install the message queue's tables in the test database, once."""
    import pgmq

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'pgmq'")
        if cursor.fetchone():
            return
    pgmq.install_pgmq_from_sql(dsn=database_url())


def wait_until(true: Callable[[], object], *, seconds: float = 30, every: float = 0.05) -> None:
    """Wait until `true()`; fail with what it last said."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {true()!r}")
