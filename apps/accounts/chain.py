"""Whether the audit log is whole: every link is computed anew, outside the database, and compared.

A link is SHA-256 over the link before it and the row's own content, each field as "<bytes>:<text>". The
database writes it as a transaction commits; here only the columns are read, none of its functions.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.accounts.models import AuditCheck, AuditEvent, AuditHead, How, User

#: What stands before the first row.
GENESIS = "0" * 64
#: Rows read at once.
BATCH = 5_000
#: How old a check may be before the worker makes one.
DAILY = timedelta(hours=24)

_ROWS = """
    SELECT position, digest, id::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        user_id::text, action, target, before::text, after::text, host(address), agent
    FROM accounts_auditevent WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
"""


@dataclass(frozen=True)
class Verdict:
    """What a check found: up to which row all is well, and what the first thing is that is not."""

    ok: bool
    rows: int
    position: int
    digest: str
    said: str


def verify() -> Verdict:
    """Follow the chain from its first row to its end, or to the first link that is broken or missing."""
    head = AuditHead.objects.first()
    end, last = (head.position, head.digest) if head else (0, GENESIS)
    place, digest = 0, GENESIS
    anchor = AuditCheck.objects.filter(ok=True).order_by("-pk").first()

    def broken(said: str) -> Verdict:
        return Verdict(ok=False, rows=place, position=place, digest=digest, said=said)

    for position, written, fields in _rows(end):
        if position != place + 1:
            return broken(f"{_which(place + 1, position - 1)} missing.")
        expected = link(digest, position, fields)
        if written != expected:
            return broken(
                f"Row {position} (number {fields[0]}, {fields[3]}, at {fields[1]}) is not what was written."
            )
        if anchor and position == anchor.position and anchor.digest != expected:
            return broken(
                f"The log up to row {position} was written anew: it is not what was checked on"
                f" {anchor.at:%d %B %Y at %H:%M} UTC."
            )
        place, digest = position, expected
    beyond = max(end, anchor.position if anchor else 0)
    if place < beyond:
        return broken(f"{_which(place + 1, beyond)} missing, at the end of the log.")
    if digest != last:
        return broken(f"Row {place}, the last, is not where the log ended.")
    if stray := AuditEvent.objects.filter(position=None).order_by("pk").first():
        return broken(f"The row of number {stray.pk} was written past the chain.")
    if AuditEvent.objects.filter(position__lt=1).exists():
        return broken("A row stands before the first one.")
    return Verdict(
        ok=True,
        rows=place,
        position=place,
        digest=digest,
        said=f"Each of the {place:,} rows is as it was written, and none is missing."
        if place
        else "The log is empty.",
    )


def check(*, how: How, now: datetime, by: User | None = None) -> AuditCheck:
    """Verify the log and keep what was found: the next check holds the log against it."""
    found = verify()
    return AuditCheck.objects.create(
        at=now,
        how=how,
        by=by,
        ok=found.ok,
        rows=found.rows,
        position=found.position,
        digest=found.digest,
        said=found.said[:500],
    )


def check_daily(*, now: datetime) -> AuditCheck | None:
    """Check the log unless that was done within a day; one worker at a time."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('accounts.audit.check'))")
        if not cursor.fetchone()[0] or AuditCheck.objects.filter(at__gt=now - DAILY).exists():
            return None
        return check(how=How.DAILY, now=now)


def link(before: str, position: int, fields: tuple[str | None, ...]) -> str:
    """Return the digest of a row that stands at `position` after the link `before`."""
    text = "".join(_field(one) for one in (before, str(position), *fields))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _field(value: str | None) -> str:
    if value is None:
        return "-:"
    return f"{len(value.encode('utf-8', 'surrogatepass'))}:{value}"


def _rows(end: int) -> Iterator[tuple[int, str, tuple[str | None, ...]]]:
    place = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_ROWS, [place, end, BATCH])
            rows = cursor.fetchall()
            for position, digest, *fields in rows:
                yield position, digest, tuple(fields)
            if len(rows) < BATCH:
                return
            place = rows[-1][0]


def _which(first: int, last: int) -> str:
    return f"Row {first} is" if first == last else f"Rows {first} to {last} are"
