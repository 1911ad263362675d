"""Reads of tenets and their versions. Nothing here writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Count, F, Prefetch, QuerySet

from apps.accounts.models import PERMISSIONS, User
from apps.catalog.models import Journey
from apps.customers.models import Customer, Kind
from apps.tenets.models import Clause, Tenet, TenetVersion, VersionState
from apps.tenets.wording import ClauseRow, clause_in_words, count, percent

#: A review that is due within this time is said so.
SOON = timedelta(days=14)
#: How many customers are quoted on what they bear.
MOST_EXAMPLES = 3
_BEARS = (
    ("bears_outage", "An outage", "bears_outage_minutes"),
    ("bears_error", "Errors", "bears_error_share"),
    ("bears_delay", "A delay", "bears_delay_seconds"),
    ("bears_loss", "A loss", "bears_loss_count"),
)
#: How many of those who may approve a version are named beside it.
MOST_APPROVERS = 4
OPEN = (VersionState.DRAFT, VersionState.IN_REVIEW, VersionState.ACTIVE)


@dataclass(frozen=True, kw_only=True)
class TenetRow:
    """A tenet as the list shows it."""

    tenet: Tenet
    active: TenetVersion | None
    clauses: Sequence[ClauseRow]
    others: Sequence[TenetVersion]  # what is being written or reviewed
    review_due: bool
    review_soon: bool


@dataclass(frozen=True, kw_only=True)
class KindOfCustomer:
    """Tenets of one kind of customer."""

    kind: str
    label: str
    rows: Sequence[TenetRow]


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """A version as its tenet's page shows it."""

    version: TenetVersion
    clauses: Sequence[ClauseRow]
    named: Sequence[Customer]  # whom it is promised to by name, as far as the reader may know
    unnamed: int  # and how many more


def tenets(*, kind: str = "", due_by: date | None = None) -> QuerySet[Tenet]:
    """Return tenets by kind of customer and name: all, of one kind, or with a review due by a day."""
    found = Tenet.objects.select_related("service", "owner")
    if kind:
        found = found.filter(kind=kind)
    if due_by:
        found = found.filter(
            pk__in=TenetVersion.objects.active().filter(review_by__lte=due_by).values("tenet")
        )
    versions = _whole(TenetVersion.objects.filter(state__in=OPEN))
    return found.prefetch_related(Prefetch("versions", queryset=versions)).order_by(
        "kind", "name", "pk"
    )


def by_kind(found: Iterable[Tenet], *, today: date) -> list[KindOfCustomer]:
    """Group tenets, which are in order, by the kind of customer that they are promised to."""
    return [
        KindOfCustomer(
            kind=kind, label=Kind(kind).label, rows=[_row(tenet, today=today) for tenet in rows]
        )
        for kind, rows in groupby(found, key=lambda tenet: tenet.kind)
    ]


def tenet_named(*, slug: str) -> Tenet:
    """Return a tenet. Raise Tenet.DoesNotExist."""
    return Tenet.objects.select_related("service", "owner").get(slug=slug)


def versions_of(tenet: Tenet) -> QuerySet[TenetVersion]:
    """Return a tenet's versions with all that they say, newest first."""
    return _whole(tenet.versions.all())


def version_rows(versions: Iterable[TenetVersion], *, user: User) -> list[VersionRow]:
    """Return versions for a page; customers that `user` may not see are only counted."""
    found = list(versions)
    everybody = {one.pk for version in found for one in version.customers.all()}
    seen = set(
        Customer.objects.visible_to(user).filter(pk__in=everybody).values_list("pk", flat=True)
        if everybody
        else ()
    )
    rows = []
    for version in found:
        named = list(version.customers.all())
        shown = [one for one in named if one.pk in seen]
        rows.append(
            VersionRow(
                version=version,
                clauses=[clause_in_words(one) for one in version.clauses.all()],
                named=shown,
                unnamed=len(named) - len(shown),
            )
        )
    return rows


def journeys_of(service_id: int) -> QuerySet[Journey]:
    """Return a service's journeys by name."""
    return Journey.objects.filter(service_id=service_id).order_by("name", "pk")


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What customers of a kind say themselves that they bear of one thing."""

    name: str
    words: str
    said: int  # how many gave a number
    strictest: str  # the smallest number, with its unit
    examples: Sequence[Customer]  # the strictest first; `.words` is how they put it


def tolerances(*, kind: str, user: User) -> tuple[int, list[Tolerance]]:
    """Return how many customers of a kind there are, and what they say that they bear; the strictest first.

    Only of customers that `user` may see.
    """
    seen = Customer.objects.visible_to(user).filter(kind=kind, archived_at=None)
    counts = seen.aggregate(
        everybody=Count("pk"), **{f"said_{name}": Count(column) for name, _, column in _BEARS}
    )
    found = []
    for name, words, column in _BEARS:
        spoken = seen.exclude(**{column: None, name: ""})
        examples = list(
            spoken.order_by(F(column).asc(nulls_last=True), "name", "pk")[:MOST_EXAMPLES]
        )
        for one in examples:
            said, number = getattr(one, name), getattr(one, column)
            one.words = f"“{said}”" if said else _number(name, number)  # type: ignore[attr-defined]
        least = getattr(examples[0], column) if examples else None
        found.append(
            Tolerance(
                name=name.removeprefix("bears_"),
                words=words,
                said=counts[f"said_{name}"],
                strictest=_number(name, least),
                examples=examples,
            )
        )
    return counts["everybody"], found


def _number(name: str, number: Any) -> str:
    if number is None:
        return ""
    match name:
        case "bears_outage":
            return count(number, "minute")
        case "bears_error":
            return f"{percent(number)} of requests"
        case "bears_delay":
            return count(number, "second")
        case _:
            return f"{number:,}"


def _whole(versions: QuerySet[TenetVersion]) -> QuerySet[TenetVersion]:
    clauses = Clause.objects.select_related("journey", "operation").order_by("position")
    return (
        versions.select_related("author", "approver", "owner")
        .prefetch_related(
            Prefetch("clauses", queryset=clauses),
            Prefetch("customers", queryset=Customer.objects.order_by("name", "pk")),
        )
        .order_by("-number")
    )


def _row(tenet: Tenet, *, today: date) -> TenetRow:
    versions = list(tenet.versions.all())
    active = next((one for one in versions if one.state == VersionState.ACTIVE), None)
    review = active.review_by if active else None
    return TenetRow(
        tenet=tenet,
        active=active,
        clauses=[clause_in_words(one) for one in active.clauses.all()] if active else [],
        others=[one for one in versions if one is not active],
        review_due=bool(review and review <= today),
        review_soon=bool(review and today < review <= today + SOON),
    )


def who_can_approve(versions: Sequence[TenetVersion]) -> list[User]:
    """Return who may approve that of `versions` which is in review: never its author. Empty without one."""
    waits = next((one for one in versions if one.state == VersionState.IN_REVIEW), None)
    if waits is None:
        return []
    people = User.objects.filter(is_active=True, role__in=PERMISSIONS["tenet.approve"])
    return list(people.exclude(authored_tenets=waits).order_by("name", "pk"))
