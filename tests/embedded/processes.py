"""Real processes for these tests: start one in a home of its own, and see what is left of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534
AS_ROOT = os.geteuid() == 0
#: Begins every script: `url` is the database's address, `ask` runs a statement in it.
PREAMBLE = """
import os, signal, sys, time
from portal.embedded import ensure
url = ensure()
def ask(statement):
    import psycopg
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which this home is all that the portal knows of."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PORTAL_", "EMAIL_", "DATABASE_", "DJANGO_", "COVERAGE", "PYTEST"))
    }
    return kept | {"PORTAL_HOME": str(home), "PORTAL_PG_FAST": "1", "PYTHONUNBUFFERED": "1", **more}


def start(home: Path, *argv: str, uid: int | None = None, **more: str) -> subprocess.Popen[str]:
    """Start a program; `python -c` for a script that begins with PREAMBLE is `start(home, "-c", …)`."""
    return subprocess.Popen(
        [sys.executable, *argv],
        cwd=ROOT,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )


def reaches(uid: int) -> bool:
    """Tell whether another user can run this checkout at all: one directory above it may be closed."""
    try:
        ran = subprocess.run(
            [sys.executable, "-c", ""], cwd=ROOT, user=uid, extra_groups=[], check=False
        )
    except PermissionError:
        return False
    return ran.returncode == 0


def script(home: Path, body: str, **more) -> subprocess.Popen[str]:
    """Start a script on the embedded server of `home`."""
    return start(home, "-c", PREAMBLE + body, **more)


def run(home: Path, body: str, **more) -> str:
    """Run a script on the embedded server of `home` to its end; return what it printed."""
    return finish(script(home, body, **more))


def finish(process: subprocess.Popen[str], *, code: int = 0) -> str:
    """Wait for a process and return its output; it must end with `code`."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return out.strip()


def kill(process: subprocess.Popen[str]) -> None:
    """Kill -9 and collect."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)


def cleaned(processes: list[subprocess.Popen[str]]) -> None:
    """Kill what a failed test left of its own."""
    for process in processes:
        if process.poll() is None:
            kill(process)


def processes_of(mark: str | Path) -> list[str]:
    """Return the command lines of living processes that name `mark`, or work in a directory of it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.joinpath("stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
                continue
            line = (
                entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            place = str(entry.joinpath("cwd").readlink()) if str(mark).startswith("/") else ""
        except OSError:
            continue
        if str(mark) in line or place.startswith(f"{mark}/"):
            found.append(f"{entry.name} {line}")
    return found


def wait_until(true: Callable[[], object], *, seconds: float = 15) -> None:
    """Wait until `true()`; fail when it is not in time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def assert_nothing_left(mark: str | Path, *, seconds: float = 15) -> None:
    """Fail when a process that names `mark` still lives after `seconds`."""
    end = time.monotonic() + seconds
    while left := processes_of(mark):
        assert time.monotonic() < end, left
        time.sleep(0.02)
