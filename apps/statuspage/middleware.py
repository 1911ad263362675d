"""Keep the cookie that opens a customer's own page in step with who is signed in."""

import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from apps.accounts.models import Role, User
from apps.customers.models import Customer
from apps.statuspage import cookie
from apps.statuspage.queries import customer_of


class StatusCookie:
    """Give a contact the cookie of a customer they may read for; take it from everybody else.

    It runs after authentication. Every page that Django serves to a contact renews the cookie, and
    asks the database whether they still are one. Nobody else costs a query.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # A view that chose a customer has set it itself; one that failed has nothing to say.
        if cookie.NAME not in response.cookies and response.status_code < 500:
            keep_in_step(request, response)
        return response


def keep_in_step(request: HttpRequest, response: HttpResponse) -> None:
    """Renew, replace or delete the cookie on `response`."""
    given = request.COOKIES.get(cookie.NAME)
    if (
        given is None
        and settings.SESSION_COOKIE_NAME not in request.COOKIES
        and not _signed_in(request)
    ):
        return
    try:
        user = request.user
        known = isinstance(user, User) and user.is_authenticated
        if not known or not isinstance(user, User):
            mine = None
        elif given is None and user.role != Role.CUSTOMER:
            return
        else:
            held = cookie.read(given) if given else None
            mine = customer_of(user, held.customer if held else None)
            if user.role != Role.CUSTOMER:
                # Staff looking at a customer's page: it ends by itself, and only ever was theirs to see.
                if mine is None:
                    forget(response)
                return
    except DatabaseError:
        return  # cannot be asked: what they hold runs out by itself
    if mine is not None:
        give(response, mine)
    elif given is not None:
        forget(response)


def give(response: HttpResponse, customer: Customer) -> None:
    """Put a fresh cookie for the customer's page on `response`."""
    response.set_cookie(
        cookie.NAME,
        cookie.sign(customer.pk, now=time.time()),
        # The browser keeps it through the grace; what it opens is decided by what it says.
        max_age=cookie.LIFE + cookie.GRACE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    patch_vary_headers(response, ["Cookie"])


def forget(response: HttpResponse) -> None:
    """Delete the cookie."""
    response.delete_cookie(cookie.NAME, samesite="Lax")
    patch_vary_headers(response, ["Cookie"])


def _signed_in(request: HttpRequest) -> bool:
    """Whether the view has just signed somebody in."""
    session = getattr(request, "session", None)
    return bool(session is not None and session.modified and session.session_key)
