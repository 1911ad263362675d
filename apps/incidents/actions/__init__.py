"""What people do with an incident: each is one intention, one transaction, one line in the audit log.

The incident's row is always locked first, so two people who press at once are one after the other; the
second is told what the first did.
"""

from apps.incidents.actions.common import Refused
from apps.incidents.actions.handling import (
    MOST_REASON,
    Conflict,
    UnableToChangeState,
    UnableToDeclare,
    UnableToEdit,
    UnableToRequestImpact,
    UnableToSetSeverity,
    change_state,
    declare,
    edit,
    needs_reason,
    request_impact,
    set_severity,
)
from apps.incidents.actions.telling import (
    MOST_ADVICE,
    MOST_TEXT,
    TOLD_STATES,
    DraftConflict,
    UnableToDraft,
    UnableToPublish,
    discard_draft,
    draft_update,
    publish_update,
    resolve,
)

__all__ = [
    "MOST_ADVICE",
    "MOST_REASON",
    "MOST_TEXT",
    "TOLD_STATES",
    "Conflict",
    "DraftConflict",
    "Refused",
    "UnableToChangeState",
    "UnableToDeclare",
    "UnableToDraft",
    "UnableToEdit",
    "UnableToPublish",
    "UnableToRequestImpact",
    "UnableToSetSeverity",
    "change_state",
    "declare",
    "discard_draft",
    "draft_update",
    "edit",
    "needs_reason",
    "publish_update",
    "request_impact",
    "resolve",
    "set_severity",
]
