"""Pages of incidents: the list, the room, and one small page for each thing that people do there."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import render_partial
from apps.customers.models import Kind
from apps.impact.queries import customer_rows
from apps.incidents import actions, queries, wording
from apps.incidents.forms import (
    DeclareForm,
    EditForm,
    ResolveForm,
    SeverityForm,
    StateForm,
    UpdateForm,
)
from apps.incidents.models import (
    LIVE,
    TRANSITIONS,
    Fault,
    Incident,
    State,
    Update,
    Visibility,
)

form_page = require_http_methods(["GET", "HEAD", "POST"])


# Reading


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
            "href": "?" + _query(request, show=key, page=None),
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
    incident = _incident(request, pk)
    now = timezone.now()
    seen = request.GET.get("seen")
    if request.htmx and seen and seen == queries.pulse(incident=incident, now=now):
        return HttpResponse(status=204)
    sort = request.GET.get("sort", "-gave_up")
    shown = queries.room(incident=incident, user=request.user, now=now, sort=sort)
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
            "poll": "?" + _query(request, seen=shown.pulse),
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
    incident = _incident(request, pk)
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
def timeline(request: PortalRequest, pk: int) -> HttpResponse:
    """Show all that happened, and all that was published, newest first."""
    incident = _incident(request, pk)
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


# Declaring and changing


@allowed("incident.declare")
@form_page
def declare(request: PortalRequest) -> HttpResponse:
    """Open an incident."""
    now = timezone.now()
    form = DeclareForm(request.POST or None, now=now, initial={"started_at": now})
    if request.method == "POST" and form.is_valid():
        try:
            incident = actions.declare(user=request.user, now=now, **form.cleaned_data)
        except actions.UnableToDeclare as problem:
            form.add_error(None, str(problem))
        else:
            messages.info(
                request, "Declared. A worker computes what it did to customers; it shows here."
            )
            return _see(incident)
    return _form(request, "incidents/declare.html", form)


@allowed("incident.edit")
@form_page
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    """Change what the incident says of itself; a conflict shows theirs beside yours."""
    incident = _incident(request, pk)
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
            _send_next(form, version=problem.incident.version)
        except actions.UnableToEdit as problem:
            form.add_error(None, str(problem))
        else:
            return _see(incident)
    return _form(
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
    incident = _incident(request, pk)
    form = StateForm(request.POST or None, incident=incident)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_state(
                incident=incident, user=request.user, now=timezone.now(), **form.cleaned_data
            )
        except actions.UnableToChangeState as problem:
            form.add_error(None, str(problem))
        else:
            return _see(incident)
    return _form(
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
    incident = _incident(request, pk)
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
            return _see(incident)
    return _form(
        request,
        "incidents/severity.html",
        form,
        {"incident": incident, "row": row, "label": Kind(kind).label},
    )


@allowed("incident.edit")
@require_POST
def impact(request: PortalRequest, pk: int) -> HttpResponse:
    """Have the impact computed now."""
    incident = _incident(request, pk)
    try:
        actions.request_impact(incident=incident, user=request.user, now=timezone.now())
    except actions.UnableToRequestImpact as problem:
        messages.warning(request, str(problem))
    return _see(incident)


# Telling


@allowed("incident.edit")
@form_page
def update(request: PortalRequest, pk: int) -> HttpResponse:
    """Write the next update; nobody reads it before it is published."""
    incident = _incident(request, pk)
    draft = queries.draft_of(incident)
    now = timezone.now()
    if request.method == "POST":
        form = UpdateForm(request.POST, incident=incident)
    elif draft:
        form = UpdateForm(incident=incident, initial=UpdateForm.values_of(draft, now=now))
    else:
        form = UpdateForm(incident=incident, initial=_proposed(request, incident))
    theirs: Update | None = None
    status = 422
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            actions.draft_update(
                incident=incident,
                state=data["state"],
                text=data["text"],
                advice=data["advice"],
                next_update_at=now + timedelta(minutes=data["next_in"])
                if data["next_in"]
                else None,
                revision_seen=data["revision"],
                user=request.user,
                now=now,
            )
        except actions.DraftConflict as problem:
            theirs, status = _draft_conflict(form, problem), 409
        except actions.UnableToDraft as problem:
            form.add_error(None, str(problem))
        else:
            return _see(incident, "publish" if request.user.can("incident.publish") else "room")
    return _form(
        request,
        "incidents/update.html",
        form,
        {
            "incident": incident,
            "draft": draft,
            "theirs": theirs,
            "may_publish": request.user.can("incident.publish"),
        },
        status=status,
    )


@allowed("incident.publish")
@form_page
def publish(request: PortalRequest, pk: int) -> HttpResponse:
    """Read the draft as customers will, and publish it."""
    incident = _incident(request, pk)
    draft = queries.draft_of(incident)
    refused = ""
    if request.method == "POST":
        refused = _publish(request, incident)
        if not refused:
            return _see(incident)
        draft = queries.draft_of(incident)
    elif draft is None:
        messages.info(request, "There is no draft to publish.")
        return _see(incident)
    return render(
        request,
        "incidents/publish.html",
        {
            "incident": incident,
            "draft": draft,
            "refused": refused,
            "hit": queries.hit_customers(incident),
            "changes_state": draft is not None and draft.state != incident.state,
            "now": timezone.now(),
        },
        status=409 if refused else 200,
    )


def _publish(request: PortalRequest, incident: Incident) -> str:
    """Publish what was read; return why not, in words, or nothing."""
    draft = _number(request.POST.get("update"))
    revision = _number(request.POST.get("revision"))
    found = incident.updates.filter(pk=draft).first() if draft else None
    if found is None or revision is None:
        return "This draft was thrown away. Nothing was published."
    try:
        actions.publish_update(
            update=found, revision_seen=revision, user=request.user, now=timezone.now()
        )
    except actions.UnableToPublish as problem:
        return str(problem)
    return ""


@allowed("incident.edit")
@require_POST
def discard(request: PortalRequest, pk: int) -> HttpResponse:
    """Throw the draft away."""
    incident = _incident(request, pk)
    draft = queries.draft_of(incident)
    if draft is None:
        messages.info(request, "There is no draft any more.")
        return _see(incident)
    try:
        actions.discard_draft(
            update=draft,
            user=request.user,
            now=timezone.now(),
            revision_seen=_number(request.POST.get("revision")),
        )
    except actions.UnableToDraft as problem:
        messages.warning(request, str(problem))
    return _see(incident)


@allowed("incident.publish")
@form_page
def resolve(request: PortalRequest, pk: int) -> HttpResponse:
    """Tell everyone that it is over."""
    incident = _incident(request, pk)
    if not incident.is_live:
        messages.info(request, f"It is {incident.get_state_display().lower()} already.")
        return _see(incident)
    draft = queries.draft_of(incident)
    now = timezone.now()
    if request.method == "POST":
        form = ResolveForm(request.POST, incident=incident, now=now)
    else:
        form = ResolveForm(incident=incident, now=now, initial=_last_word(incident, draft, now))
    status = 422
    if request.method == "POST" and form.is_valid():
        data = dict(form.cleaned_data)
        try:
            actions.resolve(
                incident=incident,
                revision_seen=data.pop("revision"),
                user=request.user,
                now=now,
                **data,
            )
        except actions.DraftConflict as problem:
            _draft_conflict(form, problem)
            draft, status = problem.update, 409
        except actions.UnableToPublish as problem:
            form.add_error(None, str(problem))
        else:
            messages.info(request, "Resolved. The pages say so in a moment.")
            return _see(incident)
    return _form(
        request,
        "incidents/resolve.html",
        form,
        {"incident": incident, "draft": draft, "hit": queries.hit_customers(incident)},
        status=status,
    )


# What they share


def _incident(request: PortalRequest, pk: int) -> Incident:
    try:
        return queries.incident_for(user=request.user, pk=pk)
    except Incident.DoesNotExist:
        raise Http404 from None


def _see(incident: Incident, page: str = "room") -> HttpResponse:
    response = HttpResponseRedirect(reverse(f"incidents:{page}", args=[incident.pk]))
    response.status_code = 303
    return response


def _form(
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


def _query(request: PortalRequest, **changes: str | None) -> str:
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = value
    return query.urlencode()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _proposed(request: PortalRequest, incident: Incident) -> dict[str, Any]:
    """Return the first wording of a new draft: facts from the snapshot, advice as it was."""
    wanted = request.GET.get("state", "")
    now_state = wanted if wanted in LIVE else incident.state
    said = (
        incident.updates.filter(published_at__isnull=False).order_by("-published_at", "-pk").first()
    )
    return {
        "state": now_state,
        "text": wording.proposed_text(incident, state=now_state, result=queries.facts_of(incident)),
        "advice": said.advice if said else "",
        "next_in": 30 if now_state in LIVE else "",
    }


def _last_word(incident: Incident, draft: Update | None, now: Any) -> dict[str, Any]:
    """Return the first wording of the final update; a draft that is open becomes it."""
    text = wording.proposed_text(incident, state=State.RESOLVED, result=queries.facts_of(incident))
    over = draft is not None and draft.state == State.RESOLVED
    return {
        "text": draft.text if draft and over else text,
        "advice": draft.advice if draft else "",
        "ended_at": incident.ended_at or now,
        "revision": draft.revision if draft else None,
    }


def _draft_conflict(form: Any, problem: actions.DraftConflict) -> Update | None:
    form.add_error(None, str(problem))
    _send_next(form, revision=problem.update.revision if problem.update else "")
    return problem.update


def _send_next(form: Any, **seen: object) -> None:
    """Let the form that comes back say what it was shown beside: the next press knows of it."""
    form.data = form.data.copy()
    for name, value in seen.items():
        form.data[name] = str(value)


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
