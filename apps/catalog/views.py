"""Pages of what we run: services, what can be asked of them, journeys, and what they stand on."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.catalog import actions, queries
from apps.catalog.forms import DependencyForm, JourneyForm, OperationForm, ServiceForm
from apps.catalog.models import Dependency, Journey, Operation, Service
from apps.core.http import SeeOther, form_page, number

SEEN_DAYS = 28
#: Requests of each of some operations since a moment; catalog cannot read traffic, so portal.urls passes it in.
Traffic = Callable[[Sequence[int], datetime], dict[int, int]]


@allowed("console")
@require_safe
def services(request: PortalRequest) -> HttpResponse:
    """List what we run; ?q= finds by name, ?show=proposed keeps what traffic showed and nobody confirmed."""
    search, proposed = request.GET.get("q", "")[:200], request.GET.get("show") == "proposed"
    found = queries.services(search=search, proposed=proposed)
    listed = reverse("catalog:services")
    context = {
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "search": search,
        "proposed": proposed,
        "tabs": [
            {"label": "All", "href": listed, "current": not proposed},
            {"label": "Seen in traffic", "href": f"{listed}?show=proposed", "current": proposed},
        ],
        "may_edit": request.user.can(actions.EDIT),
    }
    return render(request, "catalog/services.html", context)


@allowed(actions.EDIT)
@form_page
def new(request: PortalRequest) -> HttpResponse:
    """Add a service."""
    return _service_form(request, None)


@allowed(actions.EDIT)
@form_page
def edit(request: PortalRequest, slug: str) -> HttpResponse:
    """Change a service."""
    return _service_form(request, get_object_or_404(Service, slug=slug))


def _service_form(request: PortalRequest, row: Service | None) -> HttpResponse:
    initial = (
        {"name": row.name, "description": row.description, "public": row.public}
        if row
        else {"public": True}
    )
    form = ServiceForm(request.POST or None, new=row is None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = actions.save_service(
                service=row, user=request.user, now=timezone.now(), **form.cleaned_data
            )
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return _see(saved)
    return _form(request, "catalog/edit.html", {"form": form, "service": row})


@allowed("console")
@require_safe
def service(request: PortalRequest, slug: str, traffic: Traffic | None = None) -> HttpResponse:
    """Show a service: what can be asked of it, how often it was, its journeys, what it stands on."""
    return _service_page(request, get_object_or_404(Service, slug=slug), traffic=traffic)


def _service_page(
    request: PortalRequest,
    row: Service,
    *,
    traffic: Traffic | None,
    dependency: DependencyForm | None = None,
) -> HttpResponse:
    page = Paginator(queries.operations(row), 50).get_page(request.GET.get("page"))
    shown, since = [one.pk for one in page.object_list], timezone.now() - timedelta(days=SEEN_DAYS)
    counts = traffic(shown, since) if traffic else {}
    may_edit = request.user.can(actions.EDIT)
    context = {
        "service": row,
        "page": page,
        "operations": [{"row": one, "requests": counts.get(one.pk)} for one in page.object_list],
        "days": SEEN_DAYS,
        "waiting": queries.operations(row).filter(proposed=True).count(),
        "journeys": queries.journeys(row),
        "candidates": queries.without_journey(row)[: actions.MOST_PROPOSED] if may_edit else [],
        "dependencies": queries.dependencies(row),
        "dependants": queries.dependants(row)[:50],
        "dependency": dependency or DependencyForm(service=row),
        "may_edit": may_edit,
    }
    status = 422 if dependency else 200
    return render(request, "catalog/service.html", context, status=status)


@allowed(actions.EDIT)
@require_POST
def confirm(request: PortalRequest, slug: str) -> HttpResponse:
    """Take what traffic proposed into the catalog: what was chosen, or all of it."""
    row = get_object_or_404(Service, slug=slug)
    chosen = None
    if "all" not in request.POST:
        given = map(number, request.POST.getlist("operation"))
        chosen = [pk for pk in given if pk is not None]
    count = actions.confirm_operations(
        service=row, operations=chosen, user=request.user, now=timezone.now()
    )
    messages.info(request, f"{count} operation{'' if count == 1 else 's'} confirmed.")
    return _see(row)


@allowed(actions.EDIT)
@require_POST
def propose(request: PortalRequest, slug: str) -> HttpResponse:
    """Make a journey of each operation that changes something and belongs to none."""
    row = get_object_or_404(Service, slug=slug)
    count = actions.propose_journeys(
        service=row,
        operations=list(queries.without_journey(row)[: actions.MOST_PROPOSED]),
        user=request.user,
        now=timezone.now(),
    )
    messages.info(
        request,
        f"{count} journey{'' if count == 1 else 's'} made, named after their paths. Give each the name that"
        " customers use, promises are worded with it, and say what it is worth.",
    )
    return _see(row)


@allowed(actions.EDIT)
@form_page
def new_journey(request: PortalRequest, slug: str) -> HttpResponse:
    """Write a journey."""
    return _journey_form(request, get_object_or_404(Service, slug=slug), None)


@allowed("console")
@form_page
def journey(request: PortalRequest, pk: int) -> HttpResponse:
    """Show a journey, or change it."""
    row = get_object_or_404(Journey.objects.select_related("service"), pk=pk)
    if request.method == "POST" and not request.user.can(actions.EDIT):
        raise PermissionDenied
    return _journey_form(request, row.service, row)


def _journey_form(request: PortalRequest, of: Service, row: Journey | None) -> HttpResponse:
    steps = list(row.steps.select_related("operation")) if row else []
    initial: dict[str, Any] = {}
    if row:
        initial = {
            name: getattr(row, name) for name in ("name", "verb", "noun", "value", "currency")
        }
    form = JourneyForm(
        request.POST or None,
        service=of,
        steps=[one.operation_id for one in steps],
        initial=initial,
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        draft = actions.JourneyDraft(
            operations=form.steps(),
            **{name: given[name] for name in ("name", "verb", "noun", "value", "currency")},
        )
        try:
            actions.save_journey(
                service=of, journey=row, draft=draft, user=request.user, now=timezone.now()
            )
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return _see(of)
    context = {
        "form": form,
        "service": of,
        "journey": row,
        "steps": steps,
        "may_edit": request.user.can(actions.EDIT),
    }
    return _form(request, "catalog/journey.html", context)


@allowed(actions.EDIT)
@require_POST
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    """Drop a journey."""
    row = get_object_or_404(Journey.objects.select_related("service"), pk=pk)
    of = row.service
    try:
        actions.delete_journey(journey=row, user=request.user, now=timezone.now())
    except actions.Refused as problem:
        messages.warning(request, str(problem))
    return _see(of)


@allowed("console")
@form_page
def operation(request: PortalRequest, pk: int) -> HttpResponse:
    """Show an operation, or say what it is."""
    row = get_object_or_404(Operation.objects.select_related("service", "merged_into"), pk=pk)
    may_edit = request.user.can(actions.EDIT)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    form = OperationForm(
        request.POST if request.method == "POST" else None,
        initial={"changes_state": row.changes_state, "slow_after_ms": row.slow_after_ms},
    )
    if request.method == "POST" and form.is_valid():
        actions.change_operation(
            operation=row, user=request.user, now=timezone.now(), **form.cleaned_data
        )
        return _see(row.service)
    journeys = Journey.objects.filter(steps__operation=row).distinct().order_by("name", "pk")
    aliases = row.aliases.order_by("name", "pk")
    context = {
        "form": form,
        "operation": row,
        "journeys": journeys,
        "page": Paginator(aliases, 50).get_page(request.GET.get("page")),
        "may_edit": may_edit,
    }
    return _form(request, "catalog/operation.html", context)


@allowed(actions.EDIT)
@require_POST
def depend(request: PortalRequest, slug: str, traffic: Traffic | None = None) -> HttpResponse:
    """Say what a service stands on."""
    row = get_object_or_404(Service, slug=slug)
    form = DependencyForm(request.POST, service=row)
    if form.is_valid():
        try:
            actions.add_dependency(
                service=row, user=request.user, now=timezone.now(), **form.cleaned_data
            )
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return _see(row)
    return _service_page(request, row, traffic=traffic, dependency=form)


@allowed(actions.EDIT)
@require_POST
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    """Say that it does not stand on it any more."""
    row = get_object_or_404(Dependency.objects.select_related("service", "on"), pk=pk)
    of = row.service
    actions.remove_dependency(dependency=row, user=request.user, now=timezone.now())
    return _see(of)


def _form(request: PortalRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, context, status=422 if request.method == "POST" else 200)


def _see(row: Service) -> HttpResponse:
    return SeeOther(reverse("catalog:service", args=[row.slug]))
