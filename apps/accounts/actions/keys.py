"""What admins do with the keys of machines: issue, replace, end."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.actions.common import Refused, permit
from apps.accounts.models import ApiKey, AuditEvent, Scope, User

MANAGE = "keys.manage"

#: How long an old key may go on beside the one that takes its place.
LONGEST_OVERLAP = timedelta(days=30)


@transaction.atomic
def issue_key(
    *,
    name: str,
    scopes: Sequence[str],
    by: User | None,
    now: datetime,
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its token, which nobody can be shown again.

    Nobody is `by` from the command line: whoever runs it holds the database already.
    """
    if by is not None:
        permit(by, MANAGE)
    chosen = sorted(set(scopes))
    if not chosen or not set(chosen) <= set(Scope.values):
        raise Refused(f"Choose what the key may do: {', '.join(Scope.values)}.")
    if not name.strip():
        raise Refused("Say what uses the key, so that it can be found again.")
    key, token = ApiKey.objects.issue(name=name.strip(), scopes=chosen, created_by=by)
    AuditEvent.note(
        at=now,
        user=by,
        action="key.issue",
        target=key,
        after=_plain(key) | ({"replaces": replaces.pk} if replaces else {}),
    )
    return key, token


@transaction.atomic
def revoke_key(*, key: ApiKey, by: User | None, now: datetime) -> ApiKey:
    """End a key now and for good. Nobody is `by` from the command line."""
    if by is not None:
        permit(by, MANAGE)
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    if locked.revoked_at:
        raise Refused(f"“{locked.name}” is revoked already.")
    locked.revoked_at = now
    locked.save(update_fields=["revoked_at"])
    AuditEvent.note(
        at=now,
        user=by,
        action="key.revoke",
        target=locked,
        before=_plain(locked) | {"revoked": False},
        after=_plain(locked) | {"revoked": True},
    )
    return locked


@transaction.atomic
def rotate_key(
    *, key: ApiKey, until: datetime, by: User, now: datetime
) -> tuple[ApiKey, ApiKey, str]:
    """Make a key like this one; this one goes on until a moment and is refused from then on.

    Returns the old key, the new one and its token.
    """
    permit(by, MANAGE)
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    if locked.revoked_at or (locked.expires_at and locked.expires_at <= now):
        raise Refused(f"“{locked.name}” has ended: issue a new key instead.")
    if locked.replaced_by_id:
        raise Refused(f"“{locked.name}” is being replaced already. Rotate the new key instead.")
    if not now <= until <= now + LONGEST_OVERLAP:
        raise Refused("The old key goes on for at most 30 days.")
    new, token = issue_key(name=locked.name, scopes=locked.scopes, by=by, now=now, replaces=locked)
    before = _plain(locked)
    locked.expires_at = min(until, locked.expires_at) if locked.expires_at else until
    locked.replaced_by = new
    locked.save(update_fields=["expires_at", "replaced_by"])
    AuditEvent.note(
        at=now,
        user=by,
        action="key.rotate",
        target=locked,
        before=before,
        after=_plain(locked) | {"replaced_by": new.pk},
    )
    return locked, new, token


def _plain(key: ApiKey) -> dict[str, object]:
    """Return what the log may say of a key: nothing that opens anything."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
