"""All customers as rows of a file that imports again without a change."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from apps.customers.models import Contact, Customer, CustomerJourney, IdentificationRule

CHUNK = 500
CUSTOMER = (
    "name", "kind", "end_users", "end_users_count", "reached_by", "bears_outage", "bears_outage_minutes",
    "bears_error", "bears_error_share", "bears_delay", "bears_delay_seconds", "bears_loss", "bears_loss_count",
    "language", "time_zone", "notes",
)  # fmt: skip
CONTACT = ("email", "name", "purpose", "language", "time_zone", "do_not_contact")
RULE = ("attribute", "value", "position", "actor_from", "enabled", "note")
JOURNEY = ("journey", "value", "currency", "note")


def rows(customers: QuerySet[Customer]) -> Iterator[dict[str, str]]:
    """Yield a row for each customer, then rows for what belongs to it; a few queries for every 500."""
    last = 0
    while some := list(
        customers.filter(pk__gt=last)
        .select_related("parent", "account_manager")
        .order_by("pk")[:CHUNK]
    ):
        last = some[-1].pk
        belongings: dict[int, list[dict[str, str]]] = defaultdict(list)
        for model, record, names in (
            (Contact, "contact", CONTACT),
            (IdentificationRule, "rule", RULE),
            (CustomerJourney, "journey", JOURNEY),
        ):
            manager: Any = model._default_manager  # noqa: SLF001  (Django documents it)
            for row in manager.filter(customer__in=some).order_by("customer_id", "pk"):
                belongings[row.customer_id].append({"record": record} | _cells(row, names))
        for customer in some:
            key = {"external_id": customer.external_id or "", "slug": customer.slug}
            yield {"record": "customer"} | key | customer_cells(customer)
            for row in belongings[customer.pk]:
                yield row | key


def customer_cells(customer: Customer) -> dict[str, str]:
    """Return what a customer's row says."""
    parent = customer.parent
    return _cells(customer, CUSTOMER) | {
        "parent": (parent.external_id or f"slug:{parent.slug}") if parent else "",
        "account_manager": customer.account_manager.email if customer.account_manager else "",
        "tags": ", ".join(customer.tags),
        "archived": "yes" if customer.archived_at else "no",
    }


def _cells(row: object, names: tuple[str, ...]) -> dict[str, str]:
    return {name: _cell(getattr(row, name)) for name in names}


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
