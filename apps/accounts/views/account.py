"""One's own account: name, password, second factor, and the browsers in which one is signed in."""

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.accounts import actions, sessions
from apps.accounts.access import PortalRequest, allowed
from apps.accounts.forms import NameForm, PasswordForm
from apps.accounts.models import User
from apps.accounts.views.common import see
from apps.core.http import form_page

SESSIONS_SHOWN = 100


@allowed("console")
@form_page
def account(request: PortalRequest) -> HttpResponse:
    """Show one's account, and take another name."""
    now = timezone.now()
    form = NameForm(request.POST or None, initial={"name": request.user.name})
    if request.method == "POST" and form.is_valid():
        actions.rename(person=request.user, name=form.cleaned_data["name"], now=now)
        return see("account")
    context = {
        "form": form,
        "sessions": sessions.live(request.user, now=now)[:SESSIONS_SHOWN],
        "here": request.session.session_key,
        "factors": _factors(request.user),
        "now": now,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/account.html", context, status=status)


def _factors(user: User) -> list[str]:
    kinds = Authenticator.objects.filter(user=user).values_list("type", flat=True).distinct()
    words = {
        Authenticator.Type.TOTP: "an app with codes",
        Authenticator.Type.WEBAUTHN: "a passkey",
    }
    return [what for kind, what in words.items() if kind in set(kinds)]


@allowed("console")
@form_page
def password(request: PortalRequest) -> HttpResponse:
    """Take another password."""
    if not request.user.has_usable_password():
        messages.warning(request, "You have no password here: your company’s account signs you in.")
        return see("account")
    form = PasswordForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            changed = actions.change_password(
                person=request.user, password=form.cleaned_data["password"], now=timezone.now()
            )
        except ValidationError as problem:
            form.add_error("password", problem)
        else:
            update_session_auth_hash(request, changed)
            messages.info(request, "Your password is changed. You are signed out everywhere else.")
            return see("account")
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/password.html", {"form": form}, status=status)


@allowed("console")
@require_POST
def end_sessions(request: PortalRequest) -> HttpResponse:
    """End one session (`session`), or all but this one."""
    now, here = timezone.now(), request.session.session_key
    mine = sessions.live(request.user, now=now)
    raw = request.POST.get("session", "")
    if raw:
        rows = list(mine.filter(pk=int(raw))) if raw.isdecimal() and len(raw) < 19 else []
    else:
        rows = list(mine.exclude(session_key=here))
    actions.end_sessions(person=request.user, rows=rows, now=now)
    if any(row.session_key == here for row in rows):
        logout(request)
        return redirect("login")
    return see("account")
