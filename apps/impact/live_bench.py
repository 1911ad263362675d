"""`bench impact --live`: an incident goes on for half an hour, and a worker answers anew each minute."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.analytics.simulate import OPERATIONS, SERVICES, Plan, build_world, simulate
from apps.catalog.models import Operation, Service
from apps.core.figures import BenchRow, at_most
from apps.customers.models import Customer, Kind
from apps.impact import actions
from apps.impact.models import RunState
from apps.telemetry import rollups, store
from apps.telemetry.files import catalogue_rows
from apps.telemetry.models import Batch

MINUTE = timedelta(minutes=1)
AT_MOST_S = 2.0
"""A run each minute must leave its worker nearly all of the minute."""
MOST_MIB = 1024

_WORKER = """
import django; django.setup()
from datetime import datetime
import resource, sys, time
from apps.impact import jobs
print("ready", flush=True)
for line in sys.stdin:
    now = datetime.fromisoformat(line.strip())
    began = time.perf_counter()
    done = jobs.run_next(clock=lambda: now)
    took = time.perf_counter() - began
    print(int(done), took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
"""


@dataclass(frozen=True)
class Took:
    """What one run took its worker."""

    seconds: float
    mib: float  # the worker's largest so far


def live(
    *, customers: int, events: int, minutes: int, seed: int, quick: bool
) -> Iterator[BenchRow]:
    """Let traffic come in minute by minute, and time what a worker does each minute; a whole run beside it."""
    plan = Plan.scenario("partial", seed=seed or 1, events=events, customers=customers)
    start = datetime.fromtimestamp(plan.window_ms[0] / 1000, UTC)
    now = start + MINUTE
    name_everything(plan)
    _say("storing earlier weeks")
    to_come = store_until(plan, now)
    _say("rolling up earlier weeks")
    while rollups.make_next(now=timezone.now()):
        pass
    with _worker() as worker:
        base = _answered(worker, start, now, light=False)
        lights, wholes = [], [base]
        for minute in range(2, minutes + 1):
            now = start + minute * MINUTE
            to_come = store_before(to_come, now)
            lights.append(_answered(worker, start, now, light=True))
            if minute % 10 == 0 or minute == minutes:
                wholes.append(_answered(worker, start, now, light=False))
    name = f"{customers:,} customers, {events:,} events in {plan.weeks} weeks"
    whole = median(one.seconds for one in wholes)
    seconds = [one.seconds for one in lights]
    goal = None if quick else at_most(AT_MOST_S)
    beside = f"a whole run of the same window, the median of {len(wholes)}"
    for row, ours in (("the slowest", max(seconds)), ("the median", median(seconds))):
        yield BenchRow(
            f"each minute, {row} of {len(seconds)}", ours, whole, goal,
            absolute=True, baseline_name=beside, note=name,
        )  # fmt: skip
    kept = _kept() / (len(lights) + len(wholes)) / 2**20
    yield BenchRow(
        "an answer kept, on disk", kept, None, unit="MiB", note="with its customers' rows"
    )
    each = " ".join(f"{one:.2f}" for one in seconds)
    yield BenchRow("memory of the worker", max(one.mib for one in lights), None,
                   at_most(MOST_MIB), unit="MiB", note=f"each minute took {each} s")  # fmt: skip


def _kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_total_relation_size('impact_impactsnapshot')"
            " + pg_total_relation_size('impact_customerimpact')"
        )
        return int(cursor.fetchone()[0])


def _answered(
    worker: "subprocess.Popen[str]", start: datetime, now: datetime, *, light: bool
) -> Took:
    """Ask for a run, and let the worker do it."""
    run = actions.request_run(window_from=start - MINUTE, window_to=now, now=now, light=light)
    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("the worker has no pipes")
    worker.stdin.write(f"{now.isoformat()}\n")
    worker.stdin.flush()
    said = worker.stdout.readline().split()
    if not said:
        raise AssertionError(f"the worker ended with {worker.wait()} in the middle of {run}")
    _, seconds, mib = said
    run.refresh_from_db()
    if run.state != RunState.DONE:
        raise AssertionError(f"{run} is {run.state}: {run.error}")
    _say(f"{'light' if light else 'whole'} {now:%H:%M} {float(seconds):.2f} s")
    return Took(float(seconds), float(mib))


@contextmanager
def _worker() -> "Iterator[subprocess.Popen[str]]":
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_HOME": str(settings.PORTAL_HOME),
        "PORTAL_NUDGES": "0",
    }
    with subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", _WORKER], cwd=settings.BASE_DIR, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as worker:  # fmt: skip
        if worker.stdout:
            worker.stdout.readline()  # ready
        try:
            yield worker
        finally:
            worker.kill()


def name_everything(plan: Plan) -> None:
    """Name the customers, services and operations of a plan in our tables as its events number them."""
    Customer.objects.bulk_create(
        [
            Customer(
                pk=one.id,
                name=one.name,
                slug=f"simulated-{one.id}",
                kind={"consumer": Kind.CONSUMERS}.get(one.kind, one.kind),
            )
            for one in build_world(plan).customers
        ],
        batch_size=1000,
    )
    Service.objects.bulk_create(
        [Service(pk=pk, slug=name, name=name) for pk, name in SERVICES.items()]
    )
    Operation.objects.bulk_create(
        [
            Operation(
                pk=one.id,
                service_id=one.service,
                name=one.name,
                method=one.name.partition(" ")[0],
                changes_state=one.name.startswith("POST"),
                proposed=False,
                slow_after_ms=int(one.promised_ms),
            )
            for one in OPERATIONS
        ]
    )


def store_until(plan: Plan, now: datetime) -> pa.Table:
    """Store what happened before `now`; return what happens in the hour after it."""
    edge, last = now.timestamp() * 1000, (now + 60 * MINUTE).timestamp() * 1000
    later = []
    for chunk in simulate(plan):
        _store_events(chunk.events.filter(pc.less(chunk.events["ts"], edge)))
        inside = pc.and_(
            pc.greater_equal(chunk.events["ts"], edge), pc.less(chunk.events["ts"], last)
        )
        later.append(chunk.events.filter(inside))
    return pa.concat_tables(later)


def store_before(to_come: pa.Table, now: datetime) -> pa.Table:
    """Store what happened before `now`; return the rest."""
    before = pc.less(to_come["ts"], now.timestamp() * 1000)
    _store_events(to_come.filter(before))
    return to_come.filter(pc.invert(before))


def _store_events(events: pa.Table) -> None:
    if not events.num_rows:
        return
    root = Path(settings.EVENTS_DIR)
    batch_id = uuid4().hex
    written = store.write(events, order=np.arange(events.num_rows), batch_id=batch_id, root=root)
    batch = Batch(
        batch_id=batch_id,
        source="simulated",
        format="simulated",
        length=0,
        lines=events.num_rows,
        rows=events.num_rows,
        rejected=0,
        created_at=timezone.now(),
    )
    catalogue_rows(batch, written, root=root)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
