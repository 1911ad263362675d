"""Pages of gaps: the questions about customers that the data could not answer."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther
from apps.impact import actions, coverage, queries
from apps.impact.forms import AcceptForm
from apps.impact.models import Gap, ImpactSnapshot
from apps.impact.snippets import SNIPPETS, snippets_for

SHOWN = {"open": "Open", "accepted": "Accepted", "closed": "Closed"}
ROWS = 60


@allowed("console")
@require_safe
def gaps(request: PortalRequest) -> HttpResponse:
    """List the gaps in one state: the open ones, those that nobody has taken on first."""
    now = timezone.now()
    shown = request.GET.get("state", "open")
    if shown not in SHOWN:
        shown = "open"
    if shown == "accepted":
        found = queries.accepted_gaps(now)
    else:
        found = queries.closed_gaps() if shown == "closed" else queries.open_gaps(now)
    address = reverse("impact:gaps")
    return render(
        request,
        "impact/gaps.html",
        {
            "page": Paginator(found, 25).get_page(request.GET.get("page")),
            "computed": ImpactSnapshot.objects.exists,  # asked only of an empty list
            "may_take": request.user.can("incident.edit"),
            "pasted": SNIPPETS,
            "shown": shown,
            "tabs": [
                {"label": label, "href": f"{address}?state={name}", "current": name == shown}
                for name, label in SHOWN.items()
            ],
            "now": now,
        },
    )


@allowed("console")
@require_safe
def show_coverage(request: PortalRequest) -> HttpResponse:
    """Show which questions can be answered now, for each service and journey."""
    now = timezone.now()
    rows = coverage.matrix(now)
    return render(
        request,
        "impact/coverage.html",
        {
            "page": Paginator(rows, ROWS).get_page(request.GET.get("page")),
            "questions": coverage.QUESTIONS,
            "asked": any(row.asked_at for row in rows),
            "days": coverage.LATELY.days,
            "now": now,
        },
    )


@allowed("console")
@require_safe
def gap_page(request: PortalRequest, pk: int) -> HttpResponse:
    """Show one gap: why, whom it blinds us to, what to paste, and who accepts it."""
    return _gap_page(request, _gap(pk), AcceptForm(now=timezone.now()))


@allowed("incident.edit")
@require_POST
def accept(request: PortalRequest, pk: int) -> HttpResponse:
    """Accept not to know it until a day."""
    gap, now = _gap(pk), timezone.now()
    form = AcceptForm(request.POST, now=now)
    if form.is_valid():
        try:
            actions.accept_gap(
                gap=gap,
                reason=form.cleaned_data["reason"],
                until=form.until_at,
                user=request.user,
                now=now,
            )
        except actions.UnableToAccept as problem:
            form.add_error("until" if "day" in str(problem) else None, str(problem))
        else:
            return SeeOther(reverse("impact:gap", args=[pk]))
    return _gap_page(request, gap, form, status=422)


@allowed("incident.edit")
@require_POST
def reopen(request: PortalRequest, pk: int) -> HttpResponse:
    """Take an acceptance back."""
    try:
        actions.reopen_gap(gap=_gap(pk), user=request.user, now=timezone.now())
    except actions.UnableToAccept as problem:
        messages.warning(request, str(problem))
    return SeeOther(reverse("impact:gap", args=[pk]))


@allowed("incident.edit")
@require_POST
def assign(request: PortalRequest, pk: int) -> HttpResponse:
    """Take a gap on, or give it back (`to=nobody`)."""
    gap = get_object_or_404(Gap, pk=pk)
    owner = None if request.POST.get("to") == "nobody" else request.user
    try:
        actions.assign_gap(gap=gap, owner=owner, user=request.user, now=timezone.now())
    except actions.UnableToAssign as problem:
        messages.warning(request, str(problem))
    if request.POST.get("from") == "gap":
        return SeeOther(reverse("impact:gap", args=[pk]))
    return SeeOther(reverse("impact:gaps"))


def _gap(pk: int) -> Gap:
    gap: Gap = get_object_or_404(
        Gap.objects.select_related("service", "journey", "owner", "accepted_by", "latest_snapshot__run")
        .defer("latest_snapshot__result", "latest_snapshot__overall"),
        pk=pk,
    )  # fmt: skip
    return gap


def _gap_page(
    request: PortalRequest, gap: Gap, form: AcceptForm, *, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    customers, blinded = queries.blinded(gap, request.user)
    context: dict[str, Any] = {
        "gap": gap,
        "state": gap.state(now),
        "customers": customers,
        "blinded": blinded,
        "more": blinded - len(customers),
        "places": [] if gap.closed_at else coverage.places_of(gap, coverage.matrix(now)),
        "snippets": snippets_for(gap.code),
        "form": form,
        "may_take": request.user.can("incident.edit"),
        "now": now,
    }
    return render(request, "impact/gap.html", context, status=status)
