"""The programs of the portal on one machine: web, worker and beat, as a Supervisor runs them."""

import hashlib
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from portal.embedded.beacon import READY
from portal.embedded.client import QUEUES
from portal.embedded.errors import EmbeddedError
from portal.embedded.home import ROOT, Home
from portal.embedded.supervisor import Supervisor, answers

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  (where to reach it from here)


@dataclass(frozen=True)
class Address:
    """Where the web process listens."""

    host: str
    port: int

    @property
    def near(self) -> str:
        """The host by which this machine reaches it."""
        return ANYWHERE.get(self.host, self.host)

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        return f"http://{f'[{self.near}]' if ':' in self.near else self.near}:{self.port}"


def read_address(text: str) -> Address:
    """Return HOST:PORT, [HOST]:PORT, :PORT or PORT as an address. Raises EmbeddedError."""
    match = re.fullmatch(
        r"(?:(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]*)):)?(?P<port>[0-9]{1,5})", text
    )
    if not match or not 0 < int(match["port"]) < 65536:
        raise EmbeddedError(f"{text!r} is not an address: write HOST:PORT, such as 127.0.0.1:8000.")
    return Address(match["six"] or match["host"] or "127.0.0.1", int(match["port"]))


def free_address(wanted: Address, *, any_port: bool = False) -> Address:
    """Return `wanted` if it can be listened on; else, with `any_port`, one that can. Raises EmbeddedError."""
    try:
        _try_to_listen(wanted.host, wanted.port)
    except OSError as error:
        if not any_port:
            raise EmbeddedError(
                f"Cannot listen on {wanted.host} port {wanted.port}: {error.strerror or error}.\n"
                "Choose another with --bind HOST:PORT, or give --any-port to have one picked."
            ) from error
    else:
        return wanted
    try:
        return Address(wanted.host, _try_to_listen(wanted.host, 0))
    except OSError as error:
        raise EmbeddedError(
            f"Cannot listen on {wanted.host}: {error.strerror or error}."
        ) from error


def _try_to_listen(host: str, port: int) -> int:
    family, kind, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
        return int(probe.getsockname()[1])


def add_portal(supervisor: Supervisor, address: Address, *, beat: bool = True) -> str:
    """Add web, worker and beat; return the portal's address (PORTAL_URL when it is set).

    The database has to be there and migrated (DATABASE_URL is passed on as it stands), static files collected.
    """
    url = os.environ.get("PORTAL_URL") or address.url
    workers = min(2, os.cpu_count() or 1)
    shared = {"PORTAL_URL": url, "PYTHONUNBUFFERED": "1"}
    supervisor.add(
        "web",
        [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error",
            "--host", address.host, "--port", str(address.port), "--workers", str(workers),
            # More than the pool has connections: pages that need no database must not wait behind those that do.
            "--blocking-threads", "8", "--respawn-failed-workers", "--workers-kill-timeout", "8",
            "portal.wsgi:application",
        ],
        shared | {"PORTAL_PROCESS": "web"},
        ready=answers(address.near, address.port, "/healthz", as_host=urlsplit(url).netloc),
        where=url,
    )  # fmt: skip
    quiet = ["-W", "ignore:You're running the worker with superuser"] if os.geteuid() == 0 else []
    supervisor.add(
        "worker",
        [
            sys.executable, *quiet, "-m", "celery", "--quiet", "-A", "portal", "worker", "-Q", ",".join(QUEUES),
            "-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
            "-I", "portal.embedded.beacon",
        ],
        shared | {"PORTAL_PROCESS": "worker"},
        ready=supervisor.log_says("worker", READY),
        grace=30,
    )  # fmt: skip
    if beat:
        schedule = supervisor.home.run / "beat-schedule"
        # It holds nothing that outlives a stop, and what a kill left of it may not open.
        _forget(schedule)
        supervisor.add(
            "beat",
            [
                sys.executable, "-m", "celery", "--quiet", "-A", "portal", "beat", "-l", "WARNING",
                "-s", str(schedule), "--pidfile", "",
            ],
            shared | {"PORTAL_PROCESS": "beat"},
            ready=lambda: any(schedule.parent.glob(f"{schedule.name}*")),
        )  # fmt: skip
    return url


def _forget(schedule: Path) -> None:
    for path in schedule.parent.glob(f"{schedule.name}*"):
        path.unlink(missing_ok=True)


def collect_static(home: Home) -> bool:
    """Collect static files under names that carry their hash, if they changed since; tell whether they had."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted((ROOT / "static").rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    for path in (ROOT / "requirements.txt", ROOT / "portal" / "settings.py"):
        digest.update(path.read_bytes())
    mark = home.run / "collected"
    if mark.exists() and mark.read_text() == digest.hexdigest():
        return False
    done = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "-v", "0"],
        cwd=ROOT,
        env={**os.environ, "PORTAL_PROCESS": "web"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise EmbeddedError("\n".join(["Static files could not be collected:", *said[-3:]]))
    mark.write_text(digest.hexdigest())
    return True
