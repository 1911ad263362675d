"""What pages of people and keys read."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Case, CharField, Q, QuerySet, Value, When

from apps.accounts.models import PERMISSIONS, ApiKey, AuditEvent, Role, User

#: What a role lets people do, in words, by the actions of PERMISSIONS.
IN_WORDS = {
    "console": "read the console",
    "incident.declare": "declare incidents",
    "incident.edit": "handle incidents",
    "incident.publish": "publish to customers",
    "outreach.edit": "write messages to customers",
    "outreach.approve": "approve messages of others",
    "tenet.edit": "write tenets",
    "tenet.approve": "approve tenets of others",
    "guidance.edit": "write advice about errors",
    "rule.read": "read the rules by which traffic is known",
    "rule.edit": "change these rules",
    "catalog.edit": "change what we run",
    "customer.edit": "add, import and change customers",
    "customer.own": "change the customers they see",
    "people.manage": "manage people",
    "keys.manage": "manage keys",
    "audit.read": "read the audit log",
    "settings": "change settings",
    "events.erase": "erase a customer's or a person's events",
}


def people_list(*, search: str = "", role: str = "", state: str = "") -> QuerySet[User]:
    """Return people with their `state` in a word: active, invited or inactive."""
    # Who signed in with the company's account has come, though without a password.
    no_password = Q(password__startswith=UNUSABLE_PASSWORD_PREFIX, last_login=None)
    not_come = no_password & ~Q(role=Role.CUSTOMER)
    rows = User.objects.annotate(
        state=Case(
            When(is_active=False, then=Value("inactive")),
            When(not_come, then=Value("invited")),
            default=Value("active"),
            output_field=CharField(),
        )
    )
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(email__icontains=search))
    if role:
        rows = rows.filter(role=role)
    if state not in {"", "any"}:
        rows = rows.filter(state=state)
    elif not state:
        rows = rows.exclude(state="inactive")
    return rows.order_by("name", "pk")


def roles_in_words() -> list[tuple[str, str]]:
    """Return what each role of ours lets people do."""
    found = []
    for role in Role:
        if role == Role.CUSTOMER:
            continue
        does = [IN_WORDS[action] for action, roles in PERMISSIONS.items() if role in roles]
        words = f"{', '.join(does)}." if does else "nothing."
        found.append((str(role.label), words[:1].upper() + words[1:]))
    return found


#: Who is one of us, in the order of the table of roles.
OURS = (Role.VIEWER, Role.LEAD, Role.LIAISON, Role.ACCOUNT_MANAGER, Role.ADMIN)


def roles_table() -> list[tuple[str, list[bool]]]:
    """Return what can be done here, in words, each with whether a role of OURS may do it."""
    return [
        (IN_WORDS[action][:1].upper() + IN_WORDS[action][1:], [role in roles for role in OURS])
        for action, roles in PERMISSIONS.items()
    ]


def key_list(*, now: datetime, ended: bool) -> QuerySet[ApiKey]:
    """Return the keys that still open something, or those that do not any more."""
    over = Q(revoked_at__isnull=False) | Q(expires_at__lte=now)
    rows = ApiKey.objects.select_related("created_by", "replaced_by")
    return (rows.filter(over) if ended else rows.exclude(over)).order_by("name", "-pk")


def audit_log(
    *,
    person: str = "",
    action: str = "",
    target: str = "",
    since: date | None = None,
    until: date | None = None,
) -> QuerySet[AuditEvent]:
    """Return the lines of the log that fit, the newest first. `until` is the last day of them."""
    rows = AuditEvent.objects.select_related("user")
    if person:
        rows = rows.filter(Q(user__name__icontains=person) | Q(user__email__icontains=person))
    if action:
        rows = rows.filter(action__icontains=action)
    if target:
        rows = rows.filter(target__istartswith=target)
    if since:
        rows = rows.filter(at__gte=datetime.combine(since, time.min, UTC))
    if until:
        # The last day that there is has no day after it.
        end = until + timedelta(days=1) if until < date.max else until
        rows = rows.filter(at__lt=datetime.combine(end, time.min, UTC))
    return rows.order_by("-at", "-pk")


def names_of(events: Iterable[AuditEvent]) -> dict[str, str]:
    """Return what the people and keys that events are about are called, by target."""
    found: dict[str, str] = {}
    by_kind: dict[str, set[int]] = {"user": set(), "apikey": set()}
    for event in events:
        kind, _, number = event.target.partition(":")
        if kind in by_kind and number.isdecimal() and len(number) < 19:
            by_kind[kind].add(int(number))
    if by_kind["user"]:
        rows = User.objects.filter(pk__in=by_kind["user"]).values_list("pk", "name")
        found |= {f"user:{pk}": name for pk, name in rows}
    if by_kind["apikey"]:
        keys = ApiKey.objects.filter(pk__in=by_kind["apikey"]).values_list("pk", "name")
        found |= {f"apikey:{pk}": name for pk, name in keys}
    return found
