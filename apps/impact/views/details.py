"""What lies under the numbers of a snapshot, whether an incident's or that of a window asked for by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db import models
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.accounts.access import PortalRequest
from apps.catalog.models import Operation
from apps.core.http import number, query_with
from apps.customers.models import Customer
from apps.impact import actions, comparing, queries, samples
from apps.impact.models import CustomerImpact, ImpactSnapshot


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose numbers they are: an incident, or a window; `row` is what the audit log names."""

    row: models.Model
    name: str  # short, in the title of the browser's tab; decides who is called what among people
    title: str  # leads back
    href: str
    back: str
    attempts_href: str
    is_incident: bool = False


def attempts_page(
    request: PortalRequest, of: Subject, snapshot: ImpactSnapshot | None
) -> HttpResponse:
    """Show some of the attempts under a number, request by request, of the customers that this person may see."""
    outcome = request.GET.get("outcome") or None
    if outcome is not None and outcome not in samples.OUTCOMES:
        raise Http404
    visible = Customer.objects.visible_to(request.user)
    slug = request.GET.get("customer")
    customer = get_object_or_404(visible, slug=slug.replace("\0", "")) if slug else None
    asked = request.GET.get("operation")
    operation = get_object_or_404(Operation, pk=number(asked)) if asked else None
    theirs = None if request.user.is_staff else set(visible.values_list("pk", flat=True))
    context: dict[str, Any] = {
        "of": of,
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
                customers={customer.pk} if customer else theirs,
                operation=operation.pk if operation else None,
                about=of.name,
            )
        except samples.TooMany as error:
            context["too_many"] = str(error)
        else:
            actions.note_attempts_seen(
                of=of.row, user=request.user, customer=customer, now=timezone.now()
            )
    return render(request, "impact/attempts.html", context)


def customers_page(
    request: PortalRequest, of: Subject, snapshot: ImpactSnapshot | None
) -> HttpResponse:
    """Show what happened to every customer that this person may see, the worst first."""
    sort = request.GET.get("sort", "-gave_up")
    page = None
    if snapshot:
        rows = CustomerImpact.objects.filter(snapshot=snapshot.pk).visible_to(request.user)
        found = queries.ranked_customers(rows, sort=sort)
        page = Paginator(found, 50).get_page(request.GET.get("page"))
    return render(
        request,
        "impact/customers.html",
        {
            "of": of,
            "snapshot": snapshot,
            "page": page,
            "rows": queries.customer_rows(page) if page else [],
            "sort": sort,
        },
    )


def compare_page(
    request: PortalRequest,
    of: Subject,
    known: Sequence[ImpactSnapshot],
    every: models.QuerySet[ImpactSnapshot],
) -> HttpResponse:
    """Show two snapshots beside each other: what we believed, and what we believe now.

    `known`: to choose from, the newest first; one of `every` may be asked for by its address.
    """
    by_pk = {one.pk: one for one in known}
    asked = [number(request.GET.get(name)) for name in ("before", "after")]
    if missing := {one for one in asked if one is not None} - by_pk.keys():
        # A light one that has been followed by others since, of a link that somebody kept.
        more = list(every.filter(pk__in=missing))
        known = [*known, *more]
        by_pk |= {one.pk: one for one in more}
    if any(one is not None and one not in by_pk for one in asked):
        raise Http404
    after = by_pk[asked[1]] if asked[1] else known[0] if known else None
    earlier = [one for one in known if after and one.pk != after.pk]
    before = by_pk[asked[0]] if asked[0] else earlier[0] if earlier else None
    context: dict[str, Any] = {"of": of, "known": known, "before": before, "after": after}
    if before and after:
        moved = comparing.moved_customers(user=request.user, before=before.pk, after=after.pk)
        context |= {
            "lines": comparing.lines(before.overall, after.overall),
            "page": Paginator(moved, 50).get_page(request.GET.get("page")),
            "windows_differ": before.overall.get("window") != after.overall.get("window"),
        }
    return render(request, "impact/compare.html", context)
