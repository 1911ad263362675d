"""What people do with the catalog: name what we run, say what counts as done, and on what it stands."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, ProtectedError
from django.utils.text import slugify

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Dependency, Journey, JourneyStep, Operation, Service

EDIT = "catalog.edit"
MOST_STEPS = 12
MOST_PROPOSED = 12
_METHOD = re.compile(r"^[A-Z]+ (?=/)")
#: Parts at the beginning of a path that say nothing of what it does.
_VERSION = re.compile(r"api|v\d+", re.IGNORECASE)


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


@dataclass(frozen=True, kw_only=True)
class JourneyDraft:
    """A journey as it is written: the last of its operations is the one that counts as done."""

    name: str
    operations: Sequence[Operation]
    verb: str = ""
    noun: str = ""
    value: Decimal | None = None
    currency: str = ""


@transaction.atomic
def save_service(
    *,
    service: Service | None,
    name: str,
    description: str,
    public: bool,
    user: User,
    now: datetime,
    slug: str = "",
) -> Service:
    """Add a service or change one; whoever saves one that traffic proposed has confirmed it."""
    _permit(user)
    before = _service_facts(service) if service else None
    row = service or Service(slug=slug or slugify(name)[:100])
    if not row.slug or row.slug == "new":  # an address of the pages
        raise Refused("Use some letters of the Latin alphabet in the name, or give a short name.")
    if service is None and Service.objects.filter(slug=row.slug).exists():
        raise Refused(f"There is a service called {row.slug} already.")
    row.name, row.description, row.public, row.proposed = name.strip(), description, public, False
    _check(row)
    row.save()
    _note(
        now, user, "service.change" if service else "service.add", row, before, _service_facts(row)
    )
    return row


@transaction.atomic
def confirm_operations(
    *, service: Service, operations: Sequence[int] | None, user: User, now: datetime
) -> int:
    """Take what traffic proposed into the catalog: these, or all; and the service with them."""
    _permit(user)
    waiting = service.operations.select_for_update().filter(
        proposed=True, merged_into=None, ignored=False
    )
    if operations is not None:
        waiting = waiting.filter(pk__in=list(operations))
    names = sorted(waiting.values_list("name", flat=True))
    waiting.update(proposed=False)
    Service.objects.filter(pk=service.pk).update(proposed=False)
    after = {"operations": names[:100], "count": len(names)}
    _note(now, user, "service.confirm", service, None, after)
    return len(names)


@transaction.atomic
def change_operation(
    *,
    operation: Operation,
    changes_state: bool,
    slow_after_ms: int | None,
    user: User,
    now: datetime,
) -> Operation:
    """Say what an operation is. Its name stays: requests are told apart by it."""
    _permit(user)
    before = {"changes_state": operation.changes_state, "slow_after_ms": operation.slow_after_ms}
    operation.changes_state, operation.slow_after_ms = changes_state, slow_after_ms
    operation.proposed = False
    operation.save(update_fields=["changes_state", "slow_after_ms", "proposed"])
    after = {"changes_state": changes_state, "slow_after_ms": slow_after_ms}
    _note(now, user, "operation.change", operation, before, after)
    return operation


@transaction.atomic
def save_journey(
    *, service: Service, journey: Journey | None, draft: JourneyDraft, user: User, now: datetime
) -> Journey:
    """Write a journey of a service."""
    _permit(user)
    _check_steps(service, draft.operations)
    if draft.value is not None and not draft.currency:
        raise Refused("Say in which currency the value is, such as EUR.")
    before = _journey_facts(journey) if journey else None
    row = journey or Journey(service=service, slug=_free_slug(service, draft.name))
    row.name, row.verb, row.noun = draft.name.strip(), draft.verb.strip(), draft.noun.strip()
    row.value, row.currency = draft.value, draft.currency if draft.value is not None else ""
    _check(row)
    row.save()
    row.steps.all().delete()
    JourneyStep.objects.bulk_create(
        [
            JourneyStep(journey=row, operation=operation, position=place)
            for place, operation in enumerate(draft.operations, 1)
        ]
    )
    Operation.objects.filter(pk__in=[one.pk for one in draft.operations]).update(proposed=False)
    _note(
        now, user, "journey.change" if journey else "journey.add", row, before, _journey_facts(row)
    )
    return row


@transaction.atomic
def propose_journeys(
    *, service: Service, operations: Sequence[Operation], user: User, now: datetime
) -> int:
    """Make a journey of one step of each operation; people add what comes before, and the value."""
    taken = {name.casefold() for name in service.journeys.values_list("name", flat=True)}
    for operation in operations[:MOST_PROPOSED]:
        name = name_in_words(operation)
        if name.casefold() in taken:  # such as POST and DELETE of one path
            name = operation.name
        taken.add(name.casefold())
        draft = JourneyDraft(name=name[:200], operations=[operation])
        save_journey(service=service, journey=None, draft=draft, user=user, now=now)
    return min(len(operations), MOST_PROPOSED)


@transaction.atomic
def delete_journey(*, journey: Journey, user: User, now: datetime) -> None:
    """Drop a journey that no promise is about."""
    _permit(user)
    _note(now, user, "journey.delete", journey, _journey_facts(journey), None)
    try:
        journey.delete()
    except ProtectedError as problem:
        raise Refused(
            "A promise is about this journey. What was promised stays readable."
        ) from problem


@transaction.atomic
def add_dependency(
    *, service: Service, on: Service | None, supplier: str, user: User, now: datetime
) -> Dependency:
    """Say that a service stands on another of ours, or on a supplier."""
    _permit(user)
    supplier = supplier.strip()
    if bool(on) == bool(supplier):
        raise Refused("Name one of our services or a supplier, not both.")
    if on == service:
        raise Refused("A service stands on others, not on itself.")
    if service.dependencies.filter(on=on, supplier__iexact=supplier).exists():
        raise Refused(f"It stands on {on or supplier} already.")
    row = Dependency(service=service, on=on, supplier=supplier)
    _check(row)
    row.save()
    _note(now, user, "dependency.add", service, None, {"on": str(on or supplier)})
    return row


@transaction.atomic
def remove_dependency(*, dependency: Dependency, user: User, now: datetime) -> None:
    """Say that it does not stand on it any more."""
    _permit(user)
    what = {"on": str(dependency.on or dependency.supplier)}
    _note(now, user, "dependency.remove", dependency.service, what, None)
    dependency.delete()


def _permit(user: User) -> None:
    if not user.can(EDIT):
        raise Refused("Your role does not let you change what we run.")


def _check(row: Service | Journey | Dependency) -> None:
    try:
        row.full_clean()
    except ValidationError as problem:
        raise Refused(" ".join(problem.messages)) from problem


def _check_steps(service: Service, operations: Sequence[Operation]) -> None:
    if not operations:
        raise Refused("Name at least the operation that counts as done.")
    if len(operations) > MOST_STEPS:
        raise Refused(f"A journey has at most {MOST_STEPS} steps.")
    if len({one.pk for one in operations}) < len(operations):
        raise Refused("The same operation stands in it twice.")
    if any(one.service_id != service.pk for one in operations):
        raise Refused("All steps are operations of the same service.")


def name_in_words(operation: Operation) -> str:
    """Return what its path is about, "Dead cart" of POST /dead/cart/{id}: promises are worded with it.

    What has nothing but variables in it keeps its own name.
    """
    path = operation.pattern or _METHOD.sub("", operation.name)
    parts = [part for part in path.split("/") if part and not set(part) & set("{}:*<>")]
    while parts and _VERSION.fullmatch(parts[0]):
        parts.pop(0)
    words = re.sub(r"[-_.\s]+", " ", " ".join(parts)).strip()
    return words[:1].upper() + words[1:] if words else operation.name


def _free_slug(service: Service, name: str) -> str:
    base = slugify(name)[:90] or "journey"
    taken = set(service.journeys.values_list("slug", flat=True))
    slug, number = base, 2
    while slug in taken:
        slug, number = f"{base}-{number}", number + 1
    return slug


def _service_facts(row: Service) -> dict[str, Any]:
    return {"name": row.name, "description": row.description, "public": row.public}


def _journey_facts(row: Journey) -> dict[str, Any]:
    return {
        "name": row.name,
        "verb": row.verb,
        "noun": row.noun,
        "value": None if row.value is None else str(row.value),
        "currency": row.currency,
        "steps": list(row.steps.order_by("position").values_list("operation__name", flat=True)),
    }


def _note(now: datetime, user: User, action: str, target: Model, before: Any, after: Any) -> None:
    AuditEvent.note(at=now, user=user, action=action, target=target, before=before, after=after)
