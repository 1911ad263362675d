"""What a person asks of the impact computation."""

from apps.impact.actions.gaps import UnableToAssign, assign_gap
from apps.impact.actions.runs import UnableToRequestRun, cancel_run, request_run

__all__ = ["UnableToAssign", "UnableToRequestRun", "assign_gap", "cancel_run", "request_run"]
