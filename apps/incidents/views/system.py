"""The system map, with customers in it."""

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.catalog.models import Service
from apps.customers.models import Kind
from apps.incidents.system.asked import UNNAMED, Asked
from apps.incidents.system.layout import draw
from apps.incidents.system.listing import listed
from apps.incidents.system.reading import system as read

LEGEND = ("fine", "slowed", "failing", "unknown")


@allowed("console")
@require_safe
def system(request: PortalRequest) -> HttpResponse:
    """Show who uses what, and how it is now; ?service=, ?supplier=, ?customers= narrow, ?show=all unfolds."""
    slug = request.GET.get("service", "").replace("\0", "")[:100]
    kind = request.GET.get("customers", "")
    if kind and kind not in {*Kind.values, UNNAMED}:
        raise Http404
    asked = Asked(
        everything=request.GET.get("show") == "all",
        kind=kind,
        service=get_object_or_404(Service, slug=slug) if slug else None,
        supplier=request.GET.get("supplier", "").replace("\0", "").strip()[:200],
    )
    found = read(user=request.user, asked=asked)
    context = {
        "system": found,
        "drawing": draw(found.picture),
        "columns": listed(found.picture),
        "filters": _filters(asked),
        "asked": asked,
        "folded": asked.href(show=""),
        "unfolded": asked.href(show="all"),
        "bundled": any(node.key.endswith("-more") for node in found.picture.nodes),
        "legend": LEGEND,
    }
    return render(request, "incidents/system.html", context)


def _filters(asked: Asked) -> list[dict[str, str]]:
    """Return what narrows the map, each with the address without it."""
    found = []
    if asked.kind:
        label = "Nobody we can name" if asked.kind == UNNAMED else Kind(asked.kind).label
        found.append({"label": label, "href": asked.href(customers="")})
    if asked.service:
        found.append({"label": asked.service.name, "href": asked.href(service="")})
    if asked.supplier:
        found.append({"label": f"on {asked.supplier}", "href": asked.href(supplier="")})
    return found
