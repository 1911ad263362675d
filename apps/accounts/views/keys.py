"""Pages about the keys of machines. A token is in one answer, once."""

from datetime import timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import actions, queries
from apps.accounts.access import PortalRequest, allowed
from apps.accounts.forms import KeyForm, RotateForm
from apps.accounts.models import ApiKey
from apps.accounts.views.common import see, shown_once
from apps.core.http import form_page, render_partial

MANAGE = "keys.manage"

#: What the form of a rotation proposes.
USUAL_OVERLAP = timedelta(days=7)


@allowed(MANAGE)
@require_safe
def keys(request: PortalRequest) -> HttpResponse:
    """List keys that open something, or (`?state=ended`) those that do not any more."""
    now, ended = timezone.now(), request.GET.get("state") == "ended"
    tabs = [
        {"label": "In use", "href": "?", "current": not ended},
        {"label": "Ended", "href": "?state=ended", "current": ended},
    ]
    rows = Paginator(queries.key_list(now=now, ended=ended), 50)
    page = rows.get_page(request.GET.get("page"))
    context = {"page": page, "tabs": tabs, "ended": ended, "now": now}
    return render_partial(request, "accounts/keys.html", "results", context)


@allowed(MANAGE)
@form_page
def issue(request: PortalRequest) -> HttpResponse:
    """Make a key."""
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key, token = actions.issue_key(by=request.user, now=timezone.now(), **form.cleaned_data)
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return shown_once(render(request, "accounts/token.html", {"key": key, "token": token}))
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/issue.html", {"form": form}, status=status)


@allowed(MANAGE)
@form_page
def rotate(request: PortalRequest, pk: int) -> HttpResponse:
    """Make a key that takes another's place."""
    key, now = get_object_or_404(ApiKey, pk=pk), timezone.now()
    form = RotateForm(request.POST or None, initial={"until": now + USUAL_OVERLAP})
    if request.method == "POST" and form.is_valid():
        try:
            old, new, token = actions.rotate_key(
                key=key, until=form.cleaned_data["until"], by=request.user, now=now
            )
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            context = {"key": new, "token": token, "old": old}
            return shown_once(render(request, "accounts/token.html", context))
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/rotate.html", {"form": form, "key": key}, status=status)


@allowed(MANAGE)
@require_POST
def revoke(request: PortalRequest, pk: int) -> HttpResponse:
    """End a key."""
    try:
        actions.revoke_key(
            key=get_object_or_404(ApiKey, pk=pk), by=request.user, now=timezone.now()
        )
    except actions.Refused as problem:
        messages.warning(request, str(problem))
    return see("keys")
