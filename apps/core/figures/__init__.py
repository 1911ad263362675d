"""Three verbs for figures: bench (speed), drill (failures), evaluate (truth).

Every app adds to them by a module `benches.py`, `drills.py` or `evaluations.py` of generator
functions:

    @bench("impact", help="the attempt pass against the same SQL by hand",
           options=[Option("--events", int, 10_000_000, "events to write", quick=100_000)])
    def impact(*, events: int, seed: int, quick: bool) -> Iterator[BenchRow]:
        ours, theirs = compare(run_ours, run_by_hand)
        yield BenchRow("10 million events", ours.seconds, theirs.seconds, goal=at_most(1.3))
        yield BenchRow("peak memory", ours.peak_rss_mb, unit="MB", goal=at_most(1000))

`manage.py bench|drill|evaluate` list what there is, and print rows as they come.
"""

from apps.core.figures.measuring import Measured, compare, measure, measure_apart
from apps.core.figures.registry import (
    BENCHES,
    DRILLS,
    EVALUATIONS,
    Entry,
    Option,
    Registry,
    bench,
    drill,
    evaluation,
)
from apps.core.figures.rows import (
    BenchRow,
    DrillStep,
    EvaluationRow,
    Goal,
    at_least,
    at_most,
    between,
)

__all__ = [
    "BENCHES",
    "DRILLS",
    "EVALUATIONS",
    "BenchRow",
    "DrillStep",
    "Entry",
    "EvaluationRow",
    "Goal",
    "Measured",
    "Option",
    "Registry",
    "at_least",
    "at_most",
    "bench",
    "between",
    "compare",
    "drill",
    "evaluation",
    "measure",
    "measure_apart",
]
