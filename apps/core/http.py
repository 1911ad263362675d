"""HTTP helpers that every page uses."""

from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

M = TypeVar("M", bound=Model)


def render_partial(
    request: HttpRequest, template: str, partial: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the page, or only its `partial` when htmx asks for a piece; the answer varies by HX-Request."""
    htmx = getattr(request, "htmx", None)
    if htmx and not htmx.boosted and not htmx.history_restore_request:
        template = f"{template}#{partial}"
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def paginate(request: HttpRequest, rows: QuerySet[M], *, per_page: int = 50) -> Page[M]:
    """Return the page that `?page=` names (the nearest one when it is out of range)."""
    order = rows.query.order_by
    if not {"pk", "-pk", "id", "-id"} & {one for one in order if isinstance(one, str)}:
        # Rows that compare equal must not change places between two pages.
        rows = rows.order_by(*order, "pk")
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
