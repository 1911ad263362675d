"""`evaluate impact`: what the computation says, against what truly happened in simulated traffic."""

from collections import Counter
from collections.abc import Iterator

import pyarrow.compute as pc

from apps.analytics.impact import ImpactResult, compute, connect
from apps.analytics.simulate import Plan
from apps.core.figures import EvaluationRow, Option, between, evaluation
from apps.impact.evaluations.planted import plant

OPTIONS = [
    Option("--events", int, 1_000_000, "events to simulate for each fault", quick=100_000),
    Option("--faults", str, "partial,total,journey", "which faults, by name", quick="partial"),
]
WITHIN = between(0.88, 1.12)
"""Counts that the story uses must be right within 12 % (the reference's bar for its own run)."""


@evaluation("impact", help="counts of the story against planted truth", options=OPTIONS)
def impact(*, events: int, faults: str, seed: int, quick: bool) -> Iterator[EvaluationRow]:
    """Score each fault's window: found divided by true, for each class of attempt."""
    for fault in faults.split(","):
        plan = Plan.scenario(fault.strip(), seed=seed or 1, events=events, weeks=2)
        found, truth, hit = _run(plan)
        classes = {name: getattr(found.figures.attempts, name) for name in ("first_try", "retried")}
        classes["not through"] = found.figures.attempts.failed
        true = {name: truth[name] for name in classes}
        true["not through"] = truth["gave_up"] + truth["came_back"]
        refused = found.figures.attempts.cannot_tell
        note = f"{refused:,} attempts refused as cannot tell" if refused else ""
        for name, count in classes.items():
            if not count and not true[name]:
                continue
            value = _ratio(count, true[name], refused)
            yield EvaluationRow(
                f"{fault}: attempts {name}, found {count:,} of {true[name]:,}", value, WITHIN, note
            )
        actors = found.figures.actors.at_least_hit
        yield EvaluationRow(
            f"{fault}: actors hit, found {actors:,} of {hit:,}",
            actors / hit if hit else None,
            WITHIN,
        )


def _ratio(found: int, true: int, refused: int) -> float | None:
    """Found ÷ true; what was refused may be of any class, so it counts as far as it brings the two together."""
    if not true:
        return None
    return (found + max(0, min(refused, true - found))) / true


def _run(plan: Plan) -> tuple[ImpactResult, Counter[str], int]:
    """Return what is computed, the true classes of attempts, and the true number of actors hit in the window."""
    start, end = plan.window_ms
    with plant(plan) as planted, connect() as con:
        traced = planted.attempts.filter(planted.attempts["request"].is_valid())
        struck = traced.filter(pc.greater(traced["failed"], 0))
        result = compute(
            con,
            files=planted.files,
            start_ms=start,
            end_ms=end,
            as_of_ms=plan.end_ms,
            data_end_ms=plan.end_ms,
            names=planted.catalogue,
        )
        hit = pc.count_distinct(struck["actor"]).as_py()
        return result, Counter(traced["class"].to_pylist()), hit
