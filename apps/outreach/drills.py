"""`drill send`: senders are killed in the middle of sending; nobody gets two mails, and none is lost unnamed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from aiosmtpd.smtp import SMTP, Envelope
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg import sql

from apps.accounts.models import Role, User
from apps.core.figures import DrillStep, Option, drill
from apps.customers.models import Contact, Customer, Kind
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot
from apps.incidents.models import Incident, IncidentRun, Update
from apps.outreach import actions, jobs
from apps.outreach.content import content_hash
from apps.outreach.models import WAITING, Delivery, DeliveryState, Outreach

KILLS = Option("--kills", int, 20, "how often a sender is killed", quick=3)
MAILS = Option("--mails", int, 300, "how many people are written to", quick=40)
PEOPLE_PER_CUSTOMER = 5
LEASE_SECONDS = 2
#: The mail server takes up to this long for a mail, so that a kill finds one in the air.
SLOWEST_SECONDS = 0.04

Start = Callable[..., "subprocess.Popen[bytes]"]


@drill("send", help="kill senders in the middle of sending", options=[KILLS, MAILS])
def send(*, kills: int, mails: int, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Approve messages in a database made for this, and kill whoever sends them at random moments."""
    dice = random.Random(seed)  # noqa: S311  (moments, not secrets)
    with TemporaryDirectory(prefix="drill-send-") as home, _scratch_database() as url:
        _approve_messages(mails)
        with _mail_server(dice) as (port, received):
            start = partial(_sender, Path(home), url, port)
            killed = sum(_kill_one(dice, start) for _ in range(kills))
            _send_the_rest(start)
        rows = list(Delivery.objects.order_by("pk"))
    yield from _judge(rows, received, mails=mails, killed=killed)


def _judge(
    rows: list[Delivery], received: Counter[str], *, mails: int, killed: int
) -> Iterator[DrillStep]:
    accepted = [row for row in rows if row.state == DeliveryState.ACCEPTED]
    unknown = [row for row in rows if row.state == DeliveryState.UNKNOWN]
    arrived = sum(bool(received[row.email]) for row in unknown)
    yield DrillStep(
        "senders killed -9 while mail was due",
        tried=killed,
        violations=0,
        note=f"{mails} people to write to",
    )
    yield DrillStep(
        "nobody received two", tried=mails, violations=sum(count > 1 for count in received.values())
    )
    others = len(rows) - len(accepted) - len(unknown)
    yield DrillStep(
        "every row accepted or unknown", tried=len(rows), violations=others + abs(mails - len(rows))
    )
    yield DrillStep(
        "accepted means received",
        tried=len(accepted),
        violations=sum(not received[row.email] for row in accepted),
    )
    known = {row.email for row in (*accepted, *unknown)}
    yield DrillStep(
        "received means accepted or unknown",
        tried=len(received),
        violations=sum(address not in known for address in received),
    )
    names = ", ".join(row.email for row in unknown)
    yield DrillStep(
        "unknown is named, and no more than one per kill",
        tried=killed,
        violations=max(0, len(unknown) - killed),
        note=f"{len(unknown)} unknown, of which {arrived} had arrived{names and ': '}{names}",
    )


def _approve_messages(mails: int) -> None:
    """Make an incident that hit so many people's companies, and approve a message to each company."""
    now = timezone.now()
    people = [
        User.objects.create_user(email=f"{name}@example.com", name=name, role=Role.LIAISON)
        for name in ("writer", "approver")
    ]
    incident = Incident.objects.create(
        title="A drill", started_at=now, declared_at=now, declared_by=people[0]
    )
    run = ImpactRun.objects.create(
        window_from=now - jobs.FIRST_WAIT,
        window_to=now,
        state="done",
        created_at=now,
        finished_at=now,
    )
    IncidentRun.objects.create(incident=incident, run=run)
    snapshot = ImpactSnapshot.objects.create(
        run=run,
        as_of=now,
        watermark=now,
        provisional=False,
        method="drill",
        result={},
        created_at=now,
    )
    Update.objects.create(
        incident=incident, state=incident.state, text="It is a drill.", author=people[0],
        created_at=now, published_at=now, published_by=people[0],
    )  # fmt: skip
    for number in range(mails):
        if number % PEOPLE_PER_CUSTOMER == 0:
            customer = Customer.objects.create(
                name=f"Company {number}", slug=f"company-{number}", kind=Kind.BUSINESS
            )
            CustomerImpact.objects.create(
                snapshot=snapshot, customer=customer, kind=customer.kind, grade="hit",
                result={}, story=["Some of it failed."],
            )  # fmt: skip
        Contact.objects.create(
            customer=customer, name=f"Person {number}", email=f"person-{number}@drill.example"
        )
    jobs.propose(now=now)
    for outreach in Outreach.objects.order_by("pk"):
        actions.submit(outreach=outreach, user=people[0], now=now)
        seen = content_hash(outreach, outreach.recipients.all())
        actions.approve(outreach=outreach, approver=people[1], content_hash_seen=seen, now=now)


