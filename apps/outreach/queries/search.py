"""Search over everything that has a page, as far as this person may see it.

No index: 10,000 customers with 50,000 contacts are looked through in about 15 ms, and any substring counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.urls import reverse

from apps.accounts.models import User
from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Contact, Customer
from apps.incidents.models import Incident
from apps.tenets.models import Tenet

#: Words that count, and hits that a group shows while it stands among others.
MOST_WORDS, MOST_LETTERS, FIRST = 5, 100, 5


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One thing that was found; without an address it is only named."""

    title: str
    href: str
    about: str = ""
    state: str = ""
    state_label: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What was found of one sort: the first hits, of how many."""

    key: str
    label: str
    total: int
    hits: Sequence[Hit]


@dataclass(frozen=True)
class Sort:
    """A sort of thing to look through: who may, where, and what a hit says."""

    key: str
    label: str
    action: str  # the permission that reading them asks for
    rows: Callable[[User, Sequence[str]], QuerySet[Any]]
    hit: Callable[[Any, Sequence[str]], Hit]


def words_of(text: str) -> list[str]:
    """Return the words that are searched for."""
    return text.replace("\0", "")[:MOST_LETTERS].split()[:MOST_WORDS]


def search(user: User, words: Sequence[str]) -> list[Group]:
    """Return every group in which something was found, each with its first hits. Two queries a group."""
    return [group for sort in _open_to(user) if (group := _group(user, sort, words)).total]


def sort_for(user: User, key: str) -> Sort | None:
    """Return the sort called `key` if this person may look through it."""
    return next((sort for sort in _open_to(user) if sort.key == key), None)


def _open_to(user: User) -> Iterator[Sort]:
    return (sort for sort in SORTS if user.can(sort.action))


def _group(user: User, sort: Sort, words: Sequence[str]) -> Group:
    rows = sort.rows(user, words)
    first = list(rows[: FIRST + 1])
    # Few hits are their own count.
    total = len(first) if len(first) <= FIRST else rows.order_by().count()
    return Group(
        key=sort.key,
        label=sort.label,
        total=total,
        hits=[sort.hit(row, words) for row in first[:FIRST]],
    )


def _every(words: Sequence[str], *fields: str) -> Q:
    """Every word stands in one of the fields."""
    each = (reduce(or_, (Q(**{f"{field}__icontains": word}) for field in fields)) for word in words)
    return reduce(and_, each)


# Customers: by their own names, or by a contact in whom every word is found


def _customers(user: User, words: Sequence[str]) -> QuerySet[Customer]:
    by_contact = Contact.objects.filter(_every(words, "name", "email")).values("customer")
    own = _every(words, "name", "external_id")
    return (
        Customer.objects.visible_to(user)
        .filter(own | Q(pk__in=by_contact))
        .select_related("account_manager")
        .prefetch_related("contacts")
        .order_by(Lower("name"), "pk")
    )


def _customer(row: Customer, words: Sequence[str]) -> Hit:
    about = [row.get_kind_display()]
    if not _all_in(words, row.name, row.external_id or ""):
        people = (one for one in row.contacts.all() if _all_in(words, one.name, one.email))
        about += [f"{one.name}, {one.email}" for one in list(people)[:1]]
    elif row.external_id:
        about.append(row.external_id)
    return Hit(
        title=row.name, href=reverse("customers:profile", args=[row.slug]), about=" · ".join(about)
    )


def _all_in(words: Sequence[str], *texts: str) -> bool:
    whole = [text.lower() for text in texts]
    return all(any(word.lower() in text for text in whole) for word in words)


# Incidents: by title, what customers could not do, or reference


def _incidents(user: User, words: Sequence[str]) -> QuerySet[Incident]:
    found = _every(words, "title", "cannot")
    if len(words) == 1:
        digits = words[0].lower().removeprefix("inc-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 15:
            found |= Q(pk=int(digits))
    return Incident.objects.visible_to(user).filter(found).order_by("-started_at", "-pk")


def _incident(row: Incident, words: Sequence[str]) -> Hit:
    return Hit(
        title=row.title,
        href=reverse("incidents:room", args=[row.pk]),
        about=f"{row.reference} · {row.started_at.day} {row.started_at:%b %Y}",
        state=row.state,
        state_label=row.get_state_display(),
    )


# What we run and promise


def _services(user: User, words: Sequence[str]) -> QuerySet[Service]:
    return Service.objects.filter(_every(words, "name", "slug")).order_by(Lower("name"), "pk")


def _service(row: Service, words: Sequence[str]) -> Hit:
    href = reverse("catalog:service", args=[row.slug])
    return Hit(title=row.name, href=href, about=row.description[:120])


def _operations(user: User, words: Sequence[str]) -> QuerySet[Operation]:
    rows = Operation.objects.filter(_every(words, "name", "pattern"))
    return rows.select_related("service").order_by("name", "pk")


def _operation(row: Operation, words: Sequence[str]) -> Hit:
    href = reverse("catalog:operation", args=[row.pk])
    return Hit(title=row.name, href=href, about=row.service.name)


def _journeys(user: User, words: Sequence[str]) -> QuerySet[Journey]:
    rows = Journey.objects.filter(_every(words, "name", "slug"))
    return rows.select_related("service").order_by(Lower("name"), "pk")


def _journey(row: Journey, words: Sequence[str]) -> Hit:
    href = reverse("catalog:journey", args=[row.pk])
    return Hit(title=row.name, href=href, about=row.service.name)


def _tenets(user: User, words: Sequence[str]) -> QuerySet[Tenet]:
    rows = Tenet.objects.filter(_every(words, "name", "slug"))
    return rows.select_related("service").order_by(Lower("name"), "pk")


def _tenet(row: Tenet, words: Sequence[str]) -> Hit:
    return Hit(
        title=row.name,
        href=reverse("tenets:detail", args=[row.slug]),
        about=f"{row.get_kind_display()} · {row.service.name}",
    )


def _people(user: User, words: Sequence[str]) -> QuerySet[User]:
    return User.objects.filter(_every(words, "name", "email")).order_by(Lower("name"), "pk")


def _person(row: User, words: Sequence[str]) -> Hit:
    href = reverse("accounts:person", args=[row.pk])
    about = f"{row.get_role_display()} · {row.email}"
    return Hit(title=row.name, href=href, about=about if row.is_active else f"{about} · left")


SORTS: tuple[Sort, ...] = (
    Sort("customers", "Customers", "console", _customers, _customer),
    Sort("incidents", "Incidents", "console", _incidents, _incident),
    Sort("services", "Services", "console", _services, _service),
    Sort("operations", "Operations", "console", _operations, _operation),
    Sort("journeys", "Journeys", "console", _journeys, _journey),
    Sort("tenets", "Tenets", "console", _tenets, _tenet),
    Sort("people", "People", "settings", _people, _person),
)
