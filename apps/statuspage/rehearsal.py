"""What the drill and the bench stand on: a small world, rendered, and a gate before its database."""

import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection

from apps.accounts.models import Role, User
from apps.catalog.models import Service
from apps.core.webserver import database_url, environment_of
from apps.customers.models import Contact, Customer, Kind
from apps.incidents.models import Incident, State, Update
from apps.statuspage import cookie, jobs

_PORT = "5432"


@dataclass(frozen=True)
class Staged:
    """What stands on the stage."""

    customer: Customer
    other: Customer
    incident: Incident


def stage(*, now: datetime, updates: int = 4) -> Staged:
    """Make two customers with contacts and a public incident, and render their pages."""
    word = secrets.token_hex(4)
    lead = User.objects.create_user(
        email=f"lead-{word}@example.com", name="Lena Lead", role=Role.LEAD
    )
    customers = []
    for name in ("Harbour", "Northwind"):
        customer = Customer.objects.create(
            name=f"{name} {word}", slug=f"{name.lower()}-{word}", kind=Kind.BUSINESS
        )
        Contact.objects.create(customer=customer, name="Kim", email=f"kim@{customer.slug}.example")
        customers.append(customer)
    began = now - timedelta(minutes=30)
    incident = Incident.objects.create(
        title=f"Checkout fails for some ({word})",
        state=State.IDENTIFIED,
        cannot="Pay by card",
        started_at=began,
        declared_at=began,
        declared_by=lead,
    )
    incident.services.set(
        [Service.objects.get_or_create(slug="rehearsal", defaults={"name": "Shop"})[0]]
    )
    for number in range(updates):
        at = began + timedelta(minutes=5 * (number + 1))
        Update.objects.create(
            incident=incident,
            state=State.IDENTIFIED if number else State.INVESTIGATING,
            text="A supplier's network drops a part of our requests. " * 4,
            advice="If a payment failed, try once more in a minute. You were not charged.",
            next_update_at=at + timedelta(minutes=20),
            author=lead,
            created_at=at,
            published_at=at,
            published_by=lead,
        )
    jobs.render_pages(now=now)
    return Staged(customers[0], customers[1], incident)


class Gate:
    """Stands between the web process and PostgreSQL: open, closed (as if stopped) or silent (as if it hung)."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f".s.PGSQL.{_PORT}"
        self._folder = folder
        self._silent = False
        self._listener: socket.socket | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """The database's address through the gate."""
        return database_url(host=str(self._folder))

    def open(self) -> None:
        """Let everything through."""
        self._silent = False
        if self._listener is None:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._path.chmod(0o666)
            self._listener.listen(64)
            thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def fall_silent(self) -> None:
        """Take connections and words, and answer nothing any more."""
        self.open()
        self._silent = True

    def close(self) -> None:
        """Cut every connection and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._path.unlink(missing_ok=True)
        self._silent = False
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(timeout=5)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = _server()
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            thread = threading.Thread(target=self._serve, args=(near, far), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            back = threading.Thread(target=self._carry, args=(far, near), daemon=True)
            back.start()
            self._carry(near, far)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                while self._silent:
                    time.sleep(0.05)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _server() -> socket.socket:
    own = connection.settings_dict
    host, port = own["HOST"] or "/var/run/postgresql", int(own["PORT"] or _PORT)
    if host.startswith("/"):
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far
    return socket.create_connection((host, port))


@contextmanager
def gate() -> Iterator[Gate]:
    """Give an open gate."""
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="gate-", dir="/tmp") as folder:
        made = Gate(Path(folder))
        made.open()
        try:
            yield made
        finally:
            made.close()


def collect_static(**more: str) -> None:
    """Collect static files for the web process, as `up` does before it starts one."""
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"],
        cwd=settings.BASE_DIR,
        env=environment_of(**more),
        check=True,
        capture_output=True,
    )


def pass_for(customer: Customer, *, late: float = 0.0) -> str:
    """Return a Cookie header that opens a customer's page, or did until `late` seconds ago."""
    at = time.time() - (cookie.LIFE + late if late else 0.0)
    return f"{cookie.NAME}={cookie.sign(customer.pk, now=at)}"


def session() -> str:
    """Return a Cookie header with a session, about which Django has to ask the database."""
    return f"{settings.SESSION_COOKIE_NAME}={secrets.token_hex(16)}"


def forged(header: str, *, into: Customer) -> str:
    """Return the header with another customer's number under the same signature."""
    return re.sub(r"=\d+\.", f"={into.pk}.", header)
