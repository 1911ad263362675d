"""Erasure of a customer's or a person's events: files are written anew without them, roll-ups made again.

Each file is replaced on its own, in a transaction that also takes its events out of the counts; so the work may be
killed anywhere, run twice, and run beside ingest and compaction. The old files go once no reader can have them in
hand; then, and when nothing is left of them, the erasure is done.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import transaction
from django.db.models import Min, QuerySet

from apps.accounts.models import AuditEvent
from apps.analytics.sql import Connection, literal
from apps.core.claims import claim, holds, kept_alive, put_back
from apps.core.computing import computing
from apps.customers.models import Customer
from apps.telemetry import counts, customer_days, jobs, rollups
from apps.telemetry.compaction import write_sorted
from apps.telemetry.meaning.clients import listed_client
from apps.telemetry.meaning.hashing import KeyedHash, splitmix
from apps.telemetry.models import CustomerDay, Erasure, ErasureState, Rollup, Segment
from apps.telemetry.resolve.identities import NOBODY
from apps.telemetry.store import HOUR_MS, content_of, name_of

logger = logging.getLogger(__name__)

AT_ONCE = 200  # files that are looked through together
PASSES = 20
"""Files that came in, or were merged, while others were written anew: looked through again so often at most."""
DAY_MS = 86_400_000
ADDRESS = "address"

_COLUMNS = sorted({*counts.COLUMNS, *customer_days.COLUMNS})


def people(
    attribute: str, value: str, *, customer: int | None
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the numbers of who stands behind a value: as actors, and as addresses.

    `customer` None: of any. Under the present key and all earlier ones, since events of theirs may be there.
    """
    owners = [customer]
    if customer is None:
        owners = [NOBODY, *Customer.objects.values_list("pk", flat=True)]
    found: list[int] = []
    names = pa.array(map(str, owners), pa.string())
    for key in settings.PORTAL_ACTOR_KEYS:
        keyed = KeyedHash(key)
        if attribute == ADDRESS:
            found.append(keyed.one(ADDRESS, listed_client(value)))
            continue
        secret = keyed.many("customer", names).view(np.uint64)
        who = np.uint64(keyed.one(attribute, value) & (2**64 - 1))
        found += splitmix(who ^ secret).view(np.int64).tolist()
    return ([], found) if attribute == ADDRESS else (found, [])


def erase_next(*, clock: Callable[[], datetime], grace: timedelta = jobs.GRACE) -> bool:
    """Carry the next erasure on as far as it goes now; say whether there was one."""
    now = clock()
    put_back(Erasure.objects.all(), works=ErasureState.WORKING, waits=ErasureState.QUEUED, now=now)
    claimed = claim(_due(now, grace), state=ErasureState.WORKING, now=now)
    if not claimed:
        return False
    one = claimed[0]
    lease = timedelta(seconds=settings.PORTAL_LEASE_SECONDS)
    state: dict[str, object] = {"state": ErasureState.QUEUED}
    try:
        with kept_alive(one, state=ErasureState.WORKING, clock=clock, lease=lease):
            state = _carry_on(one, now=clock, grace=grace)
    finally:
        holds(one, state=ErasureState.WORKING).update(claim_token=None, lease_until=None, **state)
    return True


def waits(*, now: datetime) -> bool:
    """Whether an erasure can be carried on, or its worker has died."""
    dead = Erasure.objects.filter(state=ErasureState.WORKING, lease_until__lt=now)
    return _due(now, jobs.GRACE).exists() or dead.exists()


def _due(now: datetime, grace: timedelta) -> QuerySet[Erasure]:
    waiting = Erasure.objects.filter(state=ErasureState.QUEUED)
    over = Erasure.objects.filter(state=ErasureState.GRACE, rewritten_at__lte=now - grace)
    return (waiting | over).order_by("pk")


def _carry_on(one: Erasure, *, now: Callable[[], datetime], grace: timedelta) -> dict[str, object]:
    """Write anew what has to be, or see whether all is gone; return the columns that change."""
    removed = _rewrite(one, now=now())
    made = rollups.make_again(now=now())
    if removed or made or one.rewritten_at is None:
        if grace or one.rewritten_at is None:
            Erasure.objects.filter(pk=one.pk).update(rewritten_at=now())
            one.rewritten_at = now()
        if grace:
            return {"state": ErasureState.GRACE}
    jobs.drop_replaced(now=now(), grace=grace)
    jobs.sweep_orphans(now=now())
    rollups.sweep_files(now=now(), grace=grace)
    if _left(one):
        return {"state": ErasureState.GRACE}
    with transaction.atomic():
        one.refresh_from_db(fields=["events"])
        AuditEvent.note(
            at=now(),
            user=one.asked_by,
            action="events.erased",
            target=one,
            after={"customer": one.customer, "events": one.events},
        )
    # Their numbers are theirs too.
    return {"state": ErasureState.DONE, "done_at": now(), "actors": [], "addresses": []}


