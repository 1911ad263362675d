"""What admins do with people: invite, give a role, let go and take back. And what people do with themselves."""

from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from apps.accounts import sessions
from apps.accounts.actions.common import Refused, has_admin, permit
from apps.accounts.models import AuditEvent, Invitation, Role, User, UserSession
from apps.core.nudge import nudge

#: How long the link of an invitation opens.
GOOD_FOR = timedelta(days=7)

MANAGE = "people.manage"


@transaction.atomic
def invite_person(*, email: str, name: str, role: str, by: User, now: datetime) -> Invitation:
    """Make a person who can sign in as soon as they have set a password, and mail them how."""
    permit(by, MANAGE)
    if role not in Role.values or role == Role.CUSTOMER:
        raise Refused("Choose what the person is here. Customers' contacts need no invitation.")
    known = User.objects.filter(email__iexact=email.strip()).first()
    if known:
        state = "" if known.is_active else ", deactivated"
        raise Refused(f"{known.name} has this address already ({known.get_role_display()}{state}).")
    person = User.objects.create_user(email=email, name=name.strip(), role=role)
    AuditEvent.note(
        at=now,
        user=by,
        action="person.invite",
        target=person,
        after={"email": person.email, "name": person.name, "role": role},
    )
    return _write_invitation(person, by=by, now=now)


@transaction.atomic
def invite_again(*, person: User, by: User, now: datetime) -> Invitation:
    """Write somebody who has set no password yet a new link; the one before opens nothing any more."""
    permit(by, MANAGE)
    locked = User.objects.select_for_update().get(pk=person.pk)
    if not locked.is_active:
        raise Refused(f"{locked.name} is deactivated. Reactivate them first.")
    if locked.has_usable_password():
        raise Refused(f"{locked.name} has set a password already.")
    if locked.role == Role.CUSTOMER:
        raise Refused("Customers' contacts need no invitation: a code is mailed to them.")
    last = locked.invitations.order_by("-pk").first()
    AuditEvent.note(
        at=now,
        user=by,
        action="person.invite_again",
        target=locked,
        before={"until": last.expires_at.isoformat()} if last else None,
        after={"until": (now + GOOD_FOR).isoformat()},
    )
    return _write_invitation(locked, by=by, now=now)


def _write_invitation(person: User, *, by: User, now: datetime) -> Invitation:
    person.invitations.filter(used_at=None, expires_at__gt=now).update(expires_at=now)
    invitation = Invitation.objects.create(
        user=person, invited_by=by, created_at=now, send_after=now, expires_at=now + GOOD_FOR
    )
    nudge("accounts.mail", queue="mail")
    return invitation


@transaction.atomic
def accept_invitation(*, invitation: Invitation, password: str, now: datetime) -> User:
    """Set the first password of who was invited. Raises Refused, or ValidationError for a weak password."""
    locked = Invitation.objects.select_for_update(of=("self",)).get(pk=invitation.pk)
    if why := why_closed(locked, now=now):
        raise Refused(why)
    person = User.objects.select_for_update().get(pk=locked.user_id)
    validate_password(password, person)
    person.set_password(password)
    person.save(update_fields=["password"])
    locked.used_at = now
    locked.save(update_fields=["used_at"])
    AuditEvent.note(
        at=now,
        user=person,
        action="person.accept",
        target=person,
        before={"password": False},
        after={"password": True},
    )
    return person


def why_closed(invitation: Invitation, *, now: datetime) -> str:
    """Return why an invitation opens nothing any more; empty when it does."""
    if invitation.used_at:
        return "This invitation was used. Sign in with the password that was set with it."
    if not invitation.user.is_active:
        return "This invitation was withdrawn."
    if invitation.expires_at <= now:
        return "This invitation has run out. Whoever invited you can send a new one."
    return ""


@transaction.atomic
def change_role(*, person: User, role: str, by: User, now: datetime) -> User:
    """Give a person another role. There is always an admin left."""
    permit(by, MANAGE)
    locked = _lock(person)
    before = locked.role
    if role not in Role.values:
        raise Refused("Choose one of the roles.")
    if role == before:
        return locked
    if Role.CUSTOMER in {role, before}:
        raise Refused("A customer's contact cannot become one of us, nor the other way round.")
    if before == Role.ADMIN:
        _keep_an_admin(locked)
    locked.role = role
    locked.save(update_fields=["role"])
    AuditEvent.note(
        at=now,
        user=by,
        action="person.role",
        target=locked,
        before={"role": before},
        after={"role": role},
    )
    return locked


@transaction.atomic
def deactivate(*, person: User, by: User, now: datetime) -> User:
    """Let nobody in under this name any more, and end every session of theirs at once."""
    permit(by, MANAGE)
    locked = _lock(person)
    if not locked.is_active:
        return locked
    if locked.role == Role.ADMIN:
        _keep_an_admin(locked)
    locked.is_active = False
    locked.save(update_fields=["is_active"])
    ended = sessions.end_all(locked)
    AuditEvent.note(
        at=now,
        user=by,
        action="person.deactivate",
        target=locked,
        before={"active": True},
        after={"active": False, "sessions_ended": ended},
    )
    return locked


@transaction.atomic
def reactivate(*, person: User, by: User, now: datetime) -> User:
    """Let a person in again, with the password they had. Ended sessions stay ended."""
    permit(by, MANAGE)
    locked = _lock(person)
    if locked.is_active:
        return locked
    locked.is_active = True
    locked.save(update_fields=["is_active"])
    AuditEvent.note(
        at=now,
        user=by,
        action="person.reactivate",
        target=locked,
        before={"active": False},
        after={"active": True},
    )
    return locked


@transaction.atomic
def rename(*, person: User, name: str, now: datetime) -> User:
    """Change one's own name."""
    locked = User.objects.select_for_update().get(pk=person.pk)
    before, locked.name = locked.name, name.strip()
    if not locked.name:
        raise Refused("Type the name that others know you by.")
    if before != locked.name:
        locked.save(update_fields=["name"])
        AuditEvent.note(
            at=now,
            user=locked,
            action="person.rename",
            target=locked,
            before={"name": before},
            after={"name": locked.name},
        )
    return locked


@transaction.atomic
def change_password(*, person: User, password: str, now: datetime) -> User:
    """Set one's own password; every other session of theirs ends. Raises ValidationError for a weak one."""
    locked = User.objects.select_for_update().get(pk=person.pk)
    validate_password(password, locked)
    locked.set_password(password)
    locked.save(update_fields=["password"])
    AuditEvent.note(at=now, user=locked, action="person.password", target=locked)
    return locked


@transaction.atomic
def end_sessions(*, person: User, rows: list[UserSession], now: datetime) -> int:
    """End some of one's own sessions."""
    if any(row.user_id != person.pk for row in rows):
        raise Refused("That session is not yours.")
    ended = sessions.end(rows)
    if ended:
        AuditEvent.note(
            at=now,
            user=person,
            action="person.end_sessions",
            target=person,
            after={"sessions_ended": ended},
        )
    return ended


def _lock(person: User) -> User:
    """Lock a person and all admins, in one order, so that two admins cannot let go of each other at once."""
    rows = User.objects.select_for_update().order_by("pk")
    everybody = {one.pk: one for one in rows.filter(role=Role.ADMIN)}
    return everybody.get(person.pk) or User.objects.select_for_update().get(pk=person.pk)


def _keep_an_admin(leaving: User) -> None:
    if not has_admin(besides=leaving):
        raise Refused(
            f"{leaving.name} is the last admin who can sign in. Make somebody else an admin first."
        )
