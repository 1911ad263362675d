"""A sender that stops: missed when it would usually have sent, at this hour of earlier days or weeks.

Silence ends by itself as something arrives (`arrivals`). Nothing is said of a sender that is not known for three days.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from statistics import median

from django.conf import settings
from django.db import transaction

from apps.telemetry.arrivals import (
    HOUR_SLOTS,
    SILENT_AFTER,
    SLOT_S,
    moment,
    slot_of,
    whole_slots_from,
)
from apps.telemetry.models import Arrival, Batch, Sender, SenderState, Silence
from apps.telemetry.space import free_bytes

DAY = timedelta(days=1)
WEEKS = (7, 14, 21, 28)
NEEDED = 3
"""So many earlier days (or the same weekday of so many weeks) tell what is usual; with fewer nothing is said."""
MISSED = 20
"""Silent: the quietest of the earlier days brought so many deliveries meanwhile ..."""
LONGER = 2
"""... or two, and the silence is so many times as long as the longest pause around this hour on those days."""
STOPPED_AFTER = DAY
AROUND = timedelta(hours=1)
AT_ONCE = 200  # senders of one look
LISTENING = ".listening"
UNCOUNTED = timedelta(minutes=1)


@dataclass(frozen=True)
class Bin:
    """Arrivals of five minutes or of an hour."""

    start: datetime
    seconds: int
    batches: int
    events: int
    longest_gap_s: int


@dataclass(frozen=True)
class Usual:
    """What a sender usually does while it is now silent."""

    deliveries: float  # on the quietest of the earlier days; of five or more, on the one after it
    per_minute: float  # events, on the middle one
    longest_gap_s: int  # the longest pause that ended around then

    def misses(self, silent: timedelta) -> bool:
        """Whether a silence of this length is not usual."""
        if silent < SILENT_AFTER or self.deliveries < LONGER:
            return False
        return self.deliveries >= MISSED or silent.total_seconds() >= LONGER * self.longest_gap_s


def usual(
    bins: Iterable[Bin], *, first_at: datetime, seen_at: datetime, now: datetime
) -> Usual | None:
    """Return what earlier days brought between the hours of `seen_at` and `now`; None when too few are known.

    The same weekday of earlier weeks where three are known, else the seven days before. A day that was known
    only in part does not count. Bins of an hour count by the part of them that lies within.
    """
    silent = now - seen_at
    least = max(ceil(silent / DAY), 1)

    def known(days: Iterable[int]) -> list[timedelta]:
        return [k * DAY for k in days if k >= least and seen_at - k * DAY >= first_at]

    back = known(WEEKS)
    if len(back) < NEEDED:
        back = known(range(least, least + 7))
    if len(back) < NEEDED:
        return None
    bins = list(bins)
    # The delivery that was heard last is none that is missed.
    start = moment(slot_of(seen_at) + 1)
    found = sorted(_within(bins, start - k, now - k) for k in back)
    deliveries = found[1 if len(found) >= 5 else 0][0]
    gaps = [
        one.longest_gap_s
        for one in bins
        for k in back
        if seen_at - k - AROUND <= one.start <= now - k + AROUND
    ]
    return Usual(
        deliveries=deliveries,
        per_minute=median(events for _, events in found)
        / max((now - start).total_seconds() / 60, 1),
        longest_gap_s=max(gaps, default=0),
    )


def _within(bins: Iterable[Bin], start: datetime, end: datetime) -> tuple[float, float]:
    """Return the deliveries and events of [start, end)."""
    batches = events = 0.0
    for one in bins:
        stop = one.start + timedelta(seconds=one.seconds)
        part = (min(stop, end) - max(one.start, start)).total_seconds() / one.seconds
        if part > 0:
            batches += one.batches * part
            events += one.events * part
    return batches, events


def notice(*, now: datetime) -> int:
    """Open a silence for each sender that is missed; return how many.

    Says nothing for the first minutes after the portal itself was down or its disk full, nor while batches wait to
    be counted: then it is not known who is silent.
    """
    Sender.objects.filter(
        state=SenderState.QUIET,
        silences__ended_at=None,
        silences__began_at__lte=now - STOPPED_AFTER,
    ).update(state=SenderState.STOPPED)
    if now - _listening_since(now) < SILENT_AFTER:
        return 0
    if Batch.objects.filter(arrival_counted=False, created_at__lt=now - UNCOUNTED).exists():
        return 0
    due = list(Sender.objects.filter(look_at__lte=now).order_by("look_at", "pk")[:AT_ONCE])
    of = _bins(due, now=now)
    return sum(_look(sender, of.get(sender.pk, ()), now=now) for sender in due)


@transaction.atomic
def _look(sender: Sender, bins: Iterable[Bin], *, now: datetime) -> bool:
    # Of two who look at once, or while it is heard again, one goes on.
    rows = Sender.objects.filter(pk=sender.pk, seen_at=sender.seen_at, look_at=sender.look_at)
    silent = now - sender.seen_at
    found = usual(bins, first_at=sender.first_at, seen_at=sender.seen_at, now=now)
    if found is None:
        # Every day that passes makes the days that can be looked at fewer.
        rows.update(state=SenderState.UNLEARNED, look_at=None)
        return False
    if not found.misses(silent):
        rows.update(look_at=now + max(silent / 4, timedelta(minutes=1)))
        return False
    state = SenderState.STOPPED if silent >= STOPPED_AFTER else SenderState.QUIET
    if not rows.update(state=state, look_at=None):
        return False
    Silence.objects.get_or_create(
        sender=sender,
        ended_at=None,
        defaults={"began_at": sender.seen_at, "noticed_at": now, "usual": found.per_minute},
    )
    return True


def _bins(senders: Iterable[Sender], *, now: datetime) -> Mapping[int, list[Bin]]:
    fine = whole_slots_from(now)
    found: dict[int, list[Bin]] = {}
    rows = Arrival.objects.filter(sender__in=senders).values_list(
        "sender", "slot", "batches", "events", "longest_gap_s"
    )
    for sender, slot, batches, events, gap in rows:
        seconds = SLOT_S * (HOUR_SLOTS if slot < fine and slot % HOUR_SLOTS == 0 else 1)
        found.setdefault(sender, []).append(Bin(moment(slot), seconds, batches, events, gap))
    return found


def _listening_since(now: datetime) -> datetime:
    """Return since when we have been there without a break to hear anybody, and note that we are."""
    mark = Path(settings.EVENTS_DIR) / LISTENING
    lapse = max(120, 4 * settings.PORTAL_SWEEP_SECONDS)
    try:
        since, last = float(mark.read_text()), mark.stat().st_mtime
    except (OSError, ValueError):
        since = last = 0.0
    moment_ = now.timestamp()
    if not 0 <= moment_ - last <= lapse or free_bytes() < settings.EVENTS_LEAST_FREE:
        since = moment_
    if mark.parent.is_dir():
        mark.write_text(repr(since))
        os.utime(mark, (moment_, moment_))
    return datetime.fromtimestamp(since, now.tzinfo)
