"""Reads of what we run."""

import re
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from apps.catalog import patterns
from apps.catalog.models import (
    Dependency,
    Journey,
    JourneyStep,
    Operation,
    RefusedPattern,
    Service,
)


def services(*, search: str = "", proposed: bool = False) -> QuerySet[Service]:
    """Return services by name, with counts of what belongs to them; `proposed` keeps those with news.

    Each has `seen` (operations), `waiting` (proposed ones) and `paths` (journeys); what was merged or is
    ignored is not counted.
    """
    rows = Service.objects.all()
    listed = Q(merged_into=None, ignored=False)
    theirs = Q(operations__merged_into=None, operations__ignored=False)
    for word in search.split()[:8]:
        rows = rows.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    if proposed:
        news = Operation.objects.filter(listed, service=OuterRef("pk"), proposed=True)
        rows = rows.filter(Q(proposed=True) | Exists(news))
    return rows.annotate(
        seen=Count("operations", filter=theirs, distinct=True),
        waiting=Count("operations", filter=theirs & Q(operations__proposed=True), distinct=True),
        paths=Count("journeys", distinct=True),
    ).order_by(Lower("name"), "pk")


def operations(service: Service) -> QuerySet[Operation]:
    """Return a service's operations, proposed ones first, those that change something before others.

    What was merged into another is not one any more, and what is ignored has no place in lists.
    """
    return service.operations.filter(merged_into=None, ignored=False).order_by(
        "-proposed", "-changes_state", Lower("name"), "pk"
    )


def journeys(service: Service) -> QuerySet[Journey]:
    """Return a service's journeys with their steps."""
    return service.journeys.prefetch_related("steps__operation").order_by(Lower("name"), "pk")


def dependencies(service: Service) -> QuerySet[Dependency]:
    """Return what a service stands on, ours first."""
    return service.dependencies.select_related("on").order_by("supplier", "on__name", "pk")


def dependants(service: Service) -> QuerySet[Service]:
    """Return the services that stand on this one."""
    return Service.objects.filter(dependencies__on=service).order_by(Lower("name"), "pk")


def without_journey(service: Service) -> QuerySet[Operation]:
    """Return operations that change something and complete no journey: each may be one."""
    done = JourneyStep.objects.filter(operation=OuterRef("pk"))
    return (
        operations(service).filter(~Exists(done), changes_state=True).order_by(Lower("name"), "pk")
    )


def merged() -> dict[int, int]:
    """Return the operations that were merged, each with the one it is now.

    Stored events keep the operation that they came in as: whoever reads them asks here.
    """
    rows = Operation.objects.exclude(merged_into=None).values_list("pk", "merged_into")
    return {pk: into for pk, into in rows if into is not None}


_METHOD_AND_PATH = re.compile(r"([A-Z]{3,10}) (/\S*)")


@dataclass(frozen=True)
class Asked:
    """An operation that is asked for by method and path."""

    row: Operation
    method: str
    path: str


def by_path(service: Service) -> list[Asked]:
    """Return a service's operations that have a path for a name: what was merged is left out.

    Operations that a rules file or a sender named otherwise mean what they say.
    """
    rows = service.operations.filter(merged_into=None).order_by("name", "pk")
    return [
        Asked(row, match[1], match[2])
        for row in rows
        if (match := _METHOD_AND_PATH.fullmatch(row.name))
    ]


def matching(service: Service, method: str, pattern: str) -> list[Asked]:
    """Return the operations that a route pattern would take in."""
    return [
        one
        for one in by_path(service)
        if one.method == method and patterns.matches(pattern, one.path)
    ]


def settled(service: Service) -> list[tuple[str, str]]:
    """Return methods and patterns on which a person has decided: accepted or refused."""
    routes = service.operations.filter(route=True).values_list("method", "pattern")
    refused = service.refused_patterns.values_list("method", "pattern")
    return [*routes, *refused]


def routes(service: Service) -> QuerySet[Operation]:
    """Return the accepted route patterns, each with `taken` (operations that it took in)."""
    return (
        service.operations.filter(route=True)
        .annotate(taken=Count("aliases"))
        .order_by(Lower("pattern"), "method", "pk")
    )


def refused_patterns(service: Service) -> QuerySet[RefusedPattern]:
    """Return the patterns that are not suggested again."""
    return service.refused_patterns.order_by("pattern", "method")


def ignored(service: Service) -> QuerySet[Operation]:
    """Return the operations that people took off the lists."""
    return service.operations.filter(ignored=True, merged_into=None).order_by(Lower("name"), "pk")
