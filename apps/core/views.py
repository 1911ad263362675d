"""Pages of the kernel."""

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.messages.storage.base import Message
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from apps.core import specimens
from apps.core.accent import accent_of_settings
from apps.core.charts import shelf
from apps.core.places import SETTINGS, open_to


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the web process is up; it asks nothing of the database."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def accent(request: HttpRequest) -> HttpResponse:
    """Answer the deployment's accent as a stylesheet; its address changes with what is in it."""
    found = accent_of_settings()
    response = HttpResponse(found.css if found else "", content_type="text/css; charset=utf-8")
    patch_cache_control(response, public=True, max_age=31536000 if "v" in request.GET else 60)
    return response


@require_safe
def style(request: HttpRequest) -> HttpResponse:
    """Show every component in every state, on made-up data."""
    pages = Paginator(range(480), 50)
    now = timezone.now()
    context = {
        **specimens.specimens(now),
        "charts": specimens.charts(),
        "form": specimens.StyleForm({"contact": "nobody", "minutes": "-3", "kind": "business"}),
        "blank_form": specimens.StyleForm(auto_id="blank_%s"),
        "first_page": pages.page(1),
        "middle_page": pages.page(5),
        "last_page": pages.page(pages.num_pages),
        "nothing": [],
        "spoken": [
            Message(messages.SUCCESS, "Update published to 212 customers."),
            Message(messages.INFO, "The impact is being computed again."),
            Message(messages.WARNING, "Approval lapsed: the text changed after Ben approved it."),
            Message(
                messages.ERROR,
                "Not sent: the mail server refused us. Nothing left; try again below.",
            ),
        ],
    }
    return render(request, "core/style.html", context)


@require_safe
def settings(request: HttpRequest) -> HttpResponse:
    """List what is set once and looked at rarely: what exists, and what this person may open."""
    return render(request, "core/settings.html", {"places": open_to(request.user, SETTINGS)})


@require_safe
def chart(request: HttpRequest, key: str) -> HttpResponse:
    """Answer a page that waits for a drawing: 204 while it is not there. Who knows the hash knows the numbers."""
    drawing = shelf.find(key)
    if drawing is None:
        if shelf.is_asked(key):
            return HttpResponse(status=204)
        raise Http404
    words = drawing or "It could not be drawn; the numbers are all here."
    return HttpResponse(
        format_html('<div class="chart-frame">{}</div>', mark_safe(words) if drawing else words)  # noqa: S308
    )
