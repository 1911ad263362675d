"""Pages of gaps: the questions about customers that the data could not answer."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther
from apps.impact import actions, queries
from apps.impact.models import Gap, ImpactSnapshot


@allowed("console")
@require_safe
def gaps(request: PortalRequest) -> HttpResponse:
    """List the open gaps, those that nobody has taken on first."""
    return render(
        request,
        "impact/gaps.html",
        {
            "page": Paginator(queries.open_gaps(), 25).get_page(request.GET.get("page")),
            "computed": ImpactSnapshot.objects.exists,  # asked only of an empty list
            "may_take": request.user.can("incident.edit"),
            "now": timezone.now(),
        },
    )


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
    return SeeOther(reverse("impact:gaps"))