def _kill_one(dice: random.Random, start: Start) -> bool:
    """Start a sender, kill it at a random moment, and say whether there was mail to send."""
    _wait_for_due()
    sender = start("--watch")
    assert sender.stdout is not None  # noqa: S101  (for the type checker)
    sender.stdout.readline()
    time.sleep(dice.uniform(0.0, 0.6))
    was_due = Delivery.objects.filter(state__in=WAITING).exists()
    os.killpg(sender.pid, signal.SIGKILL)
    sender.wait()
    sender.stdout.close()
    return was_due


def _wait_for_due() -> None:
    """Wait out the leases of the dead, so that the next sender has something to die over."""
    end = time.monotonic() + LEASE_SECONDS + 1
    waiting = Delivery.objects.filter(state__in=WAITING)
    while time.monotonic() < end and waiting.exists():
        jobs.reap(now=timezone.now())
        if waiting.filter(state=DeliveryState.QUEUED).exists():
            return
        time.sleep(0.05)


def _send_the_rest(start: Start) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and Delivery.objects.filter(state__in=WAITING).exists():
        sender = start()
        sender.communicate(timeout=120)
        time.sleep(0.2)


def _sender(home: Path, url: str, port: int, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a sending process of its own on the drill's database and mail server."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PORTAL_", "EMAIL_", "COVERAGE"))
    }
    return subprocess.Popen(
        [sys.executable, "-m", "django", "drain", "--limit", "10", *arguments],
        cwd=settings.BASE_DIR,
        env={
            **kept,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "DATABASE_URL": url,
            "PORTAL_HOME": str(home),
            "PORTAL_LEASE_SECONDS": str(LEASE_SECONDS),
            "PORTAL_NUDGES": "0",
            "PORTAL_LOG_LEVEL": "ERROR",
            "EMAIL_URL": f"smtp://127.0.0.1:{port}",
        },
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


class _Taker:
    """What the mail server does with a mail: take it, slowly, and count."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.received: Counter[str] = Counter()

    async def handle_DATA(self, *session: Any) -> str:  # noqa: N802  (aiosmtpd's name)
        envelope: Envelope = session[2]
        await asyncio.sleep(self.dice.uniform(0, SLOWEST_SECONDS))
        self.received.update(envelope.rcpt_tos)
        await asyncio.sleep(self.dice.uniform(0, SLOWEST_SECONDS))
        return "250 2.0.0 taken"


@contextmanager
def _mail_server(dice: random.Random) -> Iterator[tuple[int, Counter[str]]]:
    """Run a real mail server on loopback; yield its port and who received how many."""
    taker = _Taker(dice)
    ports: Queue[int] = Queue()
    over = threading.Event()

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(taker, loop=loop), "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        while not over.is_set():
            await asyncio.sleep(0.05)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        yield ports.get(timeout=10), taker.received
    finally:
        over.set()
        thread.join(10)


@contextmanager
def _scratch_database() -> Iterator[str]:
    """Work in an empty database of the same server: a drill must not write to anybody's customers."""
    name = f"drill_{uuid4().hex}"
    own = connection.settings_dict["NAME"]
    parameters = {**connection.get_connection_params()}
    given: dict[str, Any] = {
        k: parameters[k] for k in ("host", "port", "user", "password") if parameters.get(k)
    }
    with psycopg.connect(dbname=own, autocommit=True, **given) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    user, password = (quote(str(given.get(k, "")), safe="") for k in ("user", "password"))
    place = urlencode([(k, str(given[k])) for k in ("host", "port") if k in given])
    try:
        _switch(name)
        call_command("migrate", verbosity=0, interactive=False)
        yield f"postgresql://{user}{password and ':'}{password}@/{name}?{place}"
    finally:
        _switch(own)
        with psycopg.connect(dbname=own, autocommit=True, **given) as server:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _switch(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
