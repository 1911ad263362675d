"""Homes that are made anew: the demo's, and those of the verbs for figures, which must not touch an installation."""

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path

from portal.embedded.client import release
from portal.embedded.errors import EmbeddedError
from portal.embedded.home import home_path, is_locked, open_lock, try_lock

#: Commands that write rows of their own making: never into a database that somebody uses.
ON_SCRATCH = {"bench", "drill", "evaluate"}

_demo: list[int] = []  # the lock that says the demo runs, held as long as this process lives


def use_demo_home() -> None:
    """Make PORTAL_HOME the demo's own, empty one. EmbeddedError when a demo runs there already."""
    home = home_path()
    home.mkdir(parents=True, exist_ok=True)
    lock = open_lock(home / "demo.lock")
    if not try_lock(lock):
        raise EmbeddedError(
            "The demo is running already in this checkout.\nStop it with Ctrl-C, then start it anew."
        )
    _demo.append(lock)
    _enter(home / "demo")


def use_scratch_home() -> None:
    """Make PORTAL_HOME a temporary one that goes with this process."""
    path = Path(tempfile.mkdtemp(prefix="portal-scratch-"))
    # The server may run as another user, who has to pass through.
    path.chmod(0o711)

    def remove() -> None:
        release()
        shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    _enter(path)


def _enter(path: Path) -> None:
    end = time.monotonic() + 30
    while is_locked(path / "run" / "postgres.lock"):
        if time.monotonic() > end:
            raise EmbeddedError(
                f"A server still runs in {path}.\nWait until it has stopped, or stop it."
            )
        time.sleep(0.05)
    if path.exists():
        shutil.rmtree(path)
    os.environ["PORTAL_HOME"] = str(path)
    for name in ("DATABASE_URL", "DATABASE_URL_FILE"):
        os.environ.pop(name, None)
