"""Pages of customers and Today: they need both sides, so they live up here."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import render_partial
from apps.core.notices import notices
from apps.customers.forms import CustomerFilter
from apps.customers.models import Customer
from apps.customers.queries import customer_list, seen_parent, tolerance
from apps.outreach import queries
from apps.outreach.models import Outreach


@require_safe
def front_door(request: PortalRequest) -> HttpResponseBase:
    """Show Today; a customer who comes here is sent to the page that is theirs."""
    return today(request) if request.user.can("console") else redirect("/")


@allowed("console")
def today(request: PortalRequest) -> HttpResponse:
    """Show what needs this person now."""
    now = timezone.now()
    found = queries.today(request.user, now=now)
    more = notices(request.user)
    context = {
        "today": found,
        "now": now,
        "notices": more,
        "is_calm": found.is_calm and not more,
        "headline": " · ".join(filter(None, [headline(found), *(one.text for one in more)])),
    }
    return render_partial(request, "today.html", "now", context)


@require_safe
@allowed("console")
def customers(request: PortalRequest) -> HttpResponse:
    """Show the customers that this person may see."""
    form = CustomerFilter(request.GET, user=request.user)
    wishes = form.wishes()
    context = {
        "page": Paginator(customer_list(request.user, **wishes), 50).get_page(
            request.GET.get("page")
        ),
        "form": form,
        "wishes": wishes,
        "filtered": any(value for name, value in wishes.items() if name != "sort"),
        "may_edit": request.user.can("customer.edit"),
    }
    return render_partial(request, "customers/list.html", "results", context)


@require_safe
@allowed("console")
def profile(request: PortalRequest, slug: str) -> HttpResponse:
    """Show who a customer is and what happened to them."""
    rows = Customer.objects.visible_to(request.user).select_related("account_manager")
    customer = get_object_or_404(rows.prefetch_related(seen_parent(request.user)), slug=slug)
    history = queries.history(customer)
    context = {
        "customer": customer,
        "lead": _lead(customer),
        "may_edit": request.user.can("customer.edit"),
        "may_change": request.user.can("customer.own"),
        "tolerance": tolerance(customer),
        "journeys": customer.journeys.order_by("journey", "pk"),
        "contacts": Paginator(customer.contacts.order_by("purpose", "name", "pk"), 20).get_page(
            request.GET.get("page")
        ),
        "rules": customer.rules.order_by("position", "pk"),
        "children": Customer.objects.visible_to(request.user)
        .filter(parent=customer)
        .order_by("name", "pk")[:50],
        "promises": queries.promises(customer),
        "history": history,
        "past": queries.past(customer, history, now=timezone.now()),
        "may_rule": request.user.can("rule.edit"),
        "outreach": Outreach.objects.visible_to(request.user)
        .filter(customer=customer)
        .select_related("incident")
        .order_by("-changed_at", "-pk")[:10],
    }
    return render(request, "customers/profile.html", context)


def headline(today: queries.Today) -> str:
    """Return Today's first line: what is open, what is late, what waits."""
    parts = [
        _many(len(today.incidents), "incident open", "incidents open"),
        _many(len(today.overdue), "update overdue", "updates overdue"),
        _many(today.waiting_count, "message waits for you", "messages wait for you"),
        _many(len(today.calls), "customer to call", "customers to call"),
        _many(len(today.approvals), "promise to approve", "promises to approve"),
        _many(len(today.reviews), "promise to review", "promises to review"),
    ]
    return " · ".join(part for part in parts if part)


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}" if count else ""


def _lead(customer: Customer) -> str:
    manager = customer.account_manager
    who = f"looked after by {manager.name}" if manager else "nobody looks after them yet"
    return f"{customer.get_kind_display()}, {who}"
