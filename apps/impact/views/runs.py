"""Windows that somebody asks for by themselves: what happened to customers then, incident or not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther, render_partial
from apps.impact import actions, queries
from apps.impact.forms import WindowForm
from apps.impact.models import ImpactRun, ImpactSnapshot, RunState
from apps.impact.views.details import Subject, attempts_page, compare_page, customers_page
from apps.telemetry import queries as telemetry

MOST_CUSTOMERS = 20
MOST_ANSWERS = 100
"""To one question, that can be chosen from."""


@allowed("console")
@require_safe
def runs(request: PortalRequest) -> HttpResponse:
    """List the windows asked for, the latest first."""
    return render(
        request,
        "impact/runs.html",
        {
            "page": Paginator(queries.runs_apart(), 25).get_page(request.GET.get("page")),
            "may_ask": request.user.can("incident.edit"),
            "now": timezone.now(),
        },
    )


@allowed("incident.edit")
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: PortalRequest) -> HttpResponse:
    """Ask for a window; one that waits already is led to."""
    now = timezone.now()
    if request.method != "POST":
        end = now.replace(minute=0, second=0, microsecond=0)
        first = {"window_from": end - timedelta(hours=1), "window_to": end}
        return _form(request, WindowForm(initial=first))
    form = WindowForm(request.POST)
    if form.is_valid():
        try:
            run = _ask(request, now=now, **form.cleaned_data)
        except actions.UnableToRequestRun as problem:
            form.add_error(None, str(problem))
        else:
            return SeeOther(reverse("runs:run", args=[run.pk]))
    return _form(request, form, status=422)


@allowed("console")
@require_safe
def run_page(request: PortalRequest, pk: int) -> HttpResponse:
    """Show how far a computation is, and what it found."""
    run = _run(pk)
    impact = queries.impact_of_run(run, request.user)
    rows, total, charts = queries.details_of(
        impact,
        request.user,
        sort=(sort := request.GET.get("sort", "-gave_up")),
        most=MOST_CUSTOMERS,
    )
    return render_partial(
        request,
        "impact/run.html",
        "run",
        {
            "run": run,
            "impact": impact,
            "rows": rows,
            "total": total,
            "picture": charts[0] if charts else None,
            "pictures": [one for one in charts[1:] if one],
            "sort": sort,
            "waiting": run.state in {RunState.QUEUED, RunState.RUNNING},
            "may_ask": request.user.can("incident.edit"),
            "answers": queries.snapshots_of(run).count(),
            "declare": _declare_address(run) if request.user.can("incident.declare") else "",
            "now": timezone.now(),
        },
    )


@allowed("console")
@require_safe
def customers(request: PortalRequest, pk: int) -> HttpResponse:
    """Show what happened to every customer that this person may see."""
    run = _run(pk)
    return customers_page(request, _subject(run), _answer(run))


@allowed("console")
@require_safe
def attempts(request: PortalRequest, pk: int) -> HttpResponse:
    """Show some of the attempts under a number, request by request, of the customers that this person may see."""
    run = _run(pk)
    return attempts_page(request, _subject(run), _answer(run))


@allowed("console")
@require_safe
def compare(request: PortalRequest, pk: int) -> HttpResponse:
    """Show this answer beside another one to the same question: more may have arrived in between."""
    run = _run(pk)
    every = queries.snapshots_of(run)
    return compare_page(request, _subject(run), list(every[:MOST_ANSWERS]), every)


@allowed("incident.edit")
@require_POST
def cancel(request: PortalRequest, pk: int) -> HttpResponse:
    """Stop a computation that has not ended."""
    run = _run(pk)
    if not actions.cancel_run(run=run, now=timezone.now(), user=request.user):
        messages.info(request, "It had ended already.")
    return SeeOther(reverse("runs:run", args=[pk]))


@allowed("incident.edit")
@require_POST
def again(request: PortalRequest, pk: int) -> HttpResponse:
    """Ask for the same window once more: more may be known by now."""
    run = _run(pk)
    try:
        new = _ask(
            request,
            now=timezone.now(),
            window_from=run.window_from,
            window_to=run.window_to,
            service=run.service,
        )
    except actions.UnableToRequestRun as problem:
        messages.warning(request, str(problem))
        new = run
    return SeeOther(reverse("runs:run", args=[new.pk]))


def _ask(request: PortalRequest, *, now: datetime, **window: Any) -> ImpactRun:
    span = telemetry.data_span()
    first = datetime.fromtimestamp(span[0] / 1000, UTC) if span else None
    try:
        return actions.ask_run(first_event=first, user=request.user, now=now, **window)
    except actions.AskedAlready as known:
        messages.info(request, "This window was asked for already.")
        return known.run


def _run(pk: int) -> ImpactRun:
    return get_object_or_404(
        ImpactRun.objects.filter(apart=True).select_related("service", "requested_by"), pk=pk
    )


def _answer(run: ImpactRun) -> ImpactSnapshot | None:
    return queries.snapshots_of(run).filter(run=run).first()


def _subject(run: ImpactRun) -> Subject:
    zone = timezone.get_current_timezone()
    first, last = run.window_from.astimezone(zone), run.window_to.astimezone(zone)
    until = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%-d %B %H:%M}"
    return Subject(
        row=run,
        name=f"window {run.pk}",
        title=f"{first:%-d %B %Y %H:%M} to {until}",
        href=reverse("runs:run", args=[run.pk]),
        back="Back to the window",
        attempts_href=reverse("runs:attempts", args=[run.pk]),
    )


def _declare_address(run: ImpactRun) -> str:
    window = {"started_at": f"{run.window_from:%Y-%m-%dT%H:%M:%S}"}
    if run.service:
        window["services"] = str(run.service.pk)
    return f"{reverse('incidents:declare')}?{urlencode(window)}"


def _form(request: PortalRequest, form: WindowForm, *, status: int = 200) -> HttpResponse:
    return render(request, "impact/ask.html", {"form": form}, status=status)
