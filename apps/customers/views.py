"""Pages on which customers are written: make, edit, archive, contacts, import and export."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther, form_page, render_partial
from apps.customers import actions, columns, exporting, jobs, sheet
from apps.customers.forms import (
    ContactForm,
    CustomerFilter,
    CustomerForm,
    ImportForm,
    JourneyForms,
    zone_options,
)
from apps.customers.models import Customer, CustomerImport, ImportState
from apps.customers.planning import BAD, CHANGED, NEW, SAME
from apps.customers.queries import customer_list

WORDS = {NEW: "New", CHANGED: "Changed", SAME: "Same", BAD: "Bad"}


@allowed(actions.EDIT)
@form_page
def new(request: PortalRequest) -> HttpResponse:
    """Make a customer."""
    return _customer_page(request, None)


@allowed(actions.OWN)
@form_page
def edit(request: PortalRequest, slug: str) -> HttpResponse:
    """Change a customer."""
    return _customer_page(request, _customer(request, slug))


def _customer_page(request: PortalRequest, customer: Customer | None) -> HttpResponse:
    journeys = customer.journeys.order_by("journey", "pk") if customer else []
    form = CustomerForm(
        _posted(request),
        instance=customer,
        initial={} if customer else {"name": request.GET.get("name", "")[:200]},
        user=request.user,
    )
    lines: Any = JourneyForms(
        _posted(request),
        prefix="journey",
        initial=[
            {"journey": one.journey, "value": one.value, "currency": one.currency, "note": one.note}
            for one in journeys
        ],
    )
    if request.method == "POST" and (form.is_valid() & lines.is_valid()):
        try:
            saved = actions.save_customer(
                customer=customer,
                values=form.cleaned_data,
                journeys=lines.journeys(),
                user=request.user,
                now=timezone.now(),
            )
        except actions.UnableToSave as problem:
            _show(form, problem)
        else:
            return _rule_for(request, saved) or _see("profile", saved.slug)
    name = Customer.objects.values_list("name", flat=True).get(pk=customer.pk) if customer else ""
    context = {
        "form": form, "journeys": lines, "customer": customer, "name": name, "zones": zone_options(),
    }  # fmt: skip
    return render(
        request, "customers/edit.html", context, status=422 if request.method == "POST" else 200
    )


def _rule_for(request: PortalRequest, customer: Customer) -> HttpResponse | None:
    """Lead on to the rule where the page was opened for requests that nobody could name."""
    attribute, value = request.GET.get("attribute"), request.GET.get("value")
    if not attribute or not value or not request.user.can("rule.edit"):
        return None
    asked = urlencode({"attribute": attribute, "value": value, "customer": customer.slug})
    return SeeOther(f"{reverse('rules:new')}?{asked}")


@allowed(actions.EDIT)
@require_POST
def archive(request: PortalRequest, slug: str) -> HttpResponse:
    """Put a customer away, or take it back."""
    customer = _customer(request, slug)
    archived = request.POST.get("do") != "take-back"
    actions.archive_customer(
        customer=customer, archived=archived, user=request.user, now=timezone.now()
    )
    messages.info(
        request, f"{customer.name} is archived." if archived else f"{customer.name} is back."
    )
    return _see("profile", slug)


@allowed(actions.OWN)
@form_page
def contact(request: PortalRequest, slug: str, pk: int | None = None) -> HttpResponse:
    """Add a contact, or change one."""
    customer = _customer(request, slug)
    found = get_object_or_404(customer.contacts, pk=pk) if pk else None
    form = ContactForm(_posted(request), instance=found)
    if request.method == "POST" and form.is_valid():
        try:
            actions.save_contact(
                customer=customer,
                contact=found,
                values=form.cleaned_data,
                user=request.user,
                now=timezone.now(),
            )
        except actions.UnableToSave as problem:
            _show(form, problem)
        else:
            return _see("profile", slug)
    context = {
        "form": form, "customer": customer, "contact": found, "zones": zone_options(),
        "kept": bool(found and actions.is_part_of_the_record(found)),
    }  # fmt: skip
    return render(
        request, "customers/contact.html", context, status=422 if request.method == "POST" else 200
    )


@allowed(actions.OWN)
@require_POST
def remove_contact(request: PortalRequest, slug: str, pk: int) -> HttpResponse:
    """Remove a contact; one whom we have written to stays, and gets no more mail."""
    customer = _customer(request, slug)
    found = get_object_or_404(customer.contacts, pk=pk)
    gone = actions.remove_contact(
        customer=customer, contact=found, user=request.user, now=timezone.now()
    )
    words = f"{found.name} is no contact any more."
    if not gone:
        words = f"{found.name} stays in the record of what we sent, and gets no more mail from us."
    messages.info(request, words)
    return _see("profile", slug)


@allowed(actions.EDIT)
@form_page
def imports(request: PortalRequest) -> HttpResponse:
    """Take a file, and say what a file may hold."""
    form = ImportForm(_posted(request), request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            if file.size > sheet.MOST_BYTES:
                raise actions.UnableToImport(
                    f"The file has more than {sheet.MOST_BYTES >> 20} MiB. Split it into several files."
                )
            found = actions.begin_import(
                name=file.name, content=file.read(), user=request.user, now=timezone.now()
            )
        except actions.Refused as problem:
            form.add_error("file", str(problem))
        else:
            _at_once(found)
            return _see("import_report", found.pk)
    context = {
        "form": form,
        "recent": CustomerImport.objects.select_related("by").defer("content").order_by("-pk")[:10],
        "columns": [("key", columns.KEY), *columns.RECORDS.items()],
        "most_mib": sheet.MOST_BYTES >> 20,
        "most_lines": sheet.MOST_LINES,
    }
    return render(
        request, "customers/import.html", context, status=422 if request.method == "POST" else 200
    )


@allowed(actions.EDIT)
@require_safe
def import_report(request: PortalRequest, pk: int) -> HttpResponse:
    """Show what a file would change, or what it did, line by line."""
    found = get_object_or_404(CustomerImport.objects.defer("content").select_related("by"), pk=pk)
    counts = {outcome: found.counts.get(outcome, 0) for outcome in (BAD, NEW, CHANGED, SAME)}
    which = request.GET.get("show", "")
    if which not in counts:
        which = next((outcome for outcome, count in counts.items() if count), BAD)
    lines = found.lines.filter(outcome=which).order_by("number", "pk")
    columns_of = list(
        lines.order_by("column").values("column").annotate(count=Count("pk"))
        if which == BAD
        else []
    )
    column = request.GET.get("column")
    if column is not None and column in {one["column"] for one in columns_of}:
        lines = lines.filter(column=column)
    else:
        column = None
    context = {
        "found": found,
        "counts": counts,
        "takes": counts[NEW] + counts[CHANGED],
        "which": which,
        "working": found.state in {*jobs.WORKING, *jobs.WORKING.values()},
        "percent": found.progress if found.state in jobs.WORKING else None,
        "waits": found.state == ImportState.CHECKED,
        "tabs": [
            {"label": WORDS[one], "href": f"?show={one}", "current": one == which, "count": count}
            for one, count in counts.items()
        ],
        "filters": [
            {"label": "All columns", "href": f"?show={which}", "current": column is None},
            *(
                {
                    "label": one["column"] or "The whole line",
                    "href": f"?{urlencode({'show': which, 'column': one['column']})}",
                    "current": one["column"] == column,
                    "count": one["count"],
                }
                for one in columns_of
            ),
        ]
        if len(columns_of) > 1
        else [],
        "page": Paginator(lines, 100).get_page(request.GET.get("page")),
    }
    return render_partial(request, "customers/report.html", "report", context)


@allowed(actions.EDIT)
@require_safe
def bad_lines(request: PortalRequest, pk: int) -> HttpResponseBase:
    """Stream the bad lines of a file: which, why, and what to do."""
    found = get_object_or_404(CustomerImport.objects.defer("content"), pk=pk)
    names = ("number", "record", "who", "column", "reason", "hint")
    rows = found.lines.filter(outcome=BAD).order_by("number", "pk").values_list(*names)
    return StreamingHttpResponse(
        sheet.plain_rows(("line", *names[1:]), rows.iterator(chunk_size=2_000)),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="bad-lines-{pk}.csv"',
            "Cache-Control": "no-store",
        },
    )


@allowed(actions.EDIT)
@require_POST
def apply_import(request: PortalRequest, pk: int) -> HttpResponse:
    """Apply the good lines of a file that was read."""
    return _decide(request, pk, actions.confirm_import)


@allowed(actions.EDIT)
@require_POST
def discard_import(request: PortalRequest, pk: int) -> HttpResponse:
    """Forget a file that was read."""
    return _decide(request, pk, actions.discard_import)


@allowed(actions.EDIT)
@require_safe
def export(request: PortalRequest) -> HttpResponseBase:
    """Stream customers as a file that imports again without a change: those of the list's filters, else all."""
    wishes = CustomerFilter(request.GET, user=request.user).wishes() | {"sort": ""}
    customers = Customer.objects.visible_to(request.user)
    if any(wishes.values()):
        customers = customers.filter(pk__in=customer_list(request.user, **wishes).values("pk"))
    rows = exporting.rows(customers)
    return StreamingHttpResponse(
        sheet.write(rows),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": 'attachment; filename="customers.csv"',
            "Cache-Control": "no-store",
        },
    )


def _decide(request: PortalRequest, pk: int, decide: Any) -> HttpResponse:
    found = get_object_or_404(CustomerImport.objects.defer("content"), pk=pk)
    try:
        decide(found=found, user=request.user, now=timezone.now())
    except actions.UnableToImport as problem:
        messages.warning(request, str(problem))
    else:
        _at_once(found)
    return _see("import_report", pk)


def _posted(request: PortalRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _at_once(found: CustomerImport) -> None:
    """Do a small file while the person waits; a large one is the worker's."""
    if found.size <= jobs.SMALL:
        jobs.run_next(clock=timezone.now, only=found.pk)


def _show(form: Any, problem: actions.UnableToSave) -> None:
    for name, errors in problem.errors.items() or {"": [str(problem)]}.items():
        for error in errors:
            form.add_error(name if name in form.fields else None, error)


def _customer(request: PortalRequest, slug: str) -> Customer:
    rows = Customer.objects.visible_to(request.user).select_related("parent", "account_manager")
    return get_object_or_404(rows, slug=slug)


def _see(page: str, *args: Any) -> HttpResponse:
    return SeeOther(reverse(f"customers:{page}", args=args))
