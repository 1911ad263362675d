"""Runs, snapshots and gaps."""

from apps.impact.models.gaps import Gap
from apps.impact.models.runs import (
    HIT_GRADES,
    CustomerImpact,
    CustomerImpactQuerySet,
    ImpactRun,
    ImpactSnapshot,
    RunState,
)

__all__ = [
    "HIT_GRADES",
    "CustomerImpact",
    "CustomerImpactQuerySet",
    "Gap",
    "ImpactRun",
    "ImpactSnapshot",
    "RunState",
]
