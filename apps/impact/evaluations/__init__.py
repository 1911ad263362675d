"""`evaluate attempts` and `evaluate impact`: what the computation says, against planted truth."""

from apps.impact.evaluations.attempts import attempts
from apps.impact.evaluations.story import impact

__all__ = ["attempts", "impact"]
