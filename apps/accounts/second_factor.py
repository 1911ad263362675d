"""The second factor: noted in the log as it comes and goes, and asked of us where the setting says so."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from apps.accounts.models import AuditEvent, Role, User

#: Where one may go without: to set it up, and out.
WITHOUT = ("/console/account/", "/sign-out/", "/sign-in/", "/leave/")

#: What the log calls each kind.
KINDS = {
    Authenticator.Type.TOTP: "app with codes",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}

FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


class SecondFactor:
    """Lead those of us without a second factor to set one up (PORTAL_REQUIRE_MFA)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponseBase | None:
        """Turn back whoever has to set it up first."""
        # What everybody may read asks for no session, hence for no second factor.
        if not settings.PORTAL_REQUIRE_MFA or not getattr(view, "login_required", True):
            return None
        user = request.user
        if not isinstance(user, User) or user.role == Role.CUSTOMER:
            return None
        if request.path.startswith(WITHOUT) or is_mfa_enabled(user, FACTORS):
            return None
        messages.warning(request, "Set up a second factor first: this installation asks for one.")
        return redirect("mfa_index")


def _note(action: str, *, before: bool, after: bool) -> Callable[..., None]:
    """Return who notes that a factor is there, was there, or both."""

    def note(user: User, authenticator: Authenticator, **_: Any) -> None:
        kind = {"kind": KINDS[authenticator.type]}
        AuditEvent.note(
            at=timezone.now(),
            user=user,
            action=f"person.second_factor_{action}",
            target=user,
            before=kind if before else None,
            after=kind if after else None,
        )

    return note


_added = _note("add", before=False, after=True)
_removed = _note("remove", before=True, after=False)
_reset = _note("renew", before=False, after=True)


def listen() -> None:
    """Hear of every factor that comes or goes."""
    authenticator_added.connect(_added, dispatch_uid="accounts.second_factor")
    authenticator_removed.connect(_removed, dispatch_uid="accounts.second_factor")
    authenticator_reset.connect(_reset, dispatch_uid="accounts.second_factor")
