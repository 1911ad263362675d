"""Addresses of signing in: open to everyone. Most views are allauth's, under its names."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from django.contrib.auth.decorators import login_not_required
from django.urls import path

from apps.accounts.views import company

urlpatterns = [
    path("", login_not_required(account.login), name="login"),
    path("", login_not_required(account.login), name="account_login"),
    path("closed/", login_not_required(account.account_inactive), name="account_inactive"),
    path(
        "code/", login_not_required(account.request_login_code), name="account_request_login_code"
    ),
    path(
        "code/confirm/",
        login_not_required(account.confirm_login_code),
        name="account_confirm_login_code",
    ),
    path("second-factor/", login_not_required(mfa.authenticate), name="mfa_authenticate"),
    path("passkey/", login_not_required(webauthn.login_webauthn), name="mfa_login_webauthn"),
    path("oidc/company/", company.begin, name="company_begin"),
    path("oidc/company/callback/", company.come_back, name="company_callback"),
]
