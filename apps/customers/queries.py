"""Reads of customers."""

from decimal import Decimal

from django.db.models import Count, F, Func, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import Combinable, OrderBy
from django.db.models.functions import Coalesce, Lower

from apps.accounts.models import Role, User
from apps.customers.models import Contact, Customer

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
    sort: str = "",
) -> QuerySet[Customer]:
    """Return the customers that `user` may see, by name.

    `search` looks at names, external ids and contacts; `manager` is a user's primary key, or "none";
    `parent` is a slug; `archived` is "" (not those), "only" or "all".
    """
    rows = Customer.objects.visible_to(user)
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
        rows = rows.filter(parent__slug=parent)
    if archived != "all":
        rows = rows.filter(archived_at__isnull=archived != "only")
    order: list[str | Combinable | OrderBy] = [Lower("name"), "pk"]
    if (first := SORTS.get(sort.removeprefix("-"))) and sort != "name":
        turned = OrderBy(first, descending=sort.startswith("-"), nulls_last=True)
        order = [turned, *order]
    return (
        rows.select_related("account_manager", "parent")
        .annotate(people=_contacts(), willing=_contacts(do_not_contact=False))
        .order_by(*order)
    )


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
    """Return what a customer can bear: of what, in their words, and as a number with its unit."""
    minutes, seconds = customer.bears_outage_minutes, customer.bears_delay_seconds
    share, lost = customer.bears_error_share, customer.bears_loss_count
    return [
        ("An outage", customer.bears_outage, _many(minutes, "minute")),
        ("Errors", customer.bears_error, "" if share is None else _percent(share)),
        ("A delay", customer.bears_delay, _many(seconds, "second")),
        (
            "A loss",
            customer.bears_loss,
            "none" if lost == 0 else "" if lost is None else f"{lost:,}",
        ),
    ]


def _many(count: int | None, what: str) -> str:
    if count is None:
        return ""
    return f"up to {count:,} {what}{'' if count == 1 else 's'}" if count else "none"


def _percent(share: Decimal) -> str:
    text = f"{share * 100:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"up to {text} % of requests" if share else "none"
