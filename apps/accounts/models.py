"""People, keys and the audit log."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core import signing
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.accounts.whereabouts import here
from apps.core.claims import Claimable


class Role(models.TextChoices):
    """What a person is here; `PERMISSIONS` says what that lets them do."""

    ADMIN = "admin", "Admin"
    LEAD = "lead", "Incident lead"
    LIAISON = "liaison", "Customer liaison"
    VIEWER = "viewer", "Viewer"
    ACCOUNT_MANAGER = "account_manager", "Account manager"
    CUSTOMER = "customer", "Customer"


STAFF = frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON, Role.VIEWER})

#: action -> the roles that may do it. Publishing and approving stand apart from editing.
PERMISSIONS: dict[str, frozenset[str]] = {
    "console": STAFF | {Role.ACCOUNT_MANAGER},
    "incident.declare": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    "incident.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    "incident.publish": frozenset({Role.ADMIN, Role.LEAD}),
    "outreach.edit": frozenset({Role.ADMIN, Role.LIAISON, Role.ACCOUNT_MANAGER}),
    "outreach.approve": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON, Role.ACCOUNT_MANAGER}),
    "tenet.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    "tenet.approve": frozenset({Role.ADMIN, Role.LEAD}),
    "guidance.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    # Rules name customers, so only those read them who see all customers.
    "rule.read": STAFF,
    "rule.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    "catalog.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    "customer.edit": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON}),
    # The same for the customers that a person sees: an account manager's own.
    "customer.own": frozenset({Role.ADMIN, Role.LEAD, Role.LIAISON, Role.ACCOUNT_MANAGER}),
    "people.manage": frozenset({Role.ADMIN}),
    "keys.manage": frozenset({Role.ADMIN}),
    "audit.read": frozenset({Role.ADMIN}),
    "settings": frozenset({Role.ADMIN}),
    "events.erase": frozenset({Role.ADMIN}),
}


class UserManager(BaseUserManager["User"]):
    """Makes people; addresses are compared without case."""

    def create_user(
        self, *, email: str, name: str, role: str, password: str | None = None
    ) -> "User":
        """Create a person; without a password they cannot sign in until they set one."""
        user = self.model(email=email.strip().lower(), name=name, role=role)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, *, email: str, password: str | None = None, name: str = ""
    ) -> "User":
        """Create an admin (for `manage.py createsuperuser`)."""
        return self.create_user(email=email, name=name or email, role=Role.ADMIN, password=password)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a person by address, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person who signs in with an address and a password."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Part of what every session is checked against: a new number ends them all, wherever they are kept.
    epoch = models.PositiveIntegerField(default=0, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_nocase",
                violation_error_message="This address is taken.",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="user_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Whether they manage incidents (not account managers, not customers)."""
        return self.role in STAFF

    def can(self, action: str) -> bool:
        """Whether their role lets them do `action`, a key of PERMISSIONS; an unknown action is a KeyError."""
        return self.is_active and self.role in PERMISSIONS[action]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        found: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        return f"{found}.{self.epoch}" if self.epoch else found


class InvitationState(models.TextChoices):
    """queued → sending → sent, or refused for good."""

    QUEUED = "queued", "Waiting to be mailed"
    SENDING = "sending", "Being mailed"
    SENT = "sent", "Mailed"
    FAILED = "failed", "Not mailed"


class Invitation(Claimable):
    """A link with which a person sets their first password: once, and not for long. Also the outbox row of its mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=InvitationState, default=InvitationState.QUEUED)
    send_after = models.DateTimeField()
    reply = models.CharField(max_length=500, blank=True)  # why the mail did not leave

    class Meta:
        indexes = [
            # For the job: what is still to be mailed.
            models.Index(
                fields=["send_after"],
                condition=Q(state__in=["queued", "sending"]),
                name="invitation_to_mail",
            )
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk} of {self.user_id}"

    @property
    def token(self) -> str:
        """What stands in its link: the row's number, signed. Nothing of it is stored."""
        return signing.Signer(salt=INVITATION_SALT).sign(str(self.pk))

    @staticmethod
    def of(token: str) -> "Invitation | None":
        """Return the invitation of a link, whatever became of it; None when we did not sign it."""
        try:
            number = signing.Signer(salt=INVITATION_SALT).unsign(token)
        except signing.BadSignature:
            return None
        return Invitation.objects.select_related("user", "invited_by").filter(pk=number).first()


INVITATION_SALT = "apps.accounts.invitation"


