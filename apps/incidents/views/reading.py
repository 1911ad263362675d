"""The list, the room, and its two long tables."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import query_with, render_partial
from apps.impact.queries import READERS, STAFF
from apps.impact.views import Subject, attempts_page, compare_page, customers_page
from apps.incidents import queries
from apps.incidents.models import Incident, State
from apps.incidents.views.common import incident_or_404

MOST_SNAPSHOTS = 200
"""Of one incident that can be chosen from: at one every five minutes, two thirds of a day."""


@allowed("console")
@require_safe
def listing(request: PortalRequest) -> HttpResponse:
    """List incidents: open, over or all, and those that a word finds."""
    keys = [key for key, _ in queries.WHICH]
    which = request.GET.get("show", "open")
    which = which if which in keys else "open"
    search = request.GET.get("q", "").replace("\0", "").strip()[:200]
    rows = queries.listing(user=request.user, which=which, search=search)
    counts = queries.counts(user=request.user, search=search)
    tabs = [
        {
            "label": label,
            "href": "?" + query_with(request, show=key, page=None),
            "current": key == which,
            "count": counts[key],
        }
        for key, label in queries.WHICH
    ]
    return render_partial(
        request,
        "incidents/list.html",
        "results",
        {
            "page": Paginator(rows, 25).get_page(request.GET.get("page")),
            "tabs": tabs,
            "which": which,
            "search": search,
            "now": timezone.now(),
            "may_declare": request.user.can("incident.declare"),
        },
    )


@allowed("console")
@require_safe
def room(request: PortalRequest, pk: int) -> HttpResponse:
    """Show an incident as it is now; htmx asks again by itself and gets nothing while nothing has changed."""
    incident = incident_or_404(request, pk)
    now = timezone.now()
    seen = request.GET.get("seen")
    if request.htmx and seen and seen == queries.pulse(incident=incident, now=now):
        return HttpResponse(status=204)
    sort = request.GET.get("sort", "-gave_up")
    reader = request.GET.get("reader", STAFF)
    reader = reader if reader in READERS else STAFF
    shown = queries.room(incident=incident, user=request.user, now=now, sort=sort, reader=reader)
    return render_partial(
        request,
        "incidents/room.html",
        "room",
        {
            "room": shown,
            "incident": incident,
            "now": now,
            "sort": sort,
            "late": incident.next_update_at is not None and incident.next_update_at < now,
            "readers": [
                {
                    "label": one.capitalize(),
                    "href": f"?{query_with(request, reader=one, seen=None)}#impact",
                    "current": one == reader,
                }
                for one in READERS
            ],
            "poll": "?" + query_with(request, seen=shown.pulse),
            "may_edit": request.user.can("incident.edit"),
            "may_publish": request.user.can("incident.publish"),
            "may_resolve": incident.is_live and request.user.can("incident.publish"),
            "may_tell": incident.state != State.DISMISSED and request.user.can("incident.edit"),
        },
    )


@allowed("console")
@require_safe
def customers(request: PortalRequest, pk: int) -> HttpResponse:
    """Show what it did to every customer that this person may see."""
    incident = incident_or_404(request, pk)
    return customers_page(request, _subject(incident), queries.latest_snapshot(incident))


@allowed("console")
@require_safe
def compare(request: PortalRequest, pk: int) -> HttpResponse:
    """Show two snapshots beside each other: what we believed, and what we believe now."""
    incident = incident_or_404(request, pk)
    known = list(queries.compared(incident)[:MOST_SNAPSHOTS])
    return compare_page(request, _subject(incident), known, queries.snapshots(incident))


@allowed("console")
@require_safe
def attempts(request: PortalRequest, pk: int) -> HttpResponse:
    """Show some of the attempts under a number, request by request, of the customers that this person may see."""
    incident = incident_or_404(request, pk)
    snapshot = queries.snapshots(incident).defer("result").select_related("run__service").first()
    return attempts_page(request, _subject(incident), snapshot)


def _subject(incident: Incident) -> Subject:
    return Subject(
        row=incident,
        name=incident.reference,
        title=incident.title,
        href=reverse("incidents:room", args=[incident.pk]),
        back="Back to the room",
        attempts_href=reverse("incidents:attempts", args=[incident.pk]),
        is_incident=True,
    )


@allowed("console")
@require_safe
def timeline(request: PortalRequest, pk: int) -> HttpResponse:
    """Show all that happened, and all that was published, newest first."""
    incident = incident_or_404(request, pk)
    return render(
        request,
        "incidents/timeline.html",
        {
            "incident": incident,
            "page": Paginator(queries.timeline(incident=incident, user=request.user), 100).get_page(
                request.GET.get("page")
            ),
            "updates": incident.updates.filter(published_at__isnull=False)
            .select_related("author", "published_by")
            .order_by("-published_at", "-pk")[:50],
        },
    )
