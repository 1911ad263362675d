"""What every action on people and keys shares."""

from apps.accounts.models import User


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


def permit(user: User, action: str) -> None:
    """Refuse whoever may not do `action`."""
    if not user.can(action):
        raise Refused("Your role does not let you do this.")
