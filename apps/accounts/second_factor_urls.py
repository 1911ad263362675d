"""Addresses of one's own second factor, under /console/account/. The views are allauth's, under its names."""

from allauth.account import views as account
from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import path

from apps.accounts.access import allowed

mine = allowed("console")

urlpatterns = [
    path("confirm/", mine(account.reauthenticate), name="account_reauthenticate"),
    path("confirm/code/", mine(base.reauthenticate), name="mfa_reauthenticate"),
    path(
        "confirm/passkey/",
        mine(webauthn.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("second-factor/", mine(base.index), name="mfa_index"),
    path("second-factor/", mine(base.index), name="mfa_list_webauthn"),
    path("second-factor/app/add/", mine(totp.activate_totp), name="mfa_activate_totp"),
    path("second-factor/app/remove/", mine(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("second-factor/codes/", mine(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "second-factor/codes/renew/",
        mine(codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("second-factor/passkeys/add/", mine(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path(
        "second-factor/passkeys/<int:pk>/remove/",
        mine(webauthn.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
]
