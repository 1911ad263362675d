"""`evaluate attempts`: attempts made out of events, against those that truly happened."""

from collections.abc import Iterator

import pyarrow as pa

from apps.analytics.attempts import DAY_MS, Frame, build_chains, clean, list_attempts
from apps.analytics.score import Score, Scores, score
from apps.analytics.simulate import Plan
from apps.analytics.sql import Runner, connect
from apps.core.figures import EvaluationRow, Option, at_least, evaluation
from apps.impact.evaluations.planted import PROMISED_MS, plant

FAULTS = "total,partial,latency,customer,journey,silence"
OPTIONS = [
    Option("--seeds", int, 20, "seeds for each fault", quick=1),
    Option("--events", int, 500_000, "events in the week that holds the fault", quick=60_000),
    Option("--faults", str, FAULTS, "which faults, by name", quick="partial"),
]
#: Of all faults together; machines without keys are scored as far as their attempts are told apart.
GOALS = {"people": 0.94, "keyed": 0.985, "unkeyed": 0.94}
#: Of each fault. Who carries nothing but a key that each click makes anew has no goal: it is only shown.
FLOOR = 0.90
KINDS = (*GOALS, "by_address", "internal")
#: How long people wait before they try again: the rule must not be made for one population.
PAUSES_S = (12.0, 40.0)
OTHER_SEEDS = 1_000
LOOK_BACK_MS = 4 * DAY_MS


@evaluation("attempts", help="each attempt's beginning and end, strictly scored", options=OPTIONS)
def attempts(
    *, seeds: int, events: int, faults: str, seed: int, quick: bool
) -> Iterator[EvaluationRow]:
    """Score every fault over seeds and two populations; then over seeds that nothing was tuned on.

    An attempt is right only if it starts with its first request and has the right class (see
    `analytics.score`). Only what a log shows can be found: in a silence that is nothing.
    """
    first = seed or 1
    yield from _over(range(first, first + seeds), events, faults, goals=not quick)
    if not quick:
        other = first + OTHER_SEEDS
        yield from _over(
            range(other, other + seeds), events, faults, goals=False, note="not tuned on"
        )


def _over(
    seeds: range, events: int, faults: str, *, goals: bool, note: str = ""
) -> Iterator[EvaluationRow]:
    together: dict[str, Score] = {}
    refused: dict[str, int] = {}
    for fault in faults.split(","):
        mine: dict[str, Score] = {}
        for number in seeds:
            plan = Plan.scenario(
                fault.strip(),
                seed=number,
                events=events,
                weeks=1,
                human_gap_s=PAUSES_S[number % len(PAUSES_S)],
            )
            found = _score(plan)
            _add(mine, found.by_group)
            for group, count in found.refused.items():
                refused[group] = refused.get(group, 0) + count
        _add(together, mine)
        for group, one in _planted(mine):
            name = _join(fault, f"{group}, {one.planted:,} attempts", note)
            yield EvaluationRow(name, one.f1, at_least(FLOOR) if goals and group in KINDS else None)
    for group, one in _planted(together):
        set_aside = refused.get(group, 0)
        share = set_aside / (set_aside + one.planted) if set_aside else 0
        yield EvaluationRow(
            _join("all", f"{group}, {one.planted:,} attempts", note),
            one.f1,
            at_least(GOALS.get(group, FLOOR)) if goals and group in KINDS else None,
            f"{share:.0%} refused as cannot tell" if set_aside else "",
        )


def _planted(scores: dict[str, Score]) -> list[tuple[str, Score]]:
    return sorted((group, one) for group, one in scores.items() if one.planted)


def _join(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _add(into: dict[str, Score], more: dict[str, Score]) -> None:
    for group, one in more.items():
        into[group] = into.get(group, Score(0, 0, 0)) + one


def _score(plan: Plan) -> Scores:
    start, end = plan.window_ms
    with plant(plan, from_ms=start - LOOK_BACK_MS) as planted, connect() as con:
        frame = Frame(
            files=planted.files,
            start_ms=start,
            end_ms=end,
            as_of_ms=plan.end_ms,
            data_end_ms=plan.end_ms,
            latency_tenets_ms=PROMISED_MS,
        )
        run = Runner(con)
        clean(run, frame)
        build_chains(run, frame)
        list_attempts(run, frame)
        run.table(
            "found",
            "SELECT d.request, l.class, l.actor, l.operation FROM listed l JOIN deduped d USING (loc)",
        )
        found: pa.Table = con.sql("SELECT * FROM found").to_arrow_table()
        return score(found, planted.traced)
