"""What a worker does with files of customers: read them, and apply what was confirmed."""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection, transaction

from apps.core.claims import claim, holds, kept_alive, put_back
from apps.core.nudge import nudge
from apps.customers import sheet
from apps.customers.applying import carry_out
from apps.customers.models import CustomerImport, CustomerImportLine, ImportState
from apps.customers.planning import Line, Plan, plan

logger = logging.getLogger(__name__)

MOST_TRIES = 3
LEASE = timedelta(seconds=45)
"""Renewed while the work goes on; a worker that died holds a file no longer."""
TELLS = timedelta(seconds=2)
"""How often the page hears how far the work is; each time renews the lease."""
KEPT = timedelta(days=7)
"""A file that nobody confirmed is forgotten after this."""
READ, WRITTEN = 50, 90
"""Percent of the work: when every line is read, and when only the report is still to be kept."""
SMALL = 200_000
"""Bytes of a file that is read while the person waits."""

WORKING = {ImportState.CHECKING: ImportState.QUEUED, ImportState.APPLYING: ImportState.CONFIRMED}


def run_next(*, clock: Callable[[], datetime], only: int | None = None) -> bool:
    """Claim a file that waits and read or apply it; say whether there was one."""
    for waits, works in ((w, s) for s, w in WORKING.items()):
        rows = CustomerImport.objects.filter(state=waits).order_by("pk")
        if only is not None:
            rows = rows.filter(pk=only)
        if claimed := claim(rows, state=works, now=clock(), changed_at=clock()):
            _work(claimed[0], clock)
            return True
    return False


def _work(found: CustomerImport, clock: Callable[[], datetime]) -> None:
    working = found.state
    way = _Way()
    CustomerImport.objects.filter(pk=found.pk).update(lease_until=clock() + LEASE, progress=0)
    alive = kept_alive(
        found, state=working, clock=clock, lease=LEASE, every=TELLS,
        more=lambda: {"progress": way.percent},
    )  # fmt: skip
    try:
        with alive, transaction.atomic():
            if working == ImportState.CHECKING:
                done = plan(_entries(found, way), now=clock())
                after: dict[str, object] = {"state": ImportState.CHECKED}
            else:
                done = carry_out(
                    lambda: _entries(found, way), user=found.by, now=clock(), target=found
                )
                after = {"state": ImportState.DONE, "content": None}
            way.percent = WRITTEN
            _report(found, done)
            holder = holds(found, state=working)
            if not holder.update(
                **after, counts=done.counts, progress=100, error="", lease_until=None,
                tries=0, changed_at=clock(),
            ):  # fmt: skip
                transaction.set_rollback(True)  # another has it: nothing of ours stands
    except sheet.UnreadableSheet as problem:
        _fail(found, working, f"{problem.message}. {problem.hint}", clock())
    except DatabaseError:
        # Somebody changed the same rows meanwhile: the sweep lets it be tried again.
        logger.exception("import %s: not finished", found.pk)
        holds(found, state=working).update(
            state=WORKING[ImportState(working)] if found.tries < MOST_TRIES else ImportState.FAILED,
            error="The database did not take it; nothing was applied. Upload the file again.",
            changed_at=clock(),
        )
    except Exception:  # the worker must live on, and the row must say that nothing was applied
        logger.exception("import %s failed", found.pk)
        _fail(found, working, "It failed and nothing was applied. Ask an administrator.", clock())


def _fail(found: CustomerImport, working: str, why: str, now: datetime) -> None:
    holds(found, state=working).update(
        state=ImportState.FAILED, error=why[:500], content=None, changed_at=now
    )


@dataclass
class _Way:
    """How far the work is."""

    percent: int = 0


def _entries(found: CustomerImport, way: _Way) -> Iterator[sheet.Entry]:
    file = io.BytesIO(bytes(found.content or b""))
    for entry in sheet.read(file):
        way.percent = READ * file.tell() // max(1, found.size)
        yield entry


def _report(found: CustomerImport, done: Plan) -> None:
    """Keep what became of each line, in place of what was thought before."""
    found.lines.all().delete()
    columns = ("of_id", "number", "record", "who", "outcome", "fields", "column", "reason", "hint")
    names = ", ".join(f'"{name}"' for name in columns)
    table = CustomerImportLine._meta.db_table  # noqa: SLF001  (Django documents it)
    with connection.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
        for line in done.lines:
            copy.write_row(_row(found.pk, line))


def _row(pk: int, line: Line) -> tuple[object, ...]:
    return (
        pk, line.number, line.record, line.who[:600], line.outcome, line.fields,
        line.column, line.reason[:300], line.hint[:1000],
    )  # fmt: skip


def sweep(*, now: datetime) -> None:
    """Put files back whose worker died, give up those that keep killing it, forget old ones."""
    for works, waits in WORKING.items():
        put_back(
            CustomerImport.objects.all(),
            works=works,
            waits=waits,
            now=now,
            most_tries=MOST_TRIES,
            state=ImportState.FAILED,
            content=None,
            error=f"The worker died {MOST_TRIES} times over this file; nothing was applied.",
            changed_at=now,
        )
    CustomerImport.objects.filter(
        state__in=[ImportState.CHECKED, ImportState.QUEUED], created_at__lt=now - KEPT
    ).update(state=ImportState.DISCARDED, content=None, changed_at=now)
    if CustomerImport.objects.filter(
        state__in=[ImportState.QUEUED, ImportState.CONFIRMED]
    ).exists():
        nudge("customers.run")
