"""Runs, snapshots and gaps."""

from apps.impact.models.gaps import Gap
from apps.impact.models.runs import (
    CustomerImpact,
    CustomerImpactQuerySet,
    ImpactRun,
    ImpactSnapshot,
    RunState,
)

__all__ = [
    "CustomerImpact",
    "CustomerImpactQuerySet",
    "Gap",
    "ImpactRun",
    "ImpactSnapshot",
    "RunState",
]
