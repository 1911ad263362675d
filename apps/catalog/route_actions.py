"""What people do with route patterns: say which paths are one operation, and take that back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.catalog import patterns, queries
from apps.catalog.actions import EDIT, Refused
from apps.catalog.models import JourneyStep, Operation, RefusedPattern, Service

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MOST_NOTED = 100  # names that an audit note spells out


@transaction.atomic
def accept_route(
    *,
    service: Service,
    method: str,
    pattern: str,
    apart: Collection[int] = (),
    user: User,
    now: datetime,
) -> Operation:
    """Make one operation of the paths of a pattern: those seen but the ones kept `apart`, and all to come.

    Stored requests count as the operation's from now on (queries.merged); journeys go through it where
    they went through one of those taken in.
    """
    _permit(user)
    try:
        pattern = patterns.checked(pattern)
    except patterns.InvalidPattern as problem:
        raise Refused(str(problem)) from problem
    service = Service.objects.select_for_update().get(pk=service.pk)  # one pattern after another
    if clash := overlapping(service, method, pattern):
        raise Refused(clash)
    found = queries.matching(service, method, pattern)
    if not found:
        raise Refused(
            f"No {method} operation of {service.name} seen so far has such a path. "
            "Look for a typo, or wait until traffic shows one."
        )
    shape = patterns.shape_of(pattern)
    same = next((one for one in found if patterns.shape_of(one.path) == shape), None)
    taken = [one.row for one in found if one is not same and one.row.pk not in set(apart)]
    if same is None and not taken:
        raise Refused("Every one of them is kept apart. Leave at least one to be taken in.")
    row = same.row if same else _new(service, method, pattern)
    _take_in(row, pattern, taken)
    moved = _move_steps(row, taken)
    RefusedPattern.objects.filter(service=service, method=method, pattern=shape).delete()
    after = {
        "pattern": pattern,
        "taken_in": [one.name for one in taken][:MOST_NOTED],
        "count": len(taken),
        "journeys": moved,
    }
    AuditEvent.note(
        at=now, user=user, action="operation.route", target=row, before=None, after=after
    )
    return row


@transaction.atomic
def drop_route(*, operation: Operation, user: User, now: datetime) -> int:
    """Take a pattern back: each path it took in is an operation of its own again. Return how many."""
    _permit(user)
    aliases = operation.aliases.select_for_update()
    names = sorted(aliases.values_list("name", flat=True))
    aliases.update(merged_into=None, proposed=True)
    Operation.objects.filter(pk=operation.pk).update(route=False)
    before = {"pattern": operation.pattern, "count": len(names), "taken_in": names[:MOST_NOTED]}
    AuditEvent.note(
        at=now,
        user=user,
        action="operation.route_drop",
        target=operation,
        before=before,
        after=None,
    )
    return len(names)


@transaction.atomic
def part_operation(*, operation: Operation, user: User, now: datetime) -> Operation:
    """Make an operation of its own again of one that was merged; return the one it leaves."""
    _permit(user)
    into = operation.merged_into
    if into is None:
        raise Refused(f"{operation.name} is an operation of its own already.")
    operation.merged_into = None
    operation.save(update_fields=["merged_into"])
    before = {"merged_into": into.name}
    AuditEvent.note(
        at=now, user=user, action="operation.part", target=operation, before=before, after=None
    )
    return into


@transaction.atomic
def ignore_operation(*, operation: Operation, ignored: bool, user: User, now: datetime) -> None:
    """Take an operation off the lists, or put it back; its requests count all the same."""
    _permit(user)
    before = {"ignored": operation.ignored}
    operation.ignored = ignored
    operation.save(update_fields=["ignored"])
    AuditEvent.note(
        at=now,
        user=user,
        action="operation.ignore",
        target=operation,
        before=before,
        after={"ignored": ignored},
    )


@transaction.atomic
def refuse_pattern(
    *, service: Service, method: str, pattern: str, user: User, now: datetime
) -> None:
    """Do not suggest a pattern again."""
    _permit(user)
    try:
        shape = patterns.shape_of(patterns.checked(pattern))
    except patterns.InvalidPattern as problem:
        raise Refused(str(problem)) from problem
    _, new = RefusedPattern.objects.get_or_create(service=service, method=method, pattern=shape)
    if new:
        after = {"pattern": f"{method} {shape}"}
        AuditEvent.note(
            at=now, user=user, action="service.refuse", target=service, before=None, after=after
        )


@transaction.atomic
def reconsider_pattern(*, refused: RefusedPattern, user: User, now: datetime) -> None:
    """Let a pattern be suggested again."""
    _permit(user)
    before = {"pattern": str(refused)}
    AuditEvent.note(
        at=now,
        user=user,
        action="service.reconsider",
        target=refused.service,
        before=before,
        after=None,
    )
    refused.delete()


def overlapping(service: Service, method: str, pattern: str) -> str:
    """Say why a pattern cannot stand beside the accepted ones; "" when it can."""
    shape = patterns.shape_of(pattern)
    for other in service.operations.filter(route=True, method=method).order_by("pk"):
        both = patterns.in_common(pattern, other.pattern)
        if both and patterns.shape_of(other.pattern) != shape:
            return (
                f"It overlaps with {other.method} {other.pattern}: {both} would be both. "
                "Write a fixed part where they differ, or take that pattern back first."
            )
    return ""


def _permit(user: User) -> None:
    if not user.can(EDIT):
        raise Refused("Your role does not let you change what we run.")


def _new(service: Service, method: str, pattern: str) -> Operation:
    name = f"{method} {pattern}"
    taken = service.operations.filter(name=name).select_related("merged_into").first()
    if taken is not None:
        raise Refused(f"{name} is a part of {taken.merged_into}. Part them first.")
    return Operation(service=service, name=name, method=method, changes_state=method in CHANGING)


def _take_in(row: Operation, pattern: str, taken: Sequence[Operation]) -> None:
    row.pattern, row.route, row.proposed, row.ignored = pattern, True, False, False
    row.changes_state |= any(one.changes_state for one in taken)
    if row.slow_after_ms is None:  # the strictest keeps what any of them promised
        row.slow_after_ms = min((ms for one in taken if (ms := one.slow_after_ms)), default=None)
    row.save()
    keys = [one.pk for one in taken]
    Operation.objects.filter(merged_into__in=keys).update(merged_into=row)
    Operation.objects.filter(pk__in=keys).update(merged_into=row, proposed=False, route=False)


def _move_steps(row: Operation, taken: Sequence[Operation]) -> list[str]:
    """Put the operation in the place of those taken in, once in each journey; return the journeys' names."""
    moved = JourneyStep.objects.filter(operation__in=taken).select_related("journey")
    names = {step.journey_id: step.journey.name for step in moved}
    moved.update(operation=row)
    last: dict[int, int] = {}
    for step in JourneyStep.objects.filter(operation=row, journey__in=names).order_by("-position"):
        if last.setdefault(step.journey_id, step.pk) != step.pk:
            step.delete()
    return sorted(names.values())
