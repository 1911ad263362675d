"""How allauth fits this house: our words, our mail rules, nobody signs up by themselves."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from apps.accounts import codes
from apps.accounts.models import Role, User
from apps.accounts.seals import seal, unseal
from apps.accounts.whereabouts import address_of

MISMATCH = (
    "That address and password do not go together. Check both and try again; capital letters"
    " count in the password."
)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Signing in and out."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": MISMATCH,
        "too_many_login_attempts": "Too many tries. Wait five minutes, then try again.",
        "rate_limited": "Too many tries. Wait some minutes, then try again.",
        "incorrect_code": "This is not the code. Type the newest one that was mailed to you.",
        "incorrect_password": "That is not your password.",
    }

    def is_open_for_signup(self, *_: Any) -> bool:
        """Let nobody in who was not invited."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that rates are limited by."""
        return address_of(request) or "0.0.0.0"  # noqa: S104  (unknown ones share one limit)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return where who has just signed in belongs: customers on their page, everybody else on Today."""
        if isinstance(request.user, User) and request.user.role == Role.CUSTOMER:
            return reverse("statuspage:home")
        return str(super().get_login_redirect_url(request))

    def reauthenticate(self, user: User, password: str) -> bool:
        """Say whether this is the password of who is signed in."""
        found = self.authenticate(context.request, email=user.email, password=password)
        return found is not None and found.pk == user.pk

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Return the ways to show that it is them, in our words."""
        words = {
            "mfa_reauthenticate": "Use a code",
            "mfa_reauthenticate:webauthn": "Use a passkey",
        }
        found = super().get_reauthentication_methods(user)
        return [{**one, "description": words.get(one["id"], one["description"])} for one in found]

    def add_message(self, request: HttpRequest, level: int, *args: Any, **options: Any) -> None:
        """Say only what went wrong: that somebody is signed in they see."""
        if level >= messages.WARNING:
            super().add_message(request, level, *args, **options)

    def format_email_subject(self, subject: str) -> str:
        """Leave the subject as it is written."""
        return subject

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Leave a code to the worker: a mail server that is slow or away must not tell whom we know."""
        if template_prefix != "account/email/login_code":
            super().send_mail(template_prefix, email, context)
            return
        codes.leave(email=email, code=context["code"], now=timezone.now())


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors; their secrets are stored encrypted."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This is not the code. Wait for the next one and type it as it shows.",
        "cannot_delete_authenticator": "This installation asks for a second factor. Add another one first.",
    }

    def get_totp_issuer(self) -> str:
        """Return what an authenticator app shows beside the code."""
        return settings.PORTAL_NAME

    def encrypt(self, text: str) -> str:
        """Return what is stored of a secret."""
        return seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return a secret. One under a lost key opens nothing: its owner uses another factor."""
        return unseal(encrypted_text)

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Keep the last second factor of one of us where it is asked for."""
        if not settings.PORTAL_REQUIRE_MFA or authenticator.type == "recovery_codes":
            return True
        others = type(authenticator).objects.filter(user=authenticator.user)
        return bool(others.exclude(type="recovery_codes").exclude(pk=authenticator.pk).exists())
