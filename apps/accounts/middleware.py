"""Know from where a request came, and when a session was last seen."""

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts import sessions
from apps.accounts.whereabouts import Whereabouts, at, of_request


class Here:
    """Keep a request's address and program at hand, and note that a session is in use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        place = of_request(request)
        with at(place):
            response = self.get_response(request)
            if response.status_code < 500:
                _note(request, place)
            return response


def _note(request: HttpRequest, place: Whereabouts) -> None:
    key = request.session.session_key
    # Only a request whose view asked has a user at hand: nobody else costs a query.
    if not key or not hasattr(request, "_cached_user") or not sessions.is_due(key):
        return
    if request.user.is_authenticated:
        try:
            sessions.seen(key, user=request.user, place=place, now=timezone.now())
        except DatabaseError:
            return  # the page is more than the note about it
