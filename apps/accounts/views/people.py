"""Pages about people: who is here, who is asked to come, what each may do."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import actions, jobs, queries, sessions
from apps.accounts.access import PortalRequest, allowed
from apps.accounts.forms import InviteForm, NewPasswordForm, PeopleFilter, RoleForm
from apps.accounts.models import AuditEvent, Invitation, Role, User
from apps.accounts.views.common import see, shown_once
from apps.core.http import form_page, render_partial

MANAGE = "people.manage"


@allowed(MANAGE)
@require_safe
def people(request: PortalRequest) -> HttpResponse:
    """List who may sign in."""
    form = PeopleFilter(request.GET)
    wishes = form.wishes()
    rows = Paginator(queries.people_list(**wishes), 50).get_page(request.GET.get("page"))
    context = {
        "page": rows,
        "form": form,
        "wishes": wishes,
        "filtered": any(wishes.values()),
        "now": timezone.now(),
    }
    return render_partial(request, "accounts/people.html", "results", context)


@allowed("console")
@require_safe
def roles(request: PortalRequest) -> HttpResponse:
    """Show what each role may do."""
    context = {
        "roles": [role.label for role in queries.OURS],
        "rows": queries.roles_table(),
        "mine": request.user.get_role_display(),
    }
    return render(request, "accounts/roles.html", context)


@allowed(MANAGE)
@form_page
def invite(request: PortalRequest) -> HttpResponse:
    """Ask somebody to come."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.invite_person(by=request.user, now=timezone.now(), **form.cleaned_data)
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return _invited(request, made)
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "roles": queries.roles_in_words()}
    return render(request, "accounts/invite.html", context, status=status)


@allowed(MANAGE)
@require_POST
def invite_again(request: PortalRequest, pk: int) -> HttpResponse:
    """Write a new link for who has not come yet."""
    person = get_object_or_404(User, pk=pk)
    try:
        made = actions.invite_again(person=person, by=request.user, now=timezone.now())
    except actions.Refused as problem:
        messages.warning(request, str(problem))
        return see("person", pk)
    return _invited(request, made)


def _invited(request: PortalRequest, made: Invitation) -> HttpResponse:
    context = {
        "invitation": made,
        "link": jobs.link_of(made),
        "mailed": jobs.may_mail(made.user.email),
    }
    return shown_once(render(request, "accounts/invited.html", context))


@allowed(MANAGE)
@require_safe
def person(request: PortalRequest, pk: int) -> HttpResponse:
    """Show one person, and what can be done about them."""
    found = get_object_or_404(queries.people_list(state="any"), pk=pk)
    now = timezone.now()
    target = f"user:{found.pk}"
    context = {
        "person": found,
        "form": None if found.role == Role.CUSTOMER else RoleForm(initial={"role": found.role}),
        "roles": queries.roles_in_words(),
        "invitation": found.invitations.order_by("-pk").first(),
        "sessions": sessions.live(found, now=now)[:20],
        "history": AuditEvent.objects.filter(target=target)
        .select_related("user")
        .order_by("-at", "-pk")[:20],
        "now": now,
    }
    return render(request, "accounts/person.html", context)


@allowed(MANAGE)
@require_POST
def change_role(request: PortalRequest, pk: int) -> HttpResponse:
    """Give another role."""
    return _do(request, pk, actions.change_role, role=request.POST.get("role", ""))


@allowed(MANAGE)
@require_POST
def deactivate(request: PortalRequest, pk: int) -> HttpResponse:
    """Let somebody go."""
    return _do(request, pk, actions.deactivate)


@allowed(MANAGE)
@require_POST
def reactivate(request: PortalRequest, pk: int) -> HttpResponse:
    """Let somebody in again."""
    return _do(request, pk, actions.reactivate)


def _do(request: PortalRequest, pk: int, action: Callable[..., User], **given: Any) -> HttpResponse:
    found = get_object_or_404(User, pk=pk)
    try:
        action(person=found, by=request.user, now=timezone.now(), **given)
    except actions.Refused as problem:
        messages.warning(request, str(problem))
    return see("person", pk)


@login_not_required
@never_cache
@form_page
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Let who was invited set their first password."""
    found, now = Invitation.of(token), timezone.now()
    closed = "This is not a link of ours. Copy all of it from the mail, up to its last character."
    if found is not None:
        closed = actions.why_closed(found, now=now)
    form = NewPasswordForm(request.POST or None)
    if found is not None and not closed and request.method == "POST" and form.is_valid():
        try:
            actions.accept_invitation(
                invitation=found, password=form.cleaned_data["password"], now=now
            )
        except ValidationError as problem:
            form.add_error("password", problem)
        except actions.Refused as problem:
            closed = str(problem)
        else:
            messages.info(request, "Your password is set. Sign in with it.")
            return redirect("login")
    status = 410 if closed else 422 if request.method == "POST" else 200
    context = {"invitation": found, "closed": closed, "form": form}
    return render(request, "accounts/invitation.html", context, status=status)
