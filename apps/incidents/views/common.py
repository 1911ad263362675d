"""What the pages of incidents share."""

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from apps.accounts.access import PortalRequest
from apps.core.http import SeeOther
from apps.incidents import queries
from apps.incidents.models import (
    Incident,
)


def incident_or_404(request: PortalRequest, pk: int) -> Incident:
    """Return the incident if this person may see it; 404 otherwise."""
    try:
        return queries.incident_for(user=request.user, pk=pk)
    except Incident.DoesNotExist:
        raise Http404 from None


def see(incident: Incident, page: str = "room") -> HttpResponse:
    """Send the browser on to a page of the incident (303: by GET)."""
    return SeeOther(reverse(f"incidents:{page}", args=[incident.pk]))


def render_form(
    request: PortalRequest,
    template: str,
    form: Any,
    context: dict[str, Any] | None = None,
    *,
    status: int = 422,
) -> HttpResponse:
    """Render a form: 200 to begin with, `status` when it comes back with errors."""
    return render(
        request,
        template,
        {"form": form, **(context or {})},
        status=status if form.is_bound and form.errors else 200,
    )


def send_next(form: Any, **seen: object) -> None:
    """Let the form that comes back say what it was shown beside: the next press knows of it."""
    form.data = form.data.copy()
    for name, value in seen.items():
        form.data[name] = str(value)
