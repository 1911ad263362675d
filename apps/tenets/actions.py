"""What people do with promises: write a version, have it reviewed, make it the one that counts.

Only a draft can be changed; the database refuses everything else (migrations 0002 and 0005).
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Customer
from apps.tenets.content import sha256_of
from apps.tenets.models import (
    Audience,
    Budgeting,
    Clause,
    ClauseKind,
    Dimension,
    Tenet,
    TenetVersion,
    VersionState,
    WindowUnit,
)

#: Which permission it takes to write, and to approve what another wrote.
WRITE, APPROVE = "tenet.edit", "tenet.approve"
#: More than anybody keeps in mind; it also bounds the form.
MOST_CLAUSES = 12


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


class UnableToCreate(Refused):
    """The tenet cannot be made like this."""


class UnableToDraft(Refused):
    """The version cannot be written like this."""


class UnableToSubmit(Refused):
    """The version cannot be given for review, or back."""


class UnableToActivate(Refused):
    """The version cannot become the one that counts, or not by this person."""


class UnableToWithdraw(Refused):
    """The version cannot be withdrawn."""


@dataclass(frozen=True, kw_only=True)
class ClauseDraft:
    """A measurable part of a promise: a share of attempts (budget), or something that never happens (invariant)."""

    text: str
    dimension: str = Dimension.ERROR
    kind: str = ClauseKind.BUDGET
    target: Decimal | None = (
        None  # the share that must go well, 0 to below 1; None for an invariant
    )
    max_count: int | None = None  # of an invariant: how many counter-examples it bears, mostly none
    threshold_ms: int | None = None
    op: str = ""
    value: Decimal | None = None
    unit: str = ""
    window_count: int = 28
    window_unit: str = WindowUnit.DAY
    window_zone: str = ""
    window_start: str = ""
    budgeting: str = Budgeting.OCCURRENCES
    slice_target: Decimal | None = None
    slice_minutes: int | None = None
    min_events: int = 20
    tolerance: str = ""
    consequence: str = ""
    journey: Journey | None = None
    operation: Operation | None = None


@transaction.atomic
def create_tenet(
    *, slug: str, name: str, service: Service, kind: str, user: User, now: datetime
) -> Tenet:
    """Open a tenet, owned by `user`; it promises nothing before a version is active."""
    _permit(user, WRITE, UnableToCreate)
    if slug in {"new", "guide", "import"}:
        raise UnableToCreate("This name is taken by a page. Choose another one.")
    tenet = Tenet(slug=slug, name=name.strip(), service=service, kind=kind, owner=user)
    try:
        tenet.full_clean()
    except ValidationError as problem:
        raise UnableToCreate(" ".join(problem.messages)) from problem
    tenet.save()
    AuditEvent.note(
        at=now,
        user=user,
        action="tenet.create",
        target=tenet,
        after={"slug": slug, "name": name, "service": service.slug, "kind": kind},
    )
    return tenet


@transaction.atomic
def draft_version(
    *,
    tenet: Tenet,
    promise: str,
    clauses: Sequence[ClauseDraft],
    user: User,
    now: datetime,
    rationale: str = "",
    audience: str = Audience.CLASS,
    customers: Sequence[Customer] = (),
    owner: User | None = None,
    review_by: date | None = None,
    review_every_months: int | None = None,
    change_note: str = "",
    extra: Mapping[str, Any] | None = None,
) -> TenetVersion:
    """Write the next wording, or write the tenet's draft anew. Nobody is promised it yet."""
    _permit(user, WRITE, UnableToDraft)
    locked = _lock(tenet)
    _refuse_unready(
        promise=promise, audience=audience, customers=customers, review_by=review_by, now=now
    )
    if len(clauses) > MOST_CLAUSES:
        raise UnableToDraft(f"A promise has at most {MOST_CLAUSES} clauses.")
    version = _next_draft(locked)
    version.author, version.owner = user, owner or version.owner or locked.owner
    version.promise, version.rationale = promise.strip(), rationale.strip()
    version.audience, version.change_note = audience, change_note.strip()
    version.review_by, version.review_every_months = review_by, review_every_months
    version.extra = dict(extra) if extra is not None else version.extra
    version.content_sha256 = ""
    version.save()
    version.customers.set(customers if audience == Audience.NAMED else ())
    version.clauses.all().delete()
    for position, draft in enumerate(clauses, start=1):
        _write_clause(version, position, draft)
    AuditEvent.note(
        at=now,
        user=user,
        action="tenet.draft",
        target=version,
        after={
            "promise": version.promise,
            "audience": version.audience,
            "customers": [customer.pk for customer in customers],
            "clauses": [_plain(clause) for clause in clauses],
        },
    )
    return version


@transaction.atomic
def submit_version(*, version: TenetVersion, user: User, now: datetime) -> TenetVersion:
    """Give a draft for review: from now on its words stand still."""
    _permit(user, WRITE, UnableToSubmit)
    locked = _lock_version(version)
    if locked.state != VersionState.DRAFT:
        raise UnableToSubmit(f"Version {locked.number} is {locked.get_state_display().lower()}.")
    if not locked.clauses.exists():
        raise UnableToSubmit("A promise without a measurable clause cannot be kept or broken.")
    if locked.review_by is None and locked.review_every_months:
        locked.review_by = months_after(now.date(), locked.review_every_months)
    locked.content_sha256 = sha256_of(locked)
    return _move(locked, VersionState.IN_REVIEW, user=user, now=now)


@transaction.atomic
def return_version(*, version: TenetVersion, user: User, now: datetime) -> TenetVersion:
    """Give a version in review back to be written on."""
    _permit(user, WRITE, UnableToSubmit)
    locked = _lock_version(version)
    if locked.state != VersionState.IN_REVIEW:
        raise UnableToSubmit(f"Version {locked.number} is {locked.get_state_display().lower()}.")
    return _move(locked, VersionState.DRAFT, user=user, now=now)


