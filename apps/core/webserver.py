"""A real web process for drills, benches and tests, as `manage.py up` runs it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

APPLICATION = "portal.wsgi:application"
UP_WITHIN_S = 60


@dataclass(frozen=True)
class Web:
    """A web process that listens."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """The processor time that it and its children have used."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.pid:  # its process group
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def get(self, path: str, *, cookie: str = "", timeout: float = 10) -> tuple[int, str]:
        """Return status and body; status 0 when there was no answer in time."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=timeout)) as to:
            try:
                to.request("GET", path, headers={"Cookie": cookie} if cookie else {})
                answer = to.getresponse()
                return answer.status, answer.read().decode("utf-8", "replace")
            except (OSError, HTTPException):
                return 0, ""


@contextmanager
def web(application: str = APPLICATION, *, python_path: str = "", **more: str) -> Iterator[Web]:
    """Run granian as `up` runs it, on this process's pages; it is gone at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = environment_of(**more)
    if python_path:
        environment["PYTHONPATH"] = python_path
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error",
                "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "8",
                application,
            ],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            found = Web(process.pid, port)
            end = time.monotonic() + UP_WITHIN_S
            while found.get("/healthz")[0] == 0:
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise RuntimeError(f"the web process did not start: {log.read()[-2000:]!r}")
                time.sleep(0.05)
            yield found
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def database_url(*, host: str = "") -> str:
    """Return the address of this process's database, at another `host` (a folder of sockets) if one is given."""
    own = connection.settings_dict
    user, password = quote(own["USER"], safe=""), quote(own["PASSWORD"], safe="")
    who = f"{user}:{password}@" if user else ""
    port = f"&port={own['PORT']}" if own["PORT"] and not host else ""
    return f"postgresql://{who}/{quote(own['NAME'])}?host={quote(host or own['HOST'])}{port}"


def environment_of(**more: str) -> dict[str, str]:
    """Return the environment of a web process that has this process's pages and secret."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_HOME": str(settings.STATUS_DIR.parent),
        "PORTAL_SECRET_KEY": settings.SECRET_KEY,
        "PORTAL_PROCESS": "web",
        "PORTAL_LOG_LEVEL": "CRITICAL",
        **more,
    }
