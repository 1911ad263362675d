"""The list, the room, and its two long tables."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.catalog.models import Operation
from apps.core.http import number, render_partial
from apps.customers.models import Customer
from apps.impact import comparing, samples
from apps.impact.queries import READERS, STAFF, customer_rows
from apps.incidents import actions, queries
from apps.incidents.models import (
    State,
)
from apps.incidents.views.common import incident_or_404, query_with

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
    sort = request.GET.get("sort", "-gave_up")
    snapshot = queries.latest_snapshot(incident)
    page = None
    if snapshot:
        found = queries.customers(snapshot=snapshot.pk, user=request.user, sort=sort)
        page = Paginator(found, 50).get_page(request.GET.get("page"))
    return render(
        request,
        "incidents/customers.html",
        {
            "incident": incident,
            "snapshot": snapshot,
            "page": page,
            "rows": customer_rows(page) if page else [],
            "sort": sort,
        },
    )


@allowed("console")
@require_safe
def compare(request: PortalRequest, pk: int) -> HttpResponse:
    """Show two snapshots beside each other: what we believed, and what we believe now."""
    incident = incident_or_404(request, pk)
    known = list(queries.compared(incident)[:MOST_SNAPSHOTS])
    by_pk = {one.pk: one for one in known}
    asked = [number(request.GET.get(name)) for name in ("before", "after")]
    if missing := {one for one in asked if one is not None} - by_pk.keys():
        # A light one that has been followed by others since, of a link that somebody kept.
        more = list(queries.snapshots(incident).filter(pk__in=missing))
        known += more
        by_pk |= {one.pk: one for one in more}
    if any(one is not None and one not in by_pk for one in asked):
        raise Http404
    after = by_pk[asked[1]] if asked[1] else known[0] if known else None
    earlier = [one for one in known if after and one.pk != after.pk]
    before = by_pk[asked[0]] if asked[0] else earlier[0] if earlier else None
    context: dict[str, Any] = {
        "incident": incident,
        "known": known,
        "before": before,
        "after": after,
    }
    if before and after:
        moved = comparing.moved_customers(user=request.user, before=before.pk, after=after.pk)
        context |= {
            "lines": comparing.lines(before.overall, after.overall),
            "page": Paginator(moved, 50).get_page(request.GET.get("page")),
            "windows_differ": before.overall.get("window") != after.overall.get("window"),
        }
    return render(request, "incidents/compare.html", context)


@allowed("console")
@require_safe
def attempts(request: PortalRequest, pk: int) -> HttpResponse:
    """Show some of the attempts under a number, request by request, of the customers that this person may see."""
    incident = incident_or_404(request, pk)
    outcome = request.GET.get("outcome") or None
    if outcome is not None and outcome not in samples.OUTCOMES:
        raise Http404
    visible = Customer.objects.visible_to(request.user)
    slug = request.GET.get("customer")
    customer = get_object_or_404(visible, slug=slug.replace("\0", "")) if slug else None
    asked = request.GET.get("operation")
    operation = get_object_or_404(Operation, pk=number(asked)) if asked else None
    of = None if request.user.is_staff else set(visible.values_list("pk", flat=True))
    snapshot = queries.snapshots(incident).defer("result").select_related("run__service").first()
    context: dict[str, Any] = {
        "incident": incident,
        "snapshot": snapshot,
        "customer": customer,
        "operation": operation,
        "of_all": query_with(request, customer=None),
        "at_all": query_with(request, operation=None),
        "outcome": outcome,
        "why": samples.WHY.get(outcome or ""),
        "tabs": [
            {
                "label": label,
                "href": "?" + query_with(request, outcome=key),
                "current": key == outcome,
            }
            for key, label in [(None, "All"), *samples.OUTCOMES.items()]
        ],
    }
    if snapshot:
        try:
            context["sample"] = samples.sample(
                snapshot=snapshot,
                outcome=outcome,
                customers={customer.pk} if customer else of,
                operation=operation.pk if operation else None,
                about=incident.reference,
            )
        except samples.TooMany as error:
            context["too_many"] = str(error)
        else:
            actions.note_attempts_seen(
                incident=incident, user=request.user, customer=customer, now=timezone.now()
            )
    return render(request, "incidents/attempts.html", context)


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
