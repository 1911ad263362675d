"""Pages on which an incident is declared and changed."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import form_page, number
from apps.customers.models import Kind
from apps.incidents import actions
from apps.incidents.forms import (
    DeclareForm,
    EditForm,
    SeverityForm,
    StateForm,
)
from apps.incidents.models import (
    TRANSITIONS,
    Fault,
    Incident,
    State,
    Visibility,
)
from apps.incidents.severity import IN_WORDS
from apps.incidents.views.common import incident_or_404, render_form, see, send_next


@allowed("incident.declare")
@form_page
def declare(request: PortalRequest) -> HttpResponse:
    """Open an incident."""
    now = timezone.now()
    first = {
        "started_at": _asked_about(request) or now,
        "services": [number(one) for one in request.GET.getlist("services")[:20]],
    }
    form = DeclareForm(request.POST or None, now=now, initial=first)
    if request.method == "POST" and form.is_valid():
        try:
            incident = actions.declare(user=request.user, now=now, **form.cleaned_data)
        except actions.UnableToDeclare as problem:
            form.add_error(None, str(problem))
        else:
            messages.info(
                request, "Declared. A worker computes what it did to customers; it shows here."
            )
            return see(incident)
    return render_form(request, "incidents/declare.html", form)


@allowed("incident.edit")
@form_page
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    """Change what the incident says of itself; a conflict shows theirs beside yours."""
    incident = incident_or_404(request, pk)
    now = timezone.now()
    form = EditForm(request.POST or None, now=now, incident=incident)
    conflict: list[dict[str, Any]] = []
    status = 422
    if request.method == "POST" and form.is_valid():
        columns = dict(form.cleaned_data)
        try:
            actions.edit(
                incident=incident,
                version_seen=columns.pop("version"),
                user=request.user,
                now=now,
                **columns,
            )
        except actions.Conflict as problem:
            form.add_error(None, str(problem))
            conflict, status = _both(form, problem.incident), 409
            send_next(form, version=problem.incident.version)
        except actions.UnableToEdit as problem:
            form.add_error(None, str(problem))
        else:
            messages.info(request, "Saved.")
            return see(incident)
    return render_form(
        request,
        "incidents/edit.html",
        form,
        {"incident": incident, "conflict": conflict},
        status=status,
    )


@allowed("incident.edit")
@form_page
def state(request: PortalRequest, pk: int) -> HttpResponse:
    """Move the incident to another state without telling customers."""
    incident = incident_or_404(request, pk)
    form = StateForm(request.POST or None, incident=incident)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_state(
                incident=incident, user=request.user, now=timezone.now(), **form.cleaned_data
            )
        except actions.UnableToChangeState as problem:
            form.add_error(None, str(problem))
        else:
            chosen = State(form.cleaned_data["state"]).label.lower()
            messages.info(request, f"It is {chosen} now. Customers were not told.")
            return see(incident)
    return render_form(
        request,
        "incidents/state.html",
        form,
        {
            "incident": incident,
            "may_resolve": State.RESOLVED in TRANSITIONS[incident.state]
            and request.user.can("incident.publish"),
        },
    )


@allowed("incident.edit")
@form_page
def severity(request: PortalRequest, pk: int, kind: str) -> HttpResponse:
    """Confirm or change how bad it is for one kind of customer."""
    if kind not in Kind.values:
        raise Http404
    incident = incident_or_404(request, pk)
    row = incident.severities.filter(kind=kind).first()
    form = SeverityForm(request.POST or None, initial={"level": row.level if row else None})
    if request.method == "POST" and form.is_valid():
        try:
            actions.set_severity(
                incident=incident,
                kind=kind,
                user=request.user,
                now=timezone.now(),
                **form.cleaned_data,
            )
        except actions.UnableToSetSeverity as problem:
            form.add_error("reason", str(problem))
        else:
            return see(incident)
    return render_form(
        request,
        "incidents/severity.html",
        form,
        {"incident": incident, "row": row, "label": IN_WORDS[kind]},
    )


@allowed("incident.edit")
@require_POST
def impact(request: PortalRequest, pk: int) -> HttpResponse:
    """Have the impact computed now."""
    incident = incident_or_404(request, pk)
    try:
        actions.request_impact(incident=incident, user=request.user, now=timezone.now())
    except actions.UnableToRequestImpact as problem:
        messages.warning(request, str(problem))
    return see(incident)


def _both(form: EditForm, incident: Incident) -> list[dict[str, Any]]:
    """Return the fields that differ: how they stand now, and what was typed."""
    found = []
    for name, field in form.fields.items():
        if name == "version":
            continue
        theirs, mine = getattr(incident, name), form.cleaned_data.get(name)
        if name == "started_at" and mine is None:
            continue
        if theirs != mine:
            found.append(
                {
                    "label": field.label,
                    "theirs": _shown(name, theirs),
                    "mine": _shown(name, mine),
                }
            )
    return found


def _shown(name: str, value: Any) -> str:
    if name in {"fault", "visibility"}:
        return str((Fault if name == "fault" else Visibility)(value).label)
    if name == "started_at":
        return f"{value:%d %b %Y %H:%M:%S} UTC"
    return str(value) if value else "nothing"


def _asked_about(request: PortalRequest) -> datetime | None:
    """Return the beginning of the window that somebody comes from, if their link names one."""
    try:
        found = parse_datetime(request.GET.get("started_at", ""))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found else None