class CodeMail(Claimable):
    """A code that waits to be mailed: deleted as soon as it has left, or opens nothing any more.

    One is written for an address that we do not know as well, to nobody: asking takes the same time.
    """

    email = models.EmailField(blank=True)
    sealed = models.TextField(blank=True)  # the code, encrypted
    state = models.CharField(max_length=10, choices=InvitationState, default=InvitationState.QUEUED)
    send_after = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["send_after"], name="code_to_mail")]

    def __str__(self) -> str:
        return f"code {self.pk}"


class UserSession(models.Model):
    """A browser in which somebody is signed in: what its owner sees of it, and may end."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    session_key = models.CharField(max_length=40, unique=True)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} at {self.address}"


class Scope(models.TextChoices):
    """What a key may do."""

    INGEST = "ingest", "Send events"
    READ = "read", "Read"
    MANAGE = "manage", "Manage"
    METRICS = "metrics", "Scrape metrics"


class ApiKeyManager(models.Manager["ApiKey"]):
    """Issues and recognises keys."""

    def issue(
        self,
        *,
        name: str,
        scopes: Sequence[str],
        created_by: User | None = None,
        token: str | None = None,
        **columns: Any,
    ) -> tuple["ApiKey", str]:
        """Create a key and return it with its token, which is shown this once and only kept hashed."""
        token = token or f"crp_{secrets.token_urlsafe(32)}"
        key = self.create(
            name=name,
            scopes=list(scopes),
            digest=digest_of(token),
            prefix=token[:8],
            created_by=created_by,
            **columns,
        )
        return key, token

    def authenticate(self, token: str, *, scope: str, now: datetime) -> "ApiKey | None":
        """Return the live key of `token` if it has `scope`, and note that it was used (to the minute)."""
        key = (
            self.filter(Q(expires_at=None) | Q(expires_at__gt=now))
            .filter(digest=digest_of(token), revoked_at=None, scopes__contains=[scope])
            .first()
        )
        if key and (key.used_at is None or (now - key.used_at).total_seconds() > 60):
            self.filter(pk=key.pk).update(used_at=now)
        return key


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token. No salt: the token has 256 random bits of its own."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKey(models.Model):
    """A machine's key: scoped, hashed, shown once."""

    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=8)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)  # from then on it is refused
    replaced_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replaces"
    )

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEvent(models.Model):
    """Who did what to which thing, before and after. Append-only, enforced by the database.

    Each row carries a digest over the one before and over its own content, written as its transaction
    commits (migration 0004): a row that is changed or missing later shows (`chain.verify`).
    """

    at = models.DateTimeField(db_index=True)  # the log is read newest first
    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT)
    action = models.CharField(max_length=100)
    target = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=300, blank=True)
    # Its place in the chain: without gaps, in the order of commits. Both are the database's to write.
    position = models.BigIntegerField(null=True, unique=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["target", "at"], name="audit_by_target"),
            models.Index(fields=["action", "at"], name="audit_by_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"

    @staticmethod
    def note(
        *,
        at: datetime,
        user: User | None,
        action: str,
        target: models.Model | str,
        before: Any = None,
        after: Any = None,
    ) -> "AuditEvent":
        """Write one line of the log; from where it came is known by itself."""
        place = here()
        return AuditEvent.objects.create(
            at=at,
            user=user,
            action=action,
            target=target if isinstance(target, str) else AuditEvent.target_of(target),
            before=before,
            after=after,
            address=place.address,
            agent=place.agent,
        )

    @staticmethod
    def target_of(row: models.Model) -> str:
        """Return how lines of the log name a row: its model's own name (of who is signed in, too) and key."""
        return f"{row._meta.model_name}:{row.pk}"  # noqa: SLF001  (Django documents it)


class AuditHead(models.Model):
    """Where the chain of the audit log ends: one row, locked by whoever adds a link."""

    position = models.BigIntegerField()
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"link {self.position}"


class How(models.TextChoices):
    """What asked for a check of the audit log."""

    DAILY = "daily", "by itself, once a day"
    PAGE = "page", "from this page"
    COMMAND = "command", "by manage.py audit verify"


class AuditCheck(models.Model):
    """What a check of the audit log found. Also an anchor: what was right once has to be there at the next."""

    at = models.DateTimeField(db_index=True)
    how = models.CharField(max_length=10, choices=How)
    by = models.ForeignKey(User, null=True, on_delete=models.PROTECT)
    ok = models.BooleanField()
    rows = models.BigIntegerField()
    position = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    said = models.CharField(max_length=500)

    def __str__(self) -> str:
        return self.said
