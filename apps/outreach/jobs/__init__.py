"""What the worker does: propose drafts, notice what went stale, send what is due. Safe to run twice.

No mail is sent twice: a row is claimed, moved to `submitting` by compare-and-swap, and only then handed
over; a row whose sender died in `submitting` becomes `unknown` and waits for a person. None is lost: what
is approved stands in rows before anybody is told so.
"""

from datetime import datetime

from apps.core.nudge import nudge
from apps.outreach.jobs.illustrating import illustrate, to_illustrate
from apps.outreach.jobs.proposing import propose
from apps.outreach.jobs.sending import FIRST_WAIT, Drained, drain, reap, waiting_rows
from apps.outreach.jobs.standing import (
    GOOD_FOR,
    make_stale,
    notice_stale,
    settle,
    settle_all,
    withdraw_waiting,
    write_rows,
)
from apps.outreach.jobs.writing import facts_for, redraft, without_picture

__all__ = [
    "FIRST_WAIT",
    "GOOD_FOR",
    "Drained",
    "drain",
    "facts_for",
    "illustrate",
    "make_stale",
    "notice_stale",
    "propose",
    "reap",
    "redraft",
    "settle",
    "settle_all",
    "sweep",
    "withdraw_waiting",
    "without_picture",
    "write_rows",
]


def sweep(*, now: datetime) -> None:
    """Do whatever no wake-up did: propose, notice, settle, free dead claims, and wake the sender."""
    propose(now=now)
    notice_stale(now=now)
    reap(now=now)
    settle_all(now=now)
    if to_illustrate().exists():
        nudge("outreach.illustrate")
    if waiting_rows(now).exists():
        nudge("outreach.drain", queue="mail")
