"""`evaluate impact`: the figures that the story uses, against what truly happened."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from apps.analytics.impact import ImpactResult, compute, connect
from apps.analytics.measures import NotReturned
from apps.analytics.names import Week
from apps.analytics.simulate import Plan
from apps.analytics.stats import Interval, Lost
from apps.core.figures import EvaluationRow, Goal, Option, at_least, between, evaluation
from apps.impact.evaluations.planted import PROMISED_MS, Planted, plant
from apps.impact.evaluations.replicates import churn_rows, lost_rows, uptime_rows

FAULTS = "none,partial,total,journey,customer,silence"
OPTIONS = [
    Option("--seeds", int, 20, "seeds for each fault", quick=1),
    Option("--events", int, 1_000_000, "events in all", quick=100_000),
    Option("--weeks", int, 5, "weeks in all, the last one with the fault", quick=2),
    Option("--faults", str, FAULTS, "which faults, by name", quick="partial"),
    Option("--replicates", int, 600, "draws for intervals that need no events", quick=20),
]
WITHIN = between(0.88, 1.12)
"""Counts that the story uses must be right within 12 % (the reference's bar for its own run)."""
WAIT = between(0.95, 1.05)
EXACT = between(0.99, 1.01)
COVERED = at_least(0.93)
OTHER_SEEDS = 1_000


@evaluation("impact", help="the figures of the story against planted truth", options=OPTIONS)
def impact(
    *,
    seeds: int,
    events: int,
    weeks: int,
    faults: str,
    replicates: int,
    seed: int,
    quick: bool,
) -> Iterator[EvaluationRow]:
    """Score counts, waiting, the lost and the gone over seeds and faults; then over other seeds to report.

    Intervals are also tried on many draws of counts alone, which need no events.
    """
    first = seed or 1
    yield from uptime_rows(seed=first)
    yield from lost_rows(replicates, seed=first, goals=not quick)
    yield from churn_rows(replicates, seed=first, goals=not quick)
    plans = _plans(range(first, first + seeds), faults, events=events, weeks=weeks)
    yield from _over(plans, wait=None if quick else WAIT)
    if not quick:
        other = range(first + OTHER_SEEDS, first + OTHER_SEEDS + max(1, seeds // 4))
        plans = _plans(other, faults, events=events, weeks=weeks)
        yield from _over(plans, goals=False, note="not tuned on")


def _plans(seeds: range, faults: str, *, events: int, weeks: int) -> dict[str, list[Plan]]:
    return {
        fault: [Plan.scenario(fault, seed=number, events=events, weeks=weeks) for number in seeds]
        for fault in (name.strip() for name in faults.split(","))
    }


@dataclass
class _Sums:
    """What was found and what is true, added up over seeds."""

    found: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[Interval, int]] = field(default_factory=list)
    gone: list[tuple[Interval, float]] = field(default_factory=list)


def _over(
    plans: dict[str, list[Plan]], *, wait: Goal | None = None, goals: bool = True, note: str = ""
) -> Iterator[EvaluationRow]:
    everything = _Sums()
    suffix = f": {note}" if note else ""
    for fault, runs in plans.items():
        sums = _Sums()
        for plan in runs:
            _add(sums, plan)
        everything.lost += sums.lost
        everything.gone += sums.gone
        for name, true in sums.true.items():
            if true < 30:  # a handful says nothing about a share
                continue
            found = sums.found[name]
            goal = {"seconds waited": wait, "actors hit": EXACT}.get(name, WITHIN)
            yield EvaluationRow(
                f"{fault}: {name}, found {found:,} of {true:,}{suffix}",
                found / true,
                goal if goals else None,
            )
    for what, pairs in (("lost attempts", everything.lost), ("not returned", everything.gone)):
        if pairs:
            covered = sum(one.low <= truth <= one.high for one, truth in pairs) / len(pairs)
            bias = np.mean([one.estimate - truth for one, truth in pairs])
            yield EvaluationRow(
                f"{what}: true number within the interval, {len(pairs)} windows{suffix}",
                covered,
                COVERED if goals and len(pairs) >= 20 else None,
                f"mean error {bias:+.1f} of {np.mean([truth for _, truth in pairs]):.1f}",
            )


def _add(sums: _Sums, plan: Plan) -> None:
    with plant(plan) as planted:
        result = _computed(planted)
        classes = Counter(planted.traced["class"].to_pylist())
        attempts = result.figures.attempts
        sums.found["attempts first_try"] += attempts.first_try
        sums.true["attempts first_try"] += classes["first_try"]
        sums.found["attempts retried"] += attempts.retried
        sums.true["attempts retried"] += classes["retried"]
        sums.found["attempts not through"] += attempts.failed
        sums.true["attempts not through"] += classes["gave_up"] + classes["came_back"]
        sums.found["seconds waited"] += round(result.figures.extra_wait.sum)
        sums.true["seconds waited"] += round(
            (pc.sum(planted.traced["extra_ms"]).as_py() or 0) / 1000
        )
        sums.found["actors hit"] += result.figures.actors.at_least_hit
        sums.true["actors hit"] += planted.hit
        if isinstance(result.figures.lost, Lost):
            sums.lost.append((result.figures.lost.interval, planted.never_made))
        if isinstance(result.figures.not_returned, NotReturned):
            gone = result.figures.not_returned
            sums.gone.append((gone.interval, planted.left * (1 - gone.curve[-1].usual)))


def _computed(planted: Planted) -> ImpactResult:
    plan = planted.plan
    start, end = plan.window_ms
    with connect() as con:
        return compute(
            con,
            files=planted.files,
            start_ms=start,
            end_ms=end,
            as_of_ms=plan.end_ms,
            data_end_ms=plan.end_ms,
            names=planted.catalogue,
            latency_tenets_ms=PROMISED_MS,
            baseline_weeks=[Week(back, planted.files) for back in range(1, plan.weeks)],
        )
