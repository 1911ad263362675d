"""The first admin of a new installation: whoever reads what `manage.py up` prints."""

from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.db import connection, transaction

from apps.accounts.actions.common import Refused, has_admin
from apps.accounts.models import AuditEvent, Role, User

#: How long the printed link opens; `up` prints a new one each time.
OPENS_FOR = timedelta(days=1)

_SALT = "accounts.first-admin"
_LOCK = 0x41444D494E  # two who hold the link do not both become the first


def first_token() -> str:
    """Return what the link carries. It is signed with the installation's secret, and kept nowhere."""
    return signing.TimestampSigner(salt=_SALT).sign("first")


def why_not_first(token: str) -> str:
    """Return why a token makes no first admin; empty when it does."""
    try:
        signing.TimestampSigner(salt=_SALT).unsign(token, max_age=OPENS_FOR)
    except signing.SignatureExpired:
        return "This link has run out. Start the portal again: it prints a new one."
    except signing.BadSignature:
        return "This is not the link that the portal printed. Copy all of it, up to its last character."
    if has_admin():
        return "There is an admin already. Sign in, or ask one of them to invite you."
    return ""


@transaction.atomic
def make_first_admin(*, token: str, name: str, email: str, password: str, now: datetime) -> User:
    """Make the first admin. Raises Refused, or ValidationError for a weak password."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if why := why_not_first(token):
        raise Refused(why)
    if User.objects.filter(email__iexact=email.strip()).exists():
        raise Refused("Somebody has this address already. Take another one for the admin.")
    validate_password(password, User(email=email.strip().lower(), name=name.strip()))
    admin = User.objects.create_user(
        email=email, name=name.strip(), role=Role.ADMIN, password=password
    )
    AuditEvent.note(
        at=now,
        user=admin,
        action="person.first",
        target=admin,
        after={"email": admin.email, "name": admin.name, "role": admin.role},
    )
    return admin
