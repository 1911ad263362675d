"""`drill impact`: a real worker is killed at random moments of a run; one snapshot, right, none half-written."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import uuid4

import numpy as np
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from apps.analytics.simulate import Plan, build_world, simulate
from apps.core.figures import DrillStep, Option, drill
from apps.customers.models import Customer, Kind
from apps.impact import actions, jobs
from apps.impact.models import CustomerImpact, ImpactRun, ImpactSnapshot, RunState
from apps.telemetry import store
from apps.telemetry.files import catalogue_rows
from apps.telemetry.models import Batch

KILLS = Option("--kills", int, 10, "how often the worker is killed", quick=2)
LEASE_SECONDS = 1

_WORKER = """
import django; django.setup()
from django.utils import timezone
from apps.impact import jobs
import time
print("ready", flush=True)
while True:
    jobs.sweep(now=timezone.now())
    jobs.run_next(clock=timezone.now) or time.sleep(0.02)
"""


@drill("impact", help="kill the worker in the middle of impact runs", options=[KILLS])
def impact(*, kills: int, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Simulate traffic, ask for runs over it, and kill whoever computes them."""
    dice = random.Random(seed)  # noqa: S311  (moments, not secrets)
    plan = Plan.scenario("partial", seed=seed or 1, events=30_000 if quick else 300_000, weeks=1)
    _stock(plan)
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (plan.start_ms, plan.end_ms))

    def ask() -> int:
        return actions.request_run(window_from=first, window_to=last, now=timezone.now()).pk

    asked = [ask() for _ in range(max(2, kills // 3))]
    with NamedTemporaryFile("wb") as log:
        for _ in range(kills):
            worker = _start(log.name)
            time.sleep(dice.uniform(0.0, 1.0))
            _kill(worker)
            # A run that often took its worker down is given up; here it is us who kill.
            ImpactRun.objects.filter(pk__in=asked).update(tries=0)
            if not _open(asked).exists():
                asked.append(ask())
        worker = _start(log.name)
        try:
            _wait_until_done(asked, seconds=120)
        finally:
            _kill(worker)
    runs = ImpactRun.objects.filter(pk__in=asked)
    snapshots = list(ImpactSnapshot.objects.filter(run__in=runs))
    yield DrillStep("worker killed -9", tried=kills, violations=0)
    yield DrillStep(
        "runs done", tried=len(asked), violations=runs.exclude(state=RunState.DONE).count()
    )
    yield DrillStep(
        "one snapshot a run", tried=len(asked), violations=abs(len(asked) - len(snapshots))
    )
    right = jobs.compute_window(window_from=first, window_to=last, as_of=timezone.now()).as_json()
    wrong = sum(one.result["attempts"] != right["attempts"] for one in snapshots)
    yield DrillStep("the right answer", tried=len(snapshots), violations=wrong)
    half = sum(
        CustomerImpact.objects.filter(snapshot=one).count() != Customer.objects.count()
        for one in snapshots
    )
    yield DrillStep("none half-written", tried=len(snapshots), violations=half)


def _stock(plan: Plan) -> None:
    """Store a plan's traffic, and name its customers in our tables as the events number them."""
    root = Path(settings.EVENTS_DIR)
    for number, chunk in enumerate(simulate(plan)):
        if chunk.events.num_rows:
            batch_id = uuid4().hex
            order = np.arange(chunk.events.num_rows)
            written = store.write(chunk.events, order=order, batch_id=batch_id, root=root)
            batch = Batch(
                batch_id=batch_id,
                source=f"simulated, seed {plan.seed}, part {number}",
                format="simulated",
                length=0,
                lines=chunk.events.num_rows,
                rows=chunk.events.num_rows,
                rejected=0,
                created_at=timezone.now(),
            )
            catalogue_rows(batch, written, root=root)
    for customer in build_world(plan).customers:
        Customer.objects.create(
            pk=customer.id,
            name=customer.name,
            slug=f"simulated-{customer.id}",
            kind={"consumer": Kind.CONSUMERS}.get(customer.kind, customer.kind),
        )


def _open(asked: list[int]) -> QuerySet[ImpactRun]:
    return ImpactRun.objects.filter(pk__in=asked, state__in=[RunState.QUEUED, RunState.RUNNING])


def _wait_until_done(asked: list[int], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and _open(asked).exists():
        time.sleep(0.1)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _start(log: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_HOME": str(settings.PORTAL_HOME),
        "PORTAL_LEASE_SECONDS": str(LEASE_SECONDS),
        "PORTAL_NUDGES": "0",
    }
    with open(log, "ab") as errors:  # noqa: PTH123
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    if worker.stdout:
        worker.stdout.readline()  # ready
    return worker
