"""Who may open a page: decorators that cannot be forgotten half-way."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User

P = ParamSpec("P")


class PortalRequest(HttpRequest):
    """A request by a person who has signed in."""

    user: User
    htmx: HtmxDetails


View = Callable[Concatenate[PortalRequest, P], HttpResponseBase]


def allowed(action: str) -> Callable[[View[P]], Callable[..., HttpResponseBase]]:
    """Let only people pass whose role may do `action` (accounts.models.PERMISSIONS); others get 403."""

    def decorate(view: View[P]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def guarded(request: PortalRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.can(action):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        vars(guarded)["action"] = action  # menus ask for it (core.places)
        return guarded

    return decorate
