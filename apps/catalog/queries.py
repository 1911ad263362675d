"""Reads of what we run."""

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from apps.catalog.models import Dependency, Journey, JourneyStep, Operation, Service


def services(*, search: str = "", proposed: bool = False) -> QuerySet[Service]:
    """Return services by name, with counts of what belongs to them; `proposed` keeps those with news.

    Each has `seen` (operations), `waiting` (proposed ones) and `paths` (journeys).
    """
    rows = Service.objects.all()
    for word in search.split()[:8]:
        rows = rows.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    if proposed:
        news = Operation.objects.filter(service=OuterRef("pk"), proposed=True)
        rows = rows.filter(Q(proposed=True) | Exists(news))
    return rows.annotate(
        seen=Count("operations", distinct=True),
        waiting=Count("operations", filter=Q(operations__proposed=True), distinct=True),
        paths=Count("journeys", distinct=True),
    ).order_by(Lower("name"), "pk")


def operations(service: Service) -> QuerySet[Operation]:
    """Return a service's operations, proposed ones first, those that change something before others."""
    return service.operations.order_by("-proposed", "-changes_state", Lower("name"), "pk")


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
    return service.operations.filter(~Exists(done), changes_state=True).order_by(
        Lower("name"), "pk"
    )
