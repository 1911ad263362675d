"""The impact of a window: who tried to do what, how it ended, who was hit, and what cannot be told.

    with connect() as con:
        result = compute(
            con,
            files=[...],                 # Parquet segments that hold `attempts.reads(...)`
            start_ms=..., end_ms=...,    # the window, end not included
            as_of_ms=...,                # "seen at": events after it are not looked at
            data_end_ms=...,             # the watermark: until when the data is complete
            names=Catalogue(...),
        )
    result.as_json(); result.story; story.story_for(result, customer_id)

`compute` is a function of its arguments: no clock, no settings, nothing kept. Raises ValueError for
a window that does not end after it starts, `sql.Cancelled` when `cancelled()` says so, and DuckDB's
errors when a file cannot be read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apps.analytics import story
from apps.analytics.attempts import (
    DAY_MS,
    Frame,
    reads,
)
from apps.analytics.daily import Days
from apps.analytics.gaps import find_gaps
from apps.analytics.impact.assembling import assemble, grade
from apps.analytics.impact.facts import Facts, gather
from apps.analytics.names import Catalogue, Week
from apps.analytics.results import (
    Carried,
    ImpactResult,
)
from apps.analytics.sql import Connection, Runner, connect

__all__ = [
    "Carried",
    "ImpactResult",
    "compute",
    "connect",
    "grade",
    "reads",
]

STEPS = 11


def compute(
    con: Connection,
    *,
    files: Sequence[str],
    start_ms: int,
    end_ms: int,
    as_of_ms: int,
    data_end_ms: int,
    names: Catalogue,
    horizon_ms: int = DAY_MS,
    windows: Mapping[tuple[str, int], float] | None = None,
    latency_tenets_ms: Mapping[int, int] | None = None,
    service: int | None = None,
    baseline_weeks: Sequence[Week] = (),
    days: Days | None = None,
    carried: Carried | None = None,
    tenets: Sequence[Mapping[str, Any]] = (),
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImpactResult:
    """Compute what the window did to customers.

    Args:
        con: a DuckDB of its own (`connect`); what this call makes there it removes again.
        files: Parquet segments for `reads(start_ms=, end_ms=, horizon_ms=)`; more do no harm.
        start_ms, end_ms: the window in epoch ms, end not included. An attempt belongs to it when it
            starts in it.
        as_of_ms: the moment from which it is seen.
        data_end_ms: the watermark; nothing after it is known.
        names: what ids are called; journeys with their completing operation and value.
        horizon_ms: H, how long somebody may take to come back.
        windows: W in seconds per (kind of customer, operation); 300 s, stated as default, elsewhere.
        latency_tenets_ms: promised latency per operation; without it no success is slow.
        service: only this service.
        baseline_weeks: earlier weeks, for what never came and who did not return.
        days: the days around the earlier weeks, rolled up as far as they are; without it the files above
            are read.
        carried: what a whole computation of the same beginning found in earlier weeks: those are not read
            then, the answer says so, and it is provisional, however long ago the window was.
        tenets: rows for the answer's "tenets", judged by the caller.
        progress: called with (step, steps, label).
        cancelled: asked between steps.
    """
    if end_ms <= start_ms:
        message = "the window must end after it starts"
        raise ValueError(message)
    frame = Frame(
        files=tuple(files),
        start_ms=start_ms,
        end_ms=end_ms,
        as_of_ms=as_of_ms,
        data_end_ms=data_end_ms,
        horizon_ms=horizon_ms,
        service=service,
        windows=dict(windows or {}),
        kinds={c.id: c.kind for c in names.customers.values()},
        latency_tenets_ms=dict(latency_tenets_ms or {}),
        merged=dict(names.merged),
    )
    run = Runner(con, steps=STEPS, progress=progress, cancelled=cancelled)
    try:
        facts = gather(run, frame, names, baseline_weeks, days, carried)
    finally:
        run.drop_all()
    result = assemble(facts, frame, names, as_of_ms=as_of_ms, data_end_ms=data_end_ms)
    result = replace(
        result,
        tenets=tuple(tenets),
        history=carried or _history(facts, frame),
        carried=carried is not None,
        provisional=result.provisional or carried is not None,
    )
    result = replace(result, gaps=find_gaps(result, proxies=len(facts.cleaned.proxies)))
    return story.told(result)


def _history(facts: Facts, frame: Frame) -> Carried | None:
    """What a later computation of the same beginning may carry; None where no earlier week was looked at."""
    if not facts.lost:
        return None
    usual = facts.series.usual if facts.series else None
    return Carried(frame.as_of_ms, frame.end_ms, facts.lost, usual)
