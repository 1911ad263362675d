"""What people do with customers: make, edit and archive them, and say whom to write to there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEvent, User
from apps.core.nudge import nudge
from apps.customers.applying import free_slug
from apps.customers.models import Contact, Customer, CustomerImport, CustomerJourney, ImportState
from apps.customers.sheet import MOST_BYTES

EDIT, OWN = "customer.edit", "customer.own"

#: What an account manager does not change: who looks after whom, and under which id we know them.
STAFF_ONLY = frozenset({"account_manager", "parent", "external_id", "kind"})


class Refused(Exception):
    """It cannot be done; the message says why in words for the person who asked."""


class UnableToSave(Refused):
    """The customer, or what belongs to it, cannot be kept like this. `errors`: by field, where it is known."""

    def __init__(self, message: str, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class UnableToImport(Refused):
    """The file cannot be taken, checked or applied."""


@transaction.atomic
def save_customer(
    *,
    customer: Customer | None,
    values: dict[str, Any],
    journeys: Sequence[dict[str, Any]] | None,
    user: User,
    now: datetime,
) -> Customer:
    """Make a customer, or change what differs; `journeys` replaces those that matter to them."""
    if customer is None:
        _permit(user, EDIT)
        slug = free_slug(values["name"], lambda slug: Customer.objects.filter(slug=slug).exists())
        row = Customer(slug=slug)
    else:
        row = _locked(customer, user)
    if not user.can(EDIT):
        values = {name: value for name, value in values.items() if name not in STAFF_ONLY}
    if (parent := values.get("parent")) and row.pk:
        _refuse_circle(row, parent)
    before = {name: plain(getattr(row, name)) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    changed = [name for name, old in before.items() if plain(getattr(row, name)) != old]
    _keep(row, fields=None if customer is None else changed)
    told_before = {name: before[name] for name in changed}
    told_after = {name: plain(values[name]) for name in changed}
    if journeys is not None:
        was, now_is = _replace_journeys(row, journeys)
        if was != now_is:
            told_before["journeys"], told_after["journeys"] = was, now_is
    if customer is None or told_after:
        AuditEvent.note(
            at=now,
            user=user,
            action="customer.create" if customer is None else "customer.edit",
            target=row,
            before=None if customer is None else told_before,
            after=told_after,
        )
        nudge("statuspage.render")
    return row


@transaction.atomic
def archive_customer(*, customer: Customer, archived: bool, user: User, now: datetime) -> Customer:
    """Put a customer away, or take it back: it keeps all it has, and leaves the list."""
    _permit(user, EDIT)
    row = _locked(customer, user)
    if bool(row.archived_at) != archived:
        before = plain(row.archived_at)
        row.archived_at = now if archived else None
        row.save(update_fields=["archived_at"])
        AuditEvent.note(
            at=now,
            user=user,
            action="customer.archive" if archived else "customer.unarchive",
            target=row,
            before={"archived_at": before},
            after={"archived_at": plain(row.archived_at)},
        )
    return row


@transaction.atomic
def save_contact(
    *,
    customer: Customer,
    contact: Contact | None,
    values: dict[str, Any],
    user: User,
    now: datetime,
) -> Contact:
    """Add a contact to a customer, or change what differs."""
    _locked(customer, user)
    row = contact or Contact(customer=customer)
    if contact is not None:
        row = Contact.objects.select_for_update().get(pk=contact.pk, customer=customer)
    before = {name: plain(getattr(row, name)) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    changed = [name for name, old in before.items() if plain(getattr(row, name)) != old]
    if contact is not None and "email" in changed:
        row.user = None  # another address is another person's sign-in
        changed.append("user")
    _keep(row, fields=None if contact is None else changed)
    if contact is None or changed:
        AuditEvent.note(
            at=now,
            user=user,
            action="contact.create" if contact is None else "contact.edit",
            target=row,
            before={name: before.get(name) for name in changed} if contact else None,
            after={"customer": customer.slug}
            | {
                name: plain(getattr(row, name)) for name in (values if contact is None else changed)
            },
        )
    return row


@transaction.atomic
def remove_contact(*, customer: Customer, contact: Contact, user: User, now: datetime) -> bool:
    """Remove a contact; one who is part of a message is kept and gets no more mail. Say whether it went."""
    _locked(customer, user)
    row = Contact.objects.select_for_update().get(pk=contact.pk, customer=customer)
    before = {
        name: plain(getattr(row, name)) for name in ("name", "email", "purpose", "do_not_contact")
    }
    gone = not is_part_of_the_record(row)
    AuditEvent.note(
        at=now,
        user=user,
        action="contact.remove",
        target=row,
        before=before | {"customer": customer.slug},
        after=None if gone else {"do_not_contact": True},
    )
    if gone:
        row.delete()
    else:
        row.do_not_contact = True
        row.save(update_fields=["do_not_contact"])
    return gone


def is_part_of_the_record(contact: Contact) -> bool:
    """Whether anything that was written or sent names this contact."""
    relations: Any = Contact._meta.related_objects  # noqa: SLF001  (Django documents it)
    return any(
        one.related_model._base_manager.filter(**{one.field.name: contact}).exists()  # noqa: SLF001  (the same)
        for one in relations
    )


@transaction.atomic
def begin_import(*, name: str, content: bytes, user: User, now: datetime) -> CustomerImport:
    """Keep a file to be read; nothing of it is applied before somebody confirms."""
    _permit(user, EDIT)
    if not content:
        raise UnableToImport("The file is empty. Choose one that begins with a line of columns.")
    if len(content) > MOST_BYTES:
        raise UnableToImport(
            f"The file has more than {MOST_BYTES >> 20} MiB. Split it into several files."
        )
    row = CustomerImport.objects.create(
        name=name[:200].replace("\0", ""),
        content=content,
        size=len(content),
        by=user,
        created_at=now,
        changed_at=now,
    )
    nudge("customers.run")
    return row


@transaction.atomic
def confirm_import(*, found: CustomerImport, user: User, now: datetime) -> None:
    """Have the good lines of a file that was read applied."""
    _permit(user, EDIT)
    waiting = CustomerImport.objects.filter(pk=found.pk, state=ImportState.CHECKED)
    if not waiting.update(state=ImportState.CONFIRMED, progress=0, by=user, changed_at=now):
        raise UnableToImport("This file has been applied or discarded already.")
    nudge("customers.run")


@transaction.atomic
def discard_import(*, found: CustomerImport, user: User, now: datetime) -> None:
    """Forget a file that was not applied."""
    _permit(user, EDIT)
    waiting = CustomerImport.objects.filter(
        pk=found.pk, state__in=[ImportState.QUEUED, ImportState.CHECKED]
    )
    if not waiting.update(state=ImportState.DISCARDED, content=None, changed_at=now):
        raise UnableToImport("This file is being applied, or is done with already.")
    AuditEvent.note(at=now, user=user, action="customers.import.discard", target=found)


def plain(value: Any) -> Any:
    """Return a value as the audit log keeps it."""
    if value is None or isinstance(value, bool | int | list | str):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _permit(user: User, action: str) -> None:
    if not user.can(action):
        raise UnableToSave("Your role does not change customers.")


def _locked(customer: Customer, user: User) -> Customer:
    """Return the row, locked; who edits customers may, and who looks after this one."""
    _permit(user, OWN)
    row = Customer.objects.visible_to(user).select_for_update(of=("self",)).filter(pk=customer.pk)
    if (found := row.first()) is None:
        raise UnableToSave("This customer is not yours to change.")
    return found


def _refuse_circle(row: Customer, parent: Customer) -> None:
    with (
        connection.cursor() as cursor
    ):  # as the database's own guard does, so that it never has to speak
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('customers.parents'))")
    above = dict(Customer.objects.exclude(parent=None).values_list("pk", "parent_id"))
    node: int | None = parent.pk
    seen = set()
    while node is not None and node not in seen:
        if node == row.pk:
            message = "It would be part of itself. Choose one that is not below it."
            raise UnableToSave(message, {"parent": [message]})
        seen.add(node)
        node = above.get(node)


def _keep(row: Customer | Contact, *, fields: list[str] | None) -> None:
    try:
        row.full_clean()
        with transaction.atomic():
            row.save(update_fields=fields)
    except ValidationError as problem:
        raise UnableToSave(
            " ".join(problem.messages), {k: list(v) for k, v in problem.message_dict.items()}
        ) from problem
    except IntegrityError as problem:
        raise UnableToSave("Somebody saved the same a moment ago. Look again.") from problem


def _replace_journeys(
    row: Customer, journeys: Sequence[dict[str, Any]]
) -> tuple[list[str], list[str]]:
    was = [_journey_in_words(one) for one in row.journeys.order_by("journey")]
    wanted = sorted(
        (CustomerJourney(customer=row, **one) for one in journeys), key=lambda one: one.journey
    )
    now_is = [_journey_in_words(one) for one in wanted]
    if was != now_is:
        row.journeys.all().delete()
        CustomerJourney.objects.bulk_create(wanted)
    return was, now_is


def _journey_in_words(one: CustomerJourney) -> str:
    value = f" {one.value:.2f} {one.currency}" if one.value is not None else ""
    return f"{one.journey}{value}{': ' if one.note else ''}{one.note}"
