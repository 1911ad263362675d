"""What a file or a body would change: every line new, changed, the same, or bad, and why. Nothing here writes."""

from apps.customers.planning.belongings import (
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
    plan,
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
