"""`manage.py up`: the whole portal in one process tree."""

import os
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.embedded.processes import (
    assert_nothing_left,
    cleaned,
    kill,
    processes_of,
    start,
    wait_until,
)

pytestmark = pytest.mark.worker


def test_up_serves_survives_kills_and_leaves_nothing(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = start(home, "manage.py", "up", "--bind", str(port))
        _, err = refused.communicate(timeout=60)
        assert refused.returncode == 1
        assert f"port {port}: Address already in use" in err
        ready = home / "ready"
        up = start(
            home,
            "manage.py",
            "up",
            "--bind",
            str(port),
            "--any-port",
            "--once-ready-file",
            str(ready),
        )
        try:
            wait_until(lambda: ready.exists() or up.poll() is not None, seconds=60)
            assert up.poll() is None, up.stderr.read()
            url = ready.read_text().strip()
            assert url != f"http://127.0.0.1:{port}"
            assert healthy(url)

            second = start(home, "manage.py", "up", "--any-port")
            _, err = second.communicate(timeout=60)
            assert second.returncode == 1
            assert f"already up (process {up.pid}" in err

            main = next(p for p in processes_of(home) if "-D" in p and "postgres" in p)
            os.kill(int(main.split()[0]), signal.SIGKILL)
            lines = []
            wait_until(
                lambda: (
                    lines.append(up.stdout.readline())
                    or "PostgreSQL ended and was started again\n" in lines
                )
            )
            assert healthy(url)
            tree = descendants(up.pid)
            assert len(tree) > 8
            kill(up)
        finally:
            cleaned([refused, up])
    assert_nothing_left(home)
    wait_until(lambda: not tree & parents().keys(), seconds=5)


def healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:  # noqa: S310
        return answer.status == 200


def parents() -> dict[int, int]:
    """Return {process: its parent} of every process that is alive; ended ones may wait for a lazy init."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state != b"Z":
            found[int(entry.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """Return every living process below `pid`."""
    known = parents()
    found = {pid}
    while more := {p for p, parent in known.items() if parent in found} - found:
        found |= more
    return found - {pid}
