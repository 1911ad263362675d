"""What a file or a body would change: every line new, changed, the same, or bad, and why. Nothing here writes.

`plan` in `planner` is the way in. What it returns stands in `plans`; what each kind of line means is in
`accounts` (customers), `parents` (what hangs on what) and `belongings` (contacts, rules, journeys).
`../applying.py` writes a plan.
"""

from apps.customers.planning.planner import plan
from apps.customers.planning.plans import (
    BAD,
    CHANGED,
    NEW,
    OUTCOMES,
    SAME,
    Account,
    Change,
    Line,
    Model,
    Plan,
)

__all__ = [
    "BAD",
    "CHANGED",
    "NEW",
    "OUTCOMES",
    "SAME",
    "Account",
    "Change",
    "Line",
    "Model",
    "Plan",
    "plan",
]
