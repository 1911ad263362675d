"""What a person asks of the impact computation."""

from apps.impact.actions.gaps import (
    LONGEST_ACCEPTED,
    UnableToAccept,
    UnableToAssign,
    accept_gap,
    assign_gap,
    reopen_gap,
)
from apps.impact.actions.looking import note_attempts_seen
from apps.impact.actions.runs import (
    LONGEST,
    AskedAlready,
    UnableToRequestRun,
    ask_run,
    cancel_run,
    request_run,
)

__all__ = [
    "LONGEST",
    "LONGEST_ACCEPTED",
    "AskedAlready",
    "UnableToAccept",
    "UnableToAssign",
    "UnableToRequestRun",
    "accept_gap",
    "ask_run",
    "assign_gap",
    "cancel_run",
    "note_attempts_seen",
    "reopen_gap",
    "request_run",
]
