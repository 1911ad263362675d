"""People, keys, and what they leave in the audit log."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP

from apps.accounts.models import (
    ApiKey,
    AuditCheck,
    AuditEvent,
    How,
    Invitation,
    InvitationState,
    Role,
    Scope,
    User,
    UserSession,
)
from apps.customers.models import Customer

BATCH = 5_000
PER_HUNDRED = 2  # of us for each hundred customers


@dataclass(frozen=True)
class People:
    """Who opens pages."""

    lead: User
    manager: User
    keeper: User  # with an app, recovery codes and a passkey
    invited: User
    key: ApiKey
    passkey: Authenticator


def make(mark: str, customers: int, now: datetime) -> People:
    """Make those who read, and their colleagues."""

    lead, manager, keeper = (
        User.objects.create_user(
            email=f"{name}-{mark}@example.com", name=f"{name.title()} Crowd {mark}", role=role
        )
        for name, role in (("ada", Role.ADMIN), ("amy", Role.ACCOUNT_MANAGER), ("kay", Role.ADMIN))
    )
    count = max(10, customers * PER_HUNDRED // 100)
    colleagues = User.objects.bulk_create(
        [
            User(email=f"vic{n}-{mark}@example.com", name=f"Vic {n} {mark}", role=Role.VIEWER)
            for n in range(count)
        ]
    )
    Invitation.objects.bulk_create(
        [
            Invitation(
                user=one, invited_by=lead, created_at=now, expires_at=now + timedelta(days=7),
                state=InvitationState.SENT, send_after=now,
            )
            for one in colleagues[::2]
        ]
    )  # fmt: skip
    return People(lead, manager, keeper, colleagues[0], _keys(mark, count, lead), _factors(keeper))


def _keys(mark: str, count: int, lead: User) -> ApiKey:
    made = ApiKey.objects.bulk_create(
        [
            ApiKey(
                name=f"Edge {n} {mark}", prefix="crp_edge", scopes=[Scope.INGEST], created_by=lead,
                digest=hashlib.sha256(f"{n} {mark}".encode()).hexdigest(),
            )
            for n in range(count)
        ]
    )  # fmt: skip
    return made[0]


def _factors(keeper: User) -> Authenticator:
    keeper.set_password(secrets.token_urlsafe())
    keeper.save(update_fields=["password"])
    TOTP.activate(keeper, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(keeper)
    return Authenticator.objects.create(
        user=keeper, type=Authenticator.Type.WEBAUTHN, data={"name": "Key", "credential": {}}
    )


def leave_traces(who: People, customers: Sequence[Customer], now: datetime) -> None:
    """Write the log of who made each customer, and sessions of those who read."""
    AuditEvent.objects.bulk_create(
        [
            AuditEvent(
                at=now - timedelta(minutes=n), user=who.lead, action="customer.create",
                target=f"customer:{one.pk}", after={"name": one.name, "kind": one.kind},
            )
            for n, one in enumerate(customers)
        ],
        batch_size=BATCH,
    )  # fmt: skip
    AuditCheck.objects.create(
        at=now, how=How.DAILY, ok=True, rows=len(customers), position=0, digest="0" * 64, said="Whole."
    )  # fmt: skip
    UserSession.objects.bulk_create(
        [
            UserSession(
                user=who.lead, session_key=f"{who.lead.pk}-{n}", created_at=now, seen_at=now,
                agent="Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            )
            for n in range(5)
        ]
    )  # fmt: skip
