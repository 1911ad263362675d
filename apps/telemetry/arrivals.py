"""What came from whom and when, by our own clock: batches counted by a worker into five minutes of each sender.

Taking events in does not wait for it. Each batch is added once, in the transaction that marks it, so a figure is the
sum over the marked batches whoever counts at the same time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction

from apps.catalog.models import Service
from apps.telemetry.models import Arrival, Batch, Sender, SenderState, Silence

SLOT_S = 300
HOUR_SLOTS = 3600 // SLOT_S
DAY_SLOTS = 86_400 // SLOT_S

KEPT_DAYS = 35
"""Arrivals are kept for so long, and a sender that was not heard for so long is forgotten."""
FINE_DAYS = 2
"""Five minutes are told apart today and so many days before; older ones are kept by the hour."""
SILENT_AFTER = timedelta(minutes=10)
"""Nobody is missed sooner."""

AT_ONCE = 2_000  # batches of one transaction
ROUNDS = 50  # ... and so often at most, so that whatever else is due gets its turn

Who = tuple[str | None, int | None]
"""A source, or a service by its primary key; the other is None."""


@dataclass
class _Heard:
    """What some batches tell of one sender."""

    first_at: datetime
    last_at: datetime
    format: str = ""
    latest_ms: int | None = None
    seen: list[datetime] = field(default_factory=list)  # of those with events
    slots: dict[int, list[int]] = field(default_factory=dict)  # as `_COLUMNS`


_COLUMNS = ("batches", "events", "rejected", "bots", "probes", "customers", "named")


def slot_of(at: datetime) -> int:
    """Return the five minutes since 1970 in which a moment lies."""
    return int(at.timestamp()) // SLOT_S


def moment(slot: int) -> datetime:
    """Return when five minutes begin."""
    return datetime.fromtimestamp(slot * SLOT_S, UTC)


def whole_slots_from(now: datetime) -> int:
    """Return the first of the five minutes that are not put together by the hour."""
    return slot_of(now) // DAY_SLOTS * DAY_SLOTS - FINE_DAYS * DAY_SLOTS


def count() -> int:
    """Count the batches that wait; return how many were counted."""
    done = 0
    for _ in range(ROUNDS):
        n = _count_some()
        done += n
        if n < AT_ONCE:
            break
    return done


@transaction.atomic
def _count_some() -> int:
    waiting = Batch.objects.select_for_update(skip_locked=True).filter(arrival_counted=False)
    batches = list(
        waiting.order_by("pk").values(
            "pk", "source", "format", "rows", "rejected", "reasons", "tally", "created_at"
        )[:AT_ONCE]
    )
    if not batches:
        return 0
    heard: dict[Who, _Heard] = {}
    totals: dict[str, int] = {}
    for one in sorted(batches, key=lambda one: (one["created_at"], one["pk"])):
        _hear(heard, one)
        _add_up(totals, one)
    known = set(
        Service.objects.filter(pk__in=[pk for _, pk in heard if pk is not None]).values_list(
            "pk", flat=True
        )
    )
    _save({who: what for who, what in heard.items() if who[1] is None or who[1] in known})
    _save_totals(totals)
    Batch.objects.filter(pk__in=[one["pk"] for one in batches]).update(arrival_counted=True)
    return len(batches)


def _hear(heard: dict[Who, _Heard], batch: Mapping[str, Any]) -> None:
    at, tally = batch["created_at"], batch["tally"]
    sums = [1, batch["rows"], batch["rejected"]]
    sums += [tally.get(name) or 0 for name in ("bots", "probes", "customers", "named")]
    source = _one(heard, (batch["source"], None), at, sums)
    source.format = batch["format"] or source.format
    last_ms = tally.get("last_ms")
    if last_ms is not None:
        source.latest_ms = max(source.latest_ms or last_ms, last_ms)
    for service, rows in tally.get("services") or ():
        _one(heard, (None, service), at, [1, rows, 0, 0, 0, 0, 0])


def _one(heard: dict[Who, _Heard], who: Who, at: datetime, sums: list[int]) -> _Heard:
    one = heard.setdefault(who, _Heard(at, at))
    one.last_at = max(one.last_at, at)
    if sums[1]:
        one.seen.append(at)
    slot = one.slots.setdefault(slot_of(at), [0] * len(_COLUMNS))
    for place, n in enumerate(sums):
        slot[place] += n
    return one


def _add_up(totals: dict[str, int], batch: Mapping[str, Any]) -> None:
    tally = batch["tally"]
    found = {
        "batches": 1,
        "events": batch["rows"],
        "bots": tally.get("bots") or 0,
        "probes": tally.get("probes") or 0,
        **{f"rejected: {reason}"[:200]: n for reason, n in batch["reasons"].items()},
    }
    for name, n in found.items():
        totals[name] = totals.get(name, 0) + n


def _save(heard: Mapping[Who, _Heard]) -> None:
    # In one order, so that two workers wait for each other instead of both for ever.
    order = sorted(heard, key=lambda who: (who[0] or "", who[1] or 0))
    Sender.objects.bulk_create(
        [
            Sender(
                source=source,
                service_id=service,
                first_at=heard[source, service].first_at,
                seen_at=heard[source, service].first_at,
                state=SenderState.UNLEARNED,
            )
            for source, service in order
        ],
        ignore_conflicts=True,
    )
    rows = Sender.objects.filter(
        source__in=[who[0] for who in order if who[0] is not None]
    ) | Sender.objects.filter(service__in=[who[1] for who in order if who[1] is not None])
    senders = {
        (one.source, one.service_id): one
        for one in rows.select_for_update(of=("self",)).order_by("pk")
    }
    arrivals: list[list[int]] = []
    for who, sender in sorted(senders.items(), key=lambda item: item[1].pk):
        arrivals += _take_note(sender, heard[who])
    Sender.objects.bulk_update(
        senders.values(), ["first_at", "seen_at", "latest_ms", "format", "state", "look_at"]
    )
    _save_arrivals(arrivals)


def _take_note(sender: Sender, heard: _Heard) -> Iterable[list[int]]:
    """Say of a sender what was heard, end its silence, and return its arrivals as rows."""
    gaps: dict[int, int] = {}
    before = sender.seen_at
    for at in heard.seen:
        pause = int((at - before).total_seconds())
        gaps[slot_of(at)] = max(gaps.get(slot_of(at), 0), pause)
        before = max(before, at)
    sender.first_at = min(sender.first_at, heard.first_at)
    sender.format = heard.format or sender.format
    if heard.latest_ms is not None:
        sender.latest_ms = max(sender.latest_ms or heard.latest_ms, heard.latest_ms)
    if heard.seen and heard.seen[-1] >= sender.seen_at:
        for silence in sender.silences.filter(ended_at=None, began_at__lt=heard.seen[-1]):
            silence.ended_at = next(at for at in heard.seen if at > silence.began_at)
            silence.save(update_fields=["ended_at"])
        sender.seen_at = heard.seen[-1]
        sender.state = SenderState.FLOWING
        sender.look_at = sender.seen_at + SILENT_AFTER
    return [
        [sender.pk, slot, *sums, gaps.get(slot, 0)] for slot, sums in sorted(heard.slots.items())
    ]


def _save_arrivals(rows: Iterable[list[int]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO telemetry_arrival AS a (sender_id, slot, batches, events, rejected, bots, probes,
                                                customers, named, longest_gap_s)
            SELECT * FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[],
                                 %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
            ON CONFLICT (sender_id, slot) DO UPDATE SET
                batches = a.batches + excluded.batches,
                events = a.events + excluded.events,
                rejected = a.rejected + excluded.rejected,
                bots = a.bots + excluded.bots,
                probes = a.probes + excluded.probes,
                customers = a.customers + excluded.customers,
                named = a.named + excluded.named,
                longest_gap_s = greatest(a.longest_gap_s, excluded.longest_gap_s)
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


def _save_totals(totals: Mapping[str, int]) -> None:
    rows = sorted(totals.items())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO telemetry_total AS t (name, n) SELECT * FROM unnest(%s::text[], %s::bigint[])
            ON CONFLICT (name) DO UPDATE SET n = t.n + excluded.n
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )


# The five minutes of an hour become its first five: whole hours add up to the same.
_FOLD = """
    WITH gone AS (
        DELETE FROM telemetry_arrival WHERE slot < %(end)s AND slot %% %(hour)s <> 0
        RETURNING *
    )
    INSERT INTO telemetry_arrival AS a (sender_id, slot, batches, events, rejected, bots, probes,
                                        customers, named, longest_gap_s)
    SELECT sender_id, slot / %(hour)s * %(hour)s, sum(batches), sum(events), sum(rejected), sum(bots),
           sum(probes), sum(customers), sum(named), max(longest_gap_s)
    FROM gone GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (sender_id, slot) DO UPDATE SET
        batches = a.batches + excluded.batches,
        events = a.events + excluded.events,
        rejected = a.rejected + excluded.rejected,
        bots = a.bots + excluded.bots,
        probes = a.probes + excluded.probes,
        customers = a.customers + excluded.customers,
        named = a.named + excluded.named,
        longest_gap_s = greatest(a.longest_gap_s, excluded.longest_gap_s)
"""


def fold(*, now: datetime) -> None:
    """Put older arrivals together by the hour, and forget those and the senders that are too old."""
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, {"end": whole_slots_from(now), "hour": HOUR_SLOTS})
    oldest = now - timedelta(days=KEPT_DAYS)
    Arrival.objects.filter(slot__lt=slot_of(oldest)).delete()
    Silence.objects.filter(ended_at__lt=oldest).delete()
    Sender.objects.filter(seen_at__lt=oldest).delete()
