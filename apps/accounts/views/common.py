"""What views of people and keys share."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

form_page = require_http_methods(["GET", "HEAD", "POST"])


def see(name: str, *args: Any) -> HttpResponse:
    """Lead to a page after a form."""
    response = HttpResponseRedirect(reverse(f"accounts:{name}", args=args))
    response.status_code = 303
    return response


def shown_once(response: HttpResponse) -> HttpResponse:
    """Keep a page that holds a secret out of every store."""
    response["Cache-Control"] = "no-store"
    return response