def _left(one: Erasure) -> bool:
    """Whether a file is on the disk that was there before and that nothing names any more."""
    root = Path(settings.EVENTS_DIR)
    since = one.rewritten_at.timestamp() if one.rewritten_at else 0.0
    if Segment.objects.filter(deleted_at__lte=one.rewritten_at).exists():
        return True
    named = set(Segment.objects.values_list("path", flat=True))
    named |= set(Rollup.objects.values_list("path", flat=True))
    there = [*root.glob("dt=*/hh=*/*"), *(root / rollups.FOLDER).glob("*")]
    return any(
        str(path.relative_to(root)) not in named and path.stat().st_mtime <= since
        for path in there
        if path.exists()
    )


def _rewrite(one: Erasure, *, now: datetime) -> int:
    """Replace every live file that holds an event of theirs; return how many events went."""
    hit = condition(one)
    removed = 0
    with computing("erasure") as con:
        for _ in range(PASSES):
            found = _found(con, hit)
            for segment in found:
                removed += _without(con, segment, hit, one, now)
            if not found:
                break
    _forget_days(one)
    return removed


def condition(one: Erasure) -> str:
    """Return the SQL that is true of their events."""
    parts = [] if one.customer is None else [f"customer = {int(one.customer)}"]
    who = [
        f"{column} IN ({', '.join(str(int(number)) for number in numbers)})"
        for column, numbers in (("actor", one.actors), ("addr", one.addresses))
        if numbers
    ]
    if who:
        parts.append(f"({' OR '.join(who)})")
    return f"coalesce({' AND '.join(parts) or 'false'}, false)"


def _found(con: Connection, hit: str) -> list[Segment]:
    """Return the live files that hold any."""
    root = Path(settings.EVENTS_DIR)
    rows = list(Segment.objects.live().order_by("pk"))
    by_name = {str(root / one.path): one for one in rows if (root / one.path).exists()}
    found: list[Segment] = []
    names = list(by_name)
    for at in range(0, len(names), AT_ONCE):
        listed = ", ".join(map(literal, names[at : at + AT_ONCE]))
        text = (
            f"SELECT DISTINCT filename FROM read_parquet([{listed}], filename = true,"  # noqa: S608
            f" hive_partitioning = false, union_by_name = true) WHERE {hit}"
        )
        found += [by_name[name] for (name,) in con.execute(text).fetchall()]
    return found


def _without(con: Connection, old: Segment, hit: str, one: Erasure, now: datetime) -> int:
    """Replace a file by one without their events; return how many went, 0 when it was replaced meanwhile."""
    root = Path(settings.EVENTS_DIR)
    path = str(root / old.path)
    name = name_of(old.min_ts // HOUR_MS, f"{uuid4().hex}-kept")
    theirs = con.sql(
        f"SELECT {', '.join(_COLUMNS)} FROM read_parquet({literal(path)}, hive_partitioning = false)"  # noqa: S608
        f" WHERE {hit}"
    ).to_arrow_table()
    made = write_sorted(con, [path], root=root, name=name, where=f"NOT {hit}")
    if made.rows + theirs.num_rows != old.rows:
        (root / name).unlink(missing_ok=True)
        raise RuntimeError(f"{old.path} holds other rows than the catalogue says")
    with transaction.atomic():
        live = Segment.objects.live().select_for_update().filter(pk=old.pk).first()
        if live is not None:
            _take_out(live, theirs)
            if made.rows:
                Segment.objects.create(
                    batch=live.batch,
                    path=made.path,
                    came_at=live.came_at,
                    min_ts=made.min_ts,
                    max_ts=made.max_ts,
                    rows=made.rows,
                    bytes=made.bytes,
                    sha256=made.sha256,
                    service_id=made.service,
                    content=content_of(made.sha256),
                    counted=live.counted,
                    customers_counted=live.customers_counted,
                )
            live.deleted_at = now
            live.save(update_fields=["deleted_at"])
            row = Erasure.objects.select_for_update().get(pk=one.pk)
            row.events += theirs.num_rows
            row.save(update_fields=["events"])
    if live is None:
        (root / name).unlink(missing_ok=True)
        return 0
    return int(theirs.num_rows)


def _take_out(segment: Segment, theirs: pa.Table) -> None:
    """Take events out of the counts that hold the file they were in."""
    if segment.counted:
        less = [
            replace(c, requests=-c.requests, named=-c.named, failed=-c.failed, latest_ms=0)
            for c in counts.of_events(theirs)
        ]
        counts.save([(segment.min_ts // HOUR_MS, less)])
    if segment.customers_counted:
        sums = customer_days.of_events(theirs)
        customer_days.save({key: [-n, -failed, 0] for key, (n, failed, _) in sums.items()})
        CustomerDay.objects.filter(
            day__in={day for day, _ in sums}, customer__isnull=False, requests__lte=0
        ).delete()


def _forget_days(one: Erasure) -> None:
    """Forget the days of a customer from before the events that are kept."""
    if one.customer and not one.actors and not one.addresses:
        first = Segment.objects.live().aggregate(first=Min("min_ts"))["first"]
        old = CustomerDay.objects.filter(customer=one.customer)
        (old if first is None else old.filter(day__lt=first // DAY_MS)).delete()
