"""Pages of guidance: the error page for everyone, the editor for staff."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.customers.models import Kind
from apps.guidance import actions, defaults, errors, queries
from apps.guidance.codes import is_well_formed
from apps.guidance.forms import AdviceForm, CodeForm
from apps.guidance.models import Advice
from apps.guidance.queries import Advices

ANYONE = "anyone"  # how "no kind" is spelled in an address


@login_not_required
@require_safe
def error(request: HttpRequest, code: str = "") -> HttpResponse:
    """Answer what to do about an error. Rendered files answer first; this serves what they do not have yet."""
    try:
        asked = errors.question(request.META, code=code)
    except errors.BadQuestion as problem:
        return _sent(errors.refusal(problem))
    try:
        advices, known = queries.advices(), queries.known_problems()
    except DatabaseError:
        advices, known = Advices([]), None
    advice = advices.about(asked.code, asked.kind)
    page = errors.build(
        advice or defaults.general(),
        known=known,
        name=settings.PORTAL_NAME,
        url=settings.PORTAL_URL,
        status=200 if advice else 404,
    )
    return _sent(errors.answer(page, asked))


def _sent(answer: errors.Answer) -> HttpResponse:
    response = HttpResponse(answer.body, status=answer.status)
    for name, value in answer.headers:
        response[name] = value
    return response


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    advice: Advice
    kind: str  # as in the address
    label: str
    ours: bool  # written here, not the portal's own


@allowed("console")
@require_safe
def listing(request: PortalRequest) -> HttpResponse:
    """List all advice, ours and the portal's own."""
    rows = [
        Row(
            advice=advice,
            kind=advice.kind or ANYONE,
            label=advice.get_kind_display() if advice.kind else "Anyone",
            ours=advice.pk is not None,
        )
        for advice in queries.advices().each()
    ]
    return render(
        request,
        "guidance/list.html",
        {"rows": rows, "may_edit": request.user.can("guidance.edit")},
    )


@allowed("guidance.edit")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    """Choose the code and the kind of customer to write about."""
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return redirect(
            "guidance:edit",
            code=form.cleaned_data["code"],
            kind=form.cleaned_data["kind"] or ANYONE,
        )
    return render(
        request, "guidance/new.html", {"form": form}, status=422 if form.is_bound else 200
    )


@allowed("console")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: PortalRequest, code: str, kind: str) -> HttpResponse:
    """Show the advice on a code for a kind of customer, and change it."""
    whose = "" if kind == ANYONE else kind
    if not is_well_formed(code) or whose not in queries.KINDS:
        raise Http404
    may_edit = request.user.can("guidance.edit")
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    advice = queries.advice_for(code, whose)
    form = AdviceForm(request.POST or None, initial=_initial(advice))
    if request.method == "POST" and form.is_valid():
        try:
            actions.save_advice(
                by=request.user, now=timezone.now(), code=code, kind=whose, **form.cleaned_data
            )
        except actions.InvalidAdvice as problem:
            form.add_error(None, str(problem))
        else:
            label = Kind(whose).label.lower() if whose else "anyone"
            messages.info(request, f"Advice on {code} for {label} is kept. It shows in a moment.")
            return redirect("guidance:list")
    return render(
        request,
        "guidance/edit.html",
        {
            "form": form,
            "code": code,
            "kind": whose,
            "label": Kind(whose).label if whose else "Anyone",
            "advice": advice,
            # What stands in the form came from the portal, from "anyone", or from the code's class.
            "own": advice is not None and _is_row(advice, code, whose),
            "may_edit": may_edit,
        },
        status=422 if form.is_bound else 200,
    )


def _is_row(advice: Advice, code: str, kind: str) -> bool:
    return bool(advice.pk) and (advice.code, advice.kind) == (code, kind)


def _initial(advice: Advice | None) -> dict[str, object]:
    if advice is None:
        return {}
    return {name: getattr(advice, name) for name in AdviceForm.base_fields}
