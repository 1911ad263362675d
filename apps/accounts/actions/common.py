"""What every action on people and keys shares."""

from apps.accounts.models import Role, User


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


def permit(user: User, action: str) -> None:
    """Refuse whoever may not do `action`."""
    if not user.can(action):
        raise Refused("Your role does not let you do this.")


def has_admin(*, besides: User | None = None) -> bool:
    """Tell whether somebody can sign in as an admin: one who has set no password yet may never come."""
    admins = User.objects.filter(role=Role.ADMIN, is_active=True)
    if besides is not None:
        admins = admins.exclude(pk=besides.pk)
    return any(admin.has_usable_password() for admin in admins)
