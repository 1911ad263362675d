"""The page that a new installation opens with."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from apps.accounts import actions
from apps.accounts.forms import FirstAdminForm
from apps.core.http import form_page


@login_not_required
@never_cache
@form_page
def first(request: HttpRequest, token: str) -> HttpResponse:
    """Let whoever started the portal become its first admin."""
    closed = actions.why_not_first(token)
    form = FirstAdminForm(request.POST or None)
    if not closed and request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            actions.make_first_admin(
                token=token,
                name=given["name"],
                email=given["email"],
                password=given["password"],
                now=timezone.now(),
            )
        except ValidationError as problem:
            form.add_error("password", problem)
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            messages.info(
                request, "You are the first admin. Sign in, then say who your customers are."
            )
            return redirect("login")
    status = 410 if closed else 422 if request.method == "POST" else 200
    return render(request, "accounts/first.html", {"closed": closed, "form": form}, status=status)
