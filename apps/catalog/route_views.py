"""Pages of route patterns: what is suggested, what a pattern takes in, and how to take it back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.catalog import actions, patterns, queries, route_actions
from apps.catalog.forms import PatternForm
from apps.catalog.models import Operation, RefusedPattern, Service
from apps.catalog.patterns import Suggestion
from apps.catalog.views import SEEN_DAYS, Traffic
from apps.core.http import SeeOther, form_page, number

PER_PAGE = 20
MOST_SHOWN = 200  # operations of one pattern, each with a box to keep it apart


@dataclass(frozen=True)
class _Row:
    suggestion: Suggestion
    apart: list[queries.Asked]  # what its paths cover and it does not mean

    @property
    def shown(self) -> tuple[str, ...]:
        return self.suggestion.paths[:4]

    @property
    def more(self) -> int:
        return len(self.suggestion.paths) - len(self.shown)


@allowed("console")
@require_safe
def listing(request: PortalRequest, slug: str, traffic: Traffic) -> HttpResponse:
    """Show what is suggested for a service; ?show=accepted, refused or ignored shows what was decided."""
    row = get_object_or_404(Service, slug=slug)
    show = request.GET.get("show", "")
    here = reverse("catalog:patterns", args=[row.slug])
    asked = queries.by_path(row)
    lists: dict[str, Any] = {
        "": _suggestions(row, asked, traffic),
        "accepted": queries.routes(row),
        "refused": queries.refused_patterns(row),
        "ignored": queries.ignored(row),
    }
    show = show if show in lists else ""
    labels = {"": "Suggested", "accepted": "Accepted", "refused": "Refused", "ignored": "Ignored"}
    page = Paginator(lists[show], PER_PAGE).get_page(request.GET.get("page"))
    shown = show in {"accepted", "ignored"}
    counts = _requests(traffic, (one.pk for one in page.object_list)) if shown else {}
    context = {
        "service": row,
        "show": show,
        "page": page,
        "rows": _decided(page.object_list, counts) if shown else [],
        "tabs": [
            {
                "label": label,
                "href": f"{here}?show={key}" if key else here,
                "current": key == show,
                "count": len(found) if isinstance(found := lists[key], list) else found.count(),
            }
            for key, label in labels.items()
        ],
        "days": SEEN_DAYS,
        "may_edit": request.user.can(actions.EDIT),
    }
    return render(request, "catalog/patterns.html", context)


def _suggestions(row: Service, asked: list[queries.Asked], traffic: Traffic) -> list[_Row]:
    counts = _requests(traffic, (one.row.pk for one in asked))
    seen = [patterns.Seen(one.method, one.path, counts.get(one.row.pk, 0)) for one in asked]
    rows = []
    for one in patterns.suggest(seen, settled=queries.settled(row)):
        meant = set(one.paths)
        covered = [
            other
            for other in asked
            if other.method == one.method
            and other.path not in meant
            and patterns.matches(one.pattern, other.path)
        ]
        rows.append(_Row(one, covered))
    return rows


def _requests(traffic: Traffic, operations: Iterable[int]) -> dict[int, int]:
    return traffic(list(operations), timezone.now() - timedelta(days=SEEN_DAYS))


def _decided(operations: Any, counts: dict[int, int]) -> list[dict[str, Any]]:
    return [{"row": one, "requests": counts.get(one.pk)} for one in operations]


@allowed(actions.EDIT)
@form_page
def write(request: PortalRequest, slug: str, traffic: Traffic) -> HttpResponse:
    """Show what a pattern takes in, or accept it.

    ?method= and ?pattern= are looked at first. Each operation with `apart` stays one of its own; those
    that a suggestion did not mean come with it set (?apart=).
    """
    row = get_object_or_404(Service, slug=slug)
    given = request.POST if request.method == "POST" else request.GET
    form = PatternForm(given if "pattern" in given else None)
    apart = {pk for pk in map(number, given.getlist("apart")) if pk is not None}
    if form.is_valid():
        method, pattern = form.cleaned_data["method"], form.cleaned_data["pattern"]
        if request.method == "POST":
            try:
                route = route_actions.accept_route(
                    service=row,
                    method=method,
                    pattern=pattern,
                    apart=apart,
                    user=request.user,
                    now=timezone.now(),
                )
            except actions.Refused as problem:
                form.add_error("pattern", str(problem))
            else:
                messages.info(
                    request, f"{route.name} takes in {route.aliases.count()} paths seen so far."
                )
                return SeeOther(f"{_listing(row)}?show=accepted")
        elif clash := route_actions.overlapping(row, method, pattern):
            form.add_error("pattern", clash)
    context = {"service": row, "form": form, "days": SEEN_DAYS}
    context |= _looked_at(row, form, apart, traffic)
    status = 422 if request.method == "POST" else 200
    return render(request, "catalog/pattern.html", context, status=status)


def _looked_at(
    row: Service, form: PatternForm, apart: set[int], traffic: Traffic
) -> dict[str, Any]:
    if not form.is_valid():
        return {}
    method, pattern = form.cleaned_data["method"], form.cleaned_data["pattern"]
    everything = row.operations.filter(merged_into=None).values_list("pk", flat=True)
    counts = _requests(traffic, everything)
    found = queries.matching(row, method, pattern)
    if not found:
        form.add_error(
            "pattern",
            f"No {method} operation of {row.name} seen so far has such a path. "
            "Look for a typo, or wait until traffic shows one.",
        )
        return {}
    shape = patterns.shape_of(pattern)
    others = [one for one in found if patterns.shape_of(one.path) != shape]
    others.sort(key=lambda one: (one.row.pk not in apart, -counts.get(one.row.pk, 0), one.row.name))
    total = sum(counts.values())
    theirs = sum(counts.get(one.row.pk, 0) for one in found)
    return {
        "found": [
            {
                "row": one.row,
                "requests": counts.get(one.row.pk),
                "apart": one.row.pk in apart,
            }
            for one in others[:MOST_SHOWN]
        ],
        "same": next((one.row for one in found if patterns.shape_of(one.path) == shape), None),
        "more": max(len(others) - MOST_SHOWN, 0),
        "count": len(others),
        "share": theirs / total if total else None,
        "why": patterns.why(pattern, (one.path for one in found if one.row.pk not in apart)),
        "looked": {"method": method, "pattern": pattern},
    }


@allowed(actions.EDIT)
@require_POST
def refuse(request: PortalRequest, slug: str) -> HttpResponse:
    """Do not suggest a pattern again."""
    row = get_object_or_404(Service, slug=slug)
    form = PatternForm(request.POST)
    if not form.is_valid():
        said = " ".join(str(one) for errors in form.errors.values() for one in errors)
        messages.error(request, said)
        return SeeOther(_listing(row))
    route_actions.refuse_pattern(
        service=row, user=request.user, now=timezone.now(), **form.cleaned_data
    )
    messages.info(request, f"{form.cleaned_data['pattern']} will not be suggested again.")
    return SeeOther(_listing(row))


@allowed(actions.EDIT)
@require_POST
def reconsider(request: PortalRequest, pk: int) -> HttpResponse:
    """Let a refused pattern be suggested again."""
    refused = get_object_or_404(RefusedPattern.objects.select_related("service"), pk=pk)
    route_actions.reconsider_pattern(refused=refused, user=request.user, now=timezone.now())
    return SeeOther(f"{_listing(refused.service)}?show=refused")


@allowed(actions.EDIT)
@require_POST
def drop(request: PortalRequest, pk: int) -> HttpResponse:
    """Take an accepted pattern back."""
    row = get_object_or_404(Operation.objects.select_related("service"), pk=pk, route=True)
    count = route_actions.drop_route(operation=row, user=request.user, now=timezone.now())
    messages.info(
        request,
        f"{count} operation{' is' if count == 1 else 's are'} of {'its' if count == 1 else 'their'}"
        " own again.",
    )
    return SeeOther(f"{_listing(row.service)}?show=accepted")


@allowed(actions.EDIT)
@require_POST
def part(request: PortalRequest, pk: int) -> HttpResponse:
    """Make an operation of its own again of one that a pattern took in."""
    row = get_object_or_404(Operation.objects.select_related("merged_into"), pk=pk)
    try:
        into = route_actions.part_operation(operation=row, user=request.user, now=timezone.now())
    except actions.Refused as problem:
        messages.error(request, str(problem))
        return SeeOther(reverse("catalog:operation", args=[row.pk]))
    messages.info(request, f"{row.name} is an operation of its own again.")
    return SeeOther(reverse("catalog:operation", args=[into.pk]))


@allowed(actions.EDIT)
@require_POST
def ignore(request: PortalRequest, pk: int) -> HttpResponse:
    """Take an operation off the lists, or with `back` put it there again."""
    row = get_object_or_404(Operation, pk=pk)
    ignored = "back" not in request.POST
    route_actions.ignore_operation(
        operation=row, ignored=ignored, user=request.user, now=timezone.now()
    )
    return SeeOther(reverse("catalog:operation", args=[row.pk]))


def _listing(row: Service) -> str:
    return reverse("catalog:patterns", args=[row.slug])
