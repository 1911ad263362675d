"""What every answer of Django has in common: nobody keeps it, and what no column can hold is a 400."""

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class NotKept:
    """Let no browser or proxy keep what Django answers: it is somebody's page, or leads to one.

    After signing out, the way back must not show it again. A view that may be kept says so itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class InputErrors:
    """Answer 400 where a value reached the database that no column can hold (NUL, a number too large)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the 400 page for a value that the database refused, None for everything else."""
        if isinstance(exception, DataError) or (
            isinstance(exception, ValueError) and "NUL" in str(exception)
        ):
            return render(request, "400.html", status=400)
        return None
