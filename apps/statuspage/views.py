"""Pages that need Django: signing in and out, choosing an account, telling us what we got wrong.

What customers read is served by `front`, ahead of Django.
"""

import time
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.accounts.models import Role, User
from apps.core.http import SeeOther
from apps.customers.models import Customer
from apps.statuspage import actions, cookie, pages
from apps.statuspage.forms import ReportForm
from apps.statuspage.front import personal_headers
from apps.statuspage.middleware import give
from apps.statuspage.models import CustomerReport
from apps.statuspage.queries import customer_of
from apps.statuspage.shelf import Shelf

REPORTS_SHOWN = 100


@login_not_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Serve the rendered page of whoever is signed in, the public one to everybody else.

    The middleware ahead of Django asks here when a cookie ran out; ours then renews it.
    """
    generation = Shelf(settings.STATUS_DIR).current()
    if generation is None:
        return _as_html(pages.unpublished())
    user, now = request.user, time.time()
    if isinstance(user, User) and user.role == Role.CUSTOMER:
        held = cookie.read(request.COOKIES.get(cookie.NAME, ""))
        mine = customer_of(user, held.customer if held else None)
        page = mine and generation.page(f"customers/{mine.pk:d}.html", now=now)
        if page:
            return _as_html(page.body)
    page = generation.page("public/index.html", now=now)
    return _as_html(page.body if page else pages.unpublished())


@login_not_required
@require_safe
def incident(request: HttpRequest, reference: str) -> HttpResponse:
    """Answer for incidents without a public page: there is none, or it is not for everybody."""
    raise Http404


@require_safe
def accounts(request: PortalRequest) -> HttpResponse:
    """List the customers that somebody may read for."""
    mine = Customer.objects.visible_to(request.user).order_by("name", "pk")[:500]
    return render(request, "statuspage/accounts.html", {**_frame(), "customers": mine})


@require_safe
def choose(request: PortalRequest, pk: int) -> HttpResponse:
    """Open the page of a customer that somebody may read for."""
    customer = get_object_or_404(Customer.objects.visible_to(request.user), pk=pk)
    response = SeeOther(reverse("statuspage:home"))
    give(response, customer)
    return response


@csrf_exempt
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out, from a rendered page (which can hold no token: we ask where the form stood instead)."""
    _from_here(request)
    logout(request)
    return SeeOther(reverse("statuspage:home"))


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: PortalRequest) -> HttpResponse:
    """Take what a customer sees that our page does not say."""
    if request.user.role != Role.CUSTOMER:
        raise PermissionDenied
    form = ReportForm(request.POST if request.method == "POST" else None)
    status, refused = 200, ""
    if request.method == "POST":
        _from_here(request)
        status = 422
        if form.is_valid():
            customer = _spoken_for(request.user, form.cleaned_data["customer"])
            try:
                actions.report_mismatch(
                    by=request.user,
                    customer=customer,
                    text=form.cleaned_data["text"],
                    now=timezone.now(),
                )
            except actions.TooManyReports:
                status = 429
                refused = "We have many messages of yours from this hour. We read them first."
            else:
                return SeeOther(reverse("statuspage:reported"))
    context = {**_frame(), "form": form, "refused": refused, "text": form.data.get("text", "")}
    return render(request, "statuspage/report.html", context, status=status)


@require_safe
def reported(request: PortalRequest) -> HttpResponse:
    """Say that we have what somebody told us."""
    return render(request, "statuspage/reported.html", _frame())


@allowed("console")
@require_http_methods(["GET", "HEAD", "POST"])
def reports(request: PortalRequest) -> HttpResponse:
    """List what customers told us, and note what has been read."""
    mine = CustomerReport.objects.filter(customer__in=Customer.objects.visible_to(request.user))
    if request.method == "POST":
        raw = request.POST.get("report", "")
        if not raw.isdecimal() or len(raw) > 18:
            raise Http404
        found = get_object_or_404(mine, pk=int(raw))
        actions.mark_seen(report_id=found.pk, now=timezone.now())
        return redirect("statuspage:reports")
    rows = mine.select_related("customer", "by").order_by("-created_at", "-pk")[:REPORTS_SHOWN]
    return render(request, "statuspage/reports.html", {"reports": rows})


def _spoken_for(user: User, wanted: int | None) -> Customer:
    customer = customer_of(user, wanted)
    if customer is None or (wanted is not None and customer.pk != wanted):
        raise Http404
    return customer


def _from_here(request: HttpRequest) -> None:
    """Refuse a form that stood on another site. Every browser that sends a form says where it stood."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise PermissionDenied
        return
    origin = request.headers.get("Origin") or request.headers.get("Referer") or ""
    parts = urlsplit(origin)
    if f"{parts.scheme}://{parts.netloc}" != f"{request.scheme}://{request.get_host()}":
        raise PermissionDenied


def _as_html(body: bytes) -> HttpResponse:
    response = HttpResponse(body, content_type="text/html; charset=utf-8")
    for name, value in personal_headers():
        response[name] = value
    return response


def _frame() -> dict[str, Any]:
    return {"name": settings.PORTAL_NAME, "css": pages.style_address()}
