"""Pages on which updates are written and published."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import form_page, number
from apps.incidents import actions, queries, wording
from apps.incidents.forms import (
    ResolveForm,
    UpdateForm,
)
from apps.incidents.models import (
    LIVE,
    Incident,
    State,
    Update,
)
from apps.incidents.views.common import (
    incident_or_404,
    render_form,
    see,
    send_next,
)


@allowed("incident.edit")
@form_page
def update(request: PortalRequest, pk: int) -> HttpResponse:
    """Write the next update; nobody reads it before it is published."""
    incident = incident_or_404(request, pk)
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
            return see(incident, "publish" if request.user.can("incident.publish") else "room")
    return render_form(
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
    incident = incident_or_404(request, pk)
    draft = queries.draft_of(incident)
    refused = ""
    if request.method == "POST":
        refused = _publish(request, incident)
        if not refused:
            messages.info(request, "Published. The pages say so in a moment.")
            return see(incident)
        draft = queries.draft_of(incident)
    elif draft is None:
        messages.info(request, "There is no draft to publish.")
        return see(incident)
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
    draft = number(request.POST.get("update"))
    revision = number(request.POST.get("revision"))
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
    incident = incident_or_404(request, pk)
    draft = queries.draft_of(incident)
    if draft is None:
        messages.info(request, "There is no draft any more.")
        return see(incident)
    try:
        actions.discard_draft(
            update=draft,
            user=request.user,
            now=timezone.now(),
            revision_seen=number(request.POST.get("revision")),
        )
    except actions.UnableToDraft as problem:
        messages.warning(request, str(problem))
    else:
        messages.info(request, "The draft is thrown away. Nobody outside has read it.")
    return see(incident)


@allowed("incident.publish")
@form_page
def resolve(request: PortalRequest, pk: int) -> HttpResponse:
    """Tell everyone that it is over."""
    incident = incident_or_404(request, pk)
    if not incident.is_live:
        messages.info(request, f"It is {incident.get_state_display().lower()} already.")
        return see(incident)
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
            return see(incident)
    return render_form(
        request,
        "incidents/resolve.html",
        form,
        {"incident": incident, "draft": draft, "hit": queries.hit_customers(incident)},
        status=status,
    )


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
    send_next(form, revision=problem.update.revision if problem.update else "")
    return problem.update
