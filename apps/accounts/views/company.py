"""Signing in with the company's account: out to the provider, and back."""

import logging
import time
from dataclasses import asdict
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import get_next_redirect_url, perform_login
from allauth.core.internal import ratelimit
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts.company import Attempt, Away, Company, Refused, Unusable, company

logger = logging.getLogger(__name__)

#: Where a session keeps the attempts that were begun in it, and for how many seconds; the last few tabs.
BEGUN, OPEN_FOR, TABS = "accounts.company", 600, 5
#: How often one address may begin or come back: each costs a question to the provider.
RATES = {"company": "30/m/ip"}

AWAY = "Your company’s sign-in does not answer. Try again in a few minutes, or sign in with your password."
STALE = "This was begun in another browser, or more than ten minutes ago, or is done already. Begin again."
BACK = "You went back, or your company did not let you go on."
UNUSABLE = (
    "What your company’s sign-in answered proves nothing. Begin again; if it stays so, tell whoever runs this"
    " portal."
)


@login_not_required
@never_cache
@require_safe
def begin(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider."""
    provider = _provider()
    if not _within_rates(request):
        return ratelimit.respond_429(request)  # type: ignore[no-any-return]
    attempt = Attempt.begin()
    try:
        address = provider.address(attempt)
    except (Away, Unusable) as problem:
        return _away(request, problem)
    kept = _open(request)
    kept[attempt.state] = {
        **asdict(attempt),
        "at": time.time(),
        "next": get_next_redirect_url(request),
    }
    request.session[BEGUN] = dict(list(kept.items())[-TABS:])
    return HttpResponseRedirect(address)


@login_not_required
@never_cache
@require_safe
def come_back(request: HttpRequest) -> HttpResponse:
    """Let in whom the provider signed in, if they are one of us."""
    provider = _provider()
    if not _within_rates(request):
        return ratelimit.respond_429(request)  # type: ignore[no-any-return]
    kept = _open(request)
    begun = kept.pop(request.GET.get("state", ""), None)
    if begun is None:
        return _closed(request, STALE, status=400)
    request.session[BEGUN] = kept  # an attempt counts once
    if request.GET.get("error"):
        if request.GET["error"] != "access_denied":
            logger.warning("company sign-in: %.200r", request.GET["error"])
        return _closed(request, BACK, status=403)
    attempt = Attempt(begun["state"], begun["nonce"], begun["verifier"])
    try:
        person = provider.person(code=request.GET.get("code", ""), attempt=attempt)
    except Away as problem:
        return _away(request, problem)
    except Unusable as problem:
        logger.warning("company sign-in: %s", problem)
        return _closed(request, UNUSABLE, status=400)
    except Refused as problem:
        return _closed(request, str(problem), status=403)
    if request.user.is_authenticated:
        logout(request)
    record_authentication(request, person, "company")
    answer: HttpResponse = perform_login(
        request, person, email_verification="none", redirect_url=begun["next"]
    )
    return answer


def _provider() -> Company:
    provider = company()
    if provider is None:
        raise Http404
    return provider


def _within_rates(request: HttpRequest) -> bool:
    used = ratelimit.consume(
        request, app="accounts", action="company", config=RATES, limit_get=True
    )
    return used is not None


def _open(request: HttpRequest) -> dict[str, Any]:
    """Return the attempts of this browser that still count, the oldest first."""
    begun = request.session.get(BEGUN, {})
    return {state: one for state, one in begun.items() if time.time() - one["at"] < OPEN_FOR}


def _away(request: HttpRequest, problem: Exception) -> HttpResponse:
    logger.warning("company sign-in: %s", problem)
    return _closed(request, AWAY, status=503)


def _closed(request: HttpRequest, words: str, *, status: int) -> HttpResponse:
    return render(request, "accounts/company.html", {"words": words}, status=status)
