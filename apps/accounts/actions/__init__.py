"""What people do with people and with the keys of machines: one function, one intention, one transaction."""

from apps.accounts.actions.common import Refused, has_admin
from apps.accounts.actions.first import first_token, make_first_admin, why_not_first
from apps.accounts.actions.keys import (
    LONGEST_OVERLAP,
    issue_key,
    revoke_key,
    rotate_key,
)
from apps.accounts.actions.people import (
    GOOD_FOR,
    accept_invitation,
    change_password,
    change_role,
    deactivate,
    end_sessions,
    invite_again,
    invite_person,
    reactivate,
    rename,
    why_closed,
)

__all__ = [
    "GOOD_FOR",
    "LONGEST_OVERLAP",
    "Refused",
    "accept_invitation",
    "change_password",
    "change_role",
    "deactivate",
    "end_sessions",
    "first_token",
    "has_admin",
    "invite_again",
    "invite_person",
    "issue_key",
    "make_first_admin",
    "reactivate",
    "rename",
    "revoke_key",
    "rotate_key",
    "why_closed",
    "why_not_first",
]
