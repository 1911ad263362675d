"""Reads of customers."""

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Lower

from apps.accounts.models import Role, User
from apps.customers.models import Customer


def customer_list(
    user: User, *, search: str = "", kind: str = "", manager: str = ""
) -> QuerySet[Customer]:
    """Return the customers that `user` may see, by name.

    `search` looks at names, external ids and contacts; `manager` is a user's primary key, or "none".
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
    return (
        rows.select_related("account_manager", "parent")
        .annotate(
            people=Count("contacts", distinct=True),
            willing=Count("contacts", filter=Q(contacts__do_not_contact=False), distinct=True),
        )
        .order_by(Lower("name"), "pk")
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