@transaction.atomic
def activate(*, version: TenetVersion, approver: User, now: datetime) -> TenetVersion:
    """Make a version in review the one that counts, from `now` on; the one before ends at that instant.

    Who wrote it cannot approve it. Raises UnableToActivate.
    """
    _permit(approver, APPROVE, UnableToActivate)
    locked = _lock_version(version)
    if locked.state != VersionState.IN_REVIEW:
        raise UnableToActivate(
            f"Version {locked.number} is {locked.get_state_display().lower()};"
            " only one in review can become active."
        )
    if locked.author_id == approver.pk:
        raise UnableToActivate("You wrote this version: somebody else has to approve it.")
    active = TenetVersion.objects.filter(tenet=locked.tenet_id, state=VersionState.ACTIVE).first()
    if active and active.valid_from and active.valid_from > now:
        raise UnableToActivate(
            f"Version {active.number} counts from {active.valid_from:%d %B %Y, %H:%M} UTC, which is"
            " later than now: look at the clock of this machine."
        )
    if active:
        active.state, active.valid_to = VersionState.SUPERSEDED, now
        active.save(update_fields=["state", "valid_to"])
    locked.valid_from, locked.approver = now, approver
    locked.content_sha256 = locked.content_sha256 or sha256_of(locked)
    locked.state = VersionState.ACTIVE
    locked.save(update_fields=["state", "valid_from", "approver", "content_sha256"])
    AuditEvent.note(
        at=now,
        user=approver,
        action="tenet.activate",
        target=locked,
        before=active and active.pk,
        after=locked.pk,
    )
    return locked


@transaction.atomic
def withdraw_version(*, version: TenetVersion, user: User, now: datetime) -> TenetVersion:
    """Take a version back: what was active promises nothing from now on."""
    _permit(user, APPROVE, UnableToWithdraw)
    locked = _lock_version(version)
    if locked.state in {VersionState.SUPERSEDED, VersionState.WITHDRAWN}:
        raise UnableToWithdraw(f"Version {locked.number} is {locked.get_state_display().lower()}.")
    if locked.state == VersionState.ACTIVE:
        locked.valid_to = now
    return _move(locked, VersionState.WITHDRAWN, user=user, now=now)


# What they share


def _permit(user: User, action: str, error: type[Refused]) -> None:
    if not user.can(action):
        raise error("Your role does not let you do this.")


def _lock(tenet: Tenet) -> Tenet:
    return Tenet.objects.select_for_update().get(pk=tenet.pk)


def _lock_version(version: TenetVersion) -> TenetVersion:
    """Return the version as it stands; its tenet is locked until the transaction is over."""
    _lock(version.tenet)
    return TenetVersion.objects.get(pk=version.pk)


def _move(version: TenetVersion, state: VersionState, *, user: User, now: datetime) -> TenetVersion:
    before, version.state = version.state, state
    version.save(update_fields=["state", "valid_to", "review_by", "content_sha256"])
    AuditEvent.note(
        at=now, user=user, action="tenet.state", target=version, before=before, after=state
    )
    return version


def _refuse_unready(
    *,
    promise: str,
    audience: str,
    customers: Sequence[Customer],
    review_by: date | None,
    now: datetime,
) -> None:
    if not promise.strip():
        raise UnableToDraft("Say what is promised, in one plain sentence.")
    if review_by and review_by <= now.date():
        raise UnableToDraft("The day of its review is in the future.")
    if audience not in Audience.values:
        raise UnableToDraft("Choose who may read it.")
    if audience == Audience.NAMED and not customers:
        raise UnableToDraft("Name the customers whom it is promised to.")


def _next_draft(tenet: Tenet) -> TenetVersion:
    """Return the tenet's draft, or a new one."""
    if draft := tenet.versions.filter(state=VersionState.DRAFT).first():
        return draft
    if tenet.versions.filter(state=VersionState.IN_REVIEW).exists():
        raise UnableToDraft("Another version is in review. Decide on that one first.")
    latest = tenet.versions.order_by("-number").first()
    return TenetVersion(tenet=tenet, number=latest.number + 1 if latest else 1)


def months_after(day: date, months: int) -> date:
    """Return the same day so many months later, or the last one of that month."""
    years, month = divmod(day.month - 1 + months, 12)
    last = monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))


def _write_clause(version: TenetVersion, position: int, draft: ClauseDraft) -> None:
    if draft.kind == ClauseKind.BUDGET and draft.target is None:
        raise UnableToDraft(f"Clause {position}: a budget has a share that must go well.")
    clause = Clause(version=version, position=position, **_columns(draft))
    try:
        clause.full_clean()
    except ValidationError as problem:
        raise UnableToDraft(f"Clause {position}: {' '.join(problem.messages)}") from problem
    clause.save()


def _columns(draft: ClauseDraft) -> dict[str, Any]:
    columns = {name: getattr(draft, name) for name in ClauseDraft.__dataclass_fields__}
    if draft.kind == ClauseKind.INVARIANT and draft.max_count is None:
        columns["max_count"] = 0
    for name in ("text", "unit", "tolerance", "consequence"):
        columns[name] = columns[name].strip()
    return columns


def _plain(draft: ClauseDraft) -> dict[str, Any]:
    found = {
        **_columns(draft),
        "journey": draft.journey and draft.journey.pk,
        "operation": draft.operation and draft.operation.pk,
    }
    return {
        name: str(value) if isinstance(value, Decimal) else value for name, value in found.items()
    }
