"""What views of people and keys share."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from apps.core.http import SeeOther


def see(name: str, *args: Any) -> HttpResponse:
    """Lead to a page after a form."""
    return SeeOther(reverse(f"accounts:{name}", args=args))


def shown_once(response: HttpResponse) -> HttpResponse:
    """Keep a page that holds a secret out of every store."""
    response["Cache-Control"] = "no-store"
    return response
