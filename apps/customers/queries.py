"""Reads of customers."""

from decimal import Decimal

from django.db.models import Count, Exists, F, Func, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable, OrderBy
from django.db.models.functions import Coalesce, Lower

from apps.accounts.models import Role, User
from apps.customers.models import Contact, Customer, CustomerQuerySet, IdentificationRule, Kind

#: ?sort= -> the column; "-" before it turns it round.
SORTS: dict[str, F | Lower] = {
    "name": Lower("name"),
    "kind": F("kind"),
    "manager": Lower("account_manager__name"),
}


def customer_list(
    user: User,
    *,
    search: str = "",
    kind: str = "",
    manager: str = "",
    tag: str = "",
    parent: str = "",
    archived: str = "",
    lacks: str = "",
    sort: str = "",
) -> QuerySet[Customer]:
    """Return the customers that `user` may see, by name.

    `search` looks at names, external ids and contacts; `manager` is a user's primary key, or "none";
    `parent` is a slug; `archived` is "" (not those), "only" or "all";
    `lacks` is "contact" (businesses and colleagues whom nobody there may be mailed at) or "rule".
    """
    rows = _lacking(Customer.objects.visible_to(user), lacks)
    for word in search.split()[:8]:
        matches = Q(name__icontains=word) | Q(external_id__icontains=word)
        by_contact = Customer.objects.filter(
            Q(contacts__email__icontains=word) | Q(contacts__name__icontains=word)
        )
        rows = rows.filter(matches | Q(pk__in=by_contact.values("pk")))
    if kind:
        rows = rows.filter(kind=kind)
    if manager == "none":
        rows = rows.filter(account_manager=None)
    elif manager:
        rows = rows.filter(account_manager=int(manager))
    if tag:
        rows = rows.filter(tags__contains=[tag])
    if parent:
        rows = rows.filter(parent__in=Customer.objects.visible_to(user).filter(slug=parent))
    if archived != "all":
        rows = rows.filter(archived_at__isnull=archived != "only")
    order: list[str | Combinable | OrderBy] = [Lower("name"), "pk"]
    if (first := SORTS.get(sort.removeprefix("-"))) and sort != "name":
        turned = OrderBy(first, descending=sort.startswith("-"), nulls_last=True)
        order = [turned, *order]
    return (
        rows.select_related("account_manager")
        .prefetch_related(seen_parent(user))
        .annotate(people=_contacts(), willing=_contacts(do_not_contact=False))
        .order_by(*order)
    )


def _lacking(rows: CustomerQuerySet, what: str) -> CustomerQuerySet:
    if what == "contact":
        willing = Contact.objects.filter(customer=OuterRef("pk"), do_not_contact=False)
        return rows.exclude(kind=Kind.CONSUMERS).filter(~Exists(willing))
    if what == "rule":
        of_theirs = IdentificationRule.objects.filter(customer=OuterRef("pk"), enabled=True)
        return rows.filter(~Exists(of_theirs))
    return rows


def seen_parent(user: User) -> "Prefetch[str, QuerySet[Customer], str]":
    """Fetch what a customer is a part of; a parent that `user` may not see is none."""
    return Prefetch("parent", Customer.objects.visible_to(user))


def _contacts(**which: bool) -> Coalesce:
    """Count contacts row by row: a join would count those of every customer before it shows fifty."""
    counted = (
        Contact.objects.filter(customer=OuterRef("pk"), **which)
        .order_by()
        .values("customer")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Coalesce(Subquery(counted), 0)


def tags_in_use(user: User) -> list[str]:
    """Return the tags of the customers that `user` may see, in order."""
    rows = Customer.objects.visible_to(user).exclude(tags=[])
    return list(
        rows.annotate(tag=Func(F("tags"), function="unnest"))
        .order_by("tag")
        .values_list("tag", flat=True)
        .distinct()[:200]
    )


def account_managers() -> QuerySet[User]:
    """Return the people who look after customers, by name."""
    return (
        User.objects.filter(
            Q(role=Role.ACCOUNT_MANAGER, is_active=True) | Q(accounts__isnull=False)
        )
        .distinct()
        .order_by("name", "pk")
    )


def tolerance(customer: Customer) -> list[tuple[str, str, str]]:
    """Return what a customer can bear: of what, in their words, and our number as a sentence ("" = not asked)."""
    minutes, seconds = customer.bears_outage_minutes, customer.bears_delay_seconds
    share, lost = customer.bears_error_share, customer.bears_loss_count
    return [
        (
            "An outage",
            customer.bears_outage,
            _bears("an outage of", "outage", _many(minutes, "minute")),
        ),
        ("Errors", customer.bears_error, _bears("errors on", "errors", _percent(share))),
        ("A delay", customer.bears_delay, _bears("a delay of", "delay", _many(seconds, "second"))),
        (
            "A loss",
            customer.bears_loss,
            _bears("to lose", "loss", None if lost is None else f"{lost:,}" if lost else ""),
        ),
    ]


def _bears(what: str, none_of: str, most: str | None) -> str:
    """Return the sentence; `most` is None where nobody asked, "" for nothing at all."""
    if most is None:
        return ""
    return f"They can bear {what} up to {most}." if most else f"They can bear no {none_of}."


def _many(count: int | None, what: str) -> str | None:
    if count is None:
        return None
    return f"{count:,} {what}{'' if count == 1 else 's'}" if count else ""


def _percent(share: Decimal | None) -> str | None:
    if share is None:
        return None
    text = f"{share * 100:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} % of requests" if share else ""
