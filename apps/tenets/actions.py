"""What people do with promises: write a version, have it reviewed, make it the one that counts.

Only a draft can be changed; the database refuses everything else (migration 0002).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Journey, Operation, Service
from apps.tenets.models import Clause, ClauseKind, Dimension, Tenet, TenetVersion, VersionState

#: Which permission it takes to write, and to approve what another wrote.
WRITE, APPROVE = "tenet.edit", "tenet.approve"


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
    threshold_ms: int | None = None
    window_days: int = 28
    min_events: int = 20
    journey: Journey | None = None
    operation: Operation | None = None


@transaction.atomic
def create_tenet(
    *, slug: str, name: str, service: Service, kind: str, user: User, now: datetime
) -> Tenet:
    """Open a tenet, owned by `user`; it promises nothing before a version is active."""
    _permit(user, WRITE, UnableToCreate)
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
    review_by: date | None = None,
) -> TenetVersion:
    """Write the next wording, or write the tenet's draft anew. Nobody is promised it yet."""
    _permit(user, WRITE, UnableToDraft)
    locked = _lock(tenet)
    if not promise.strip():
        raise UnableToDraft("Say what is promised, in one plain sentence.")
    if review_by and review_by <= now.date():
        raise UnableToDraft("The day of its review is in the future.")
    version = locked.versions.filter(state=VersionState.DRAFT).first()
    if version is None:
        if locked.versions.filter(state=VersionState.IN_REVIEW).exists():
            raise UnableToDraft("Another version is in review. Decide on that one first.")
        latest = locked.versions.order_by("-number").first()
        version = TenetVersion(tenet=locked, number=latest.number + 1 if latest else 1, author=user)
    version.promise, version.rationale = promise.strip(), rationale.strip()
    version.review_by, version.author = review_by, user
    version.save()
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
    if active:
        active.state, active.valid_to = VersionState.SUPERSEDED, now
        active.save(update_fields=["state", "valid_to"])
    locked.valid_from, locked.approver = now, approver
    locked.state = VersionState.ACTIVE
    locked.save(update_fields=["state", "valid_from", "approver"])
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
    version.save(update_fields=["state", "valid_to"])
    AuditEvent.note(
        at=now, user=user, action="tenet.state", target=version, before=before, after=state
    )
    return version


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
    return {name: getattr(draft, name) for name in ClauseDraft.__dataclass_fields__}


def _plain(draft: ClauseDraft) -> dict[str, Any]:
    found = {
        **_columns(draft),
        "journey": draft.journey and draft.journey.pk,
        "operation": draft.operation and draft.operation.pk,
    }
    return {
        name: str(value) if isinstance(value, Decimal) else value for name, value in found.items()
    }
