"""Senders that stopped: a service that sends nothing any more says nothing about who came."""

from apps.analytics.attempts import Frame
from apps.analytics.sql import Runner

ENOUGH = 50
SILENT_MS = 10 * 60_000
MISSED = 20


def stopped(run: Runner, frame: Frame) -> dict[int, int]:
    """Services that went silent before the window's end and are silent still: service -> last event, epoch ms.

    Silent: nothing at all, bots and health checks included, for ten minutes and for as long as twenty
    events took before (by chance that happens once in e^20). Whoever is heard again was no stopped
    sender: then the silence is told as one. Refuses (says nothing) below 50 events before the silence.
    """
    rows = run.rows("SELECT service, count(*), min(ts), max(ts) FROM deduped GROUP BY service")
    found = {}
    for service, n, first, last in rows:
        silent = frame.seen_until_ms - last
        usual_gap = (last - first) / n
        if n >= ENOUGH and last < frame.end_ms and silent >= max(SILENT_MS, MISSED * usual_gap):
            found[int(service)] = int(last)
    return found
