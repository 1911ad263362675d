"""Pages of tenets: what is promised now, how it came to be, and the writing and approving of versions."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.tenets import actions, queries
from apps.tenets.forms import MOST_CLAUSES, ClauseForm, ClauseForms, TenetForm, VersionForm
from apps.tenets.models import Tenet, TenetVersion, VersionState

form_page = require_http_methods(["GET", "HEAD", "POST"])


@allowed("console")
@require_safe
def listing(request: PortalRequest) -> HttpResponse:
    """Show what is promised to each kind of customer."""
    kinds = queries.by_kind(today=timezone.now().date())
    return render(
        request,
        "tenets/list.html",
        {
            "kinds": kinds,
            "any": any(kind.rows for kind in kinds),
            "may_write": request.user.can(actions.WRITE),
        },
    )


@allowed("console")
@require_safe
def detail(request: PortalRequest, slug: str) -> HttpResponse:
    """Show a tenet's versions and, in words, what one changed of another (?from=1&to=2)."""
    tenet = _tenet(slug)
    versions = list(tenet.versions.all())
    new = _version(versions, request.GET.get("to")) or (versions[0] if versions else None)
    old = _version(versions, request.GET.get("from"))
    if new and old is None:
        old = next((one for one in versions if one.number < new.number), None)
    return render(
        request,
        "tenets/detail.html",
        {
            "tenet": tenet,
            "versions": [
                {"version": one, "clauses": [queries.clause_in_words(c) for c in one.clauses.all()]}
                for one in versions
            ],
            "old": old,
            "new": new,
            "diff": queries.difference(old, new) if new and old else [],
            "may_write": request.user.can(actions.WRITE),
            "may_approve": request.user.can(actions.APPROVE),
            "writing": any(one.state == VersionState.DRAFT for one in versions),
            "reviewing": any(one.state == VersionState.IN_REVIEW for one in versions),
            "today": timezone.now().date(),
        },
    )


@allowed(actions.WRITE)
@form_page
def new(request: PortalRequest) -> HttpResponse:
    """Open a tenet."""
    form = TenetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            tenet = actions.create_tenet(
                slug=slugify(form.cleaned_data["name"]),
                user=request.user,
                now=timezone.now(),
                **form.cleaned_data,
            )
        except actions.UnableToCreate as problem:
            form.add_error(None, str(problem))
        else:
            return _see(tenet.slug, "write")
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "tenets/new.html", {"form": form}, status=status)


@allowed(actions.WRITE)
@form_page
def write(request: PortalRequest, slug: str) -> HttpResponse:
    """Write the next version, beginning with the words of the newest."""
    tenet = _tenet(slug)
    newest = tenet.versions.first()
    if request.method == "POST":
        form = VersionForm(request.POST)
        clauses = ClauseForms(request.POST, form_kwargs={"service": tenet.service}, prefix="clause")
    else:
        form = VersionForm(initial=VersionForm.values_of(newest) if newest else None)
        clauses = ClauseForms(
            initial=[ClauseForm.values_of(one) for one in newest.clauses.all()][:MOST_CLAUSES]
            if newest
            else None,
            form_kwargs={"service": tenet.service},
            prefix="clause",
        )
    invalid = request.method == "POST" and not _kept(request, tenet, form, clauses)
    if request.method == "POST" and not invalid:
        return _see(slug)
    return render(
        request,
        "tenets/write.html",
        {"tenet": tenet, "newest": newest, "form": form, "clauses": clauses},
        status=422 if invalid else 200,
    )


def _kept(request: PortalRequest, tenet: Tenet, form: VersionForm, clauses: Any) -> bool:
    """Keep the draft; say whether it could be kept."""
    if not (form.is_valid() & clauses.is_valid()):
        return False
    try:
        actions.draft_version(
            tenet=tenet,
            clauses=clauses.drafts(),
            user=request.user,
            now=timezone.now(),
            **form.cleaned_data,
        )
    except actions.UnableToDraft as problem:
        form.add_error(None, str(problem))
        return False
    return True


@allowed("console")
@require_POST
def decide(request: PortalRequest, slug: str, number: int) -> HttpResponse:
    """Submit, return, activate or withdraw a version, as the button says."""
    tenet = _tenet(slug)
    version = _version(list(tenet.versions.all()), str(number))
    if version is None:
        raise Http404
    now, user = timezone.now(), request.user
    try:
        match request.POST.get("do"):
            case "submit":
                actions.submit_version(version=version, user=user, now=now)
            case "return":
                actions.return_version(version=version, user=user, now=now)
            case "activate":
                actions.activate(version=version, approver=user, now=now)
            case "withdraw":
                actions.withdraw_version(version=version, user=user, now=now)
            case _:
                messages.warning(request, "Choose what to do with the version.")
    except actions.Refused as problem:
        messages.warning(request, str(problem))
    return _see(slug)


def _tenet(slug: str) -> Tenet:
    try:
        return queries.tenet_with_versions(slug=slug)
    except Tenet.DoesNotExist:
        raise Http404 from None


def _version(versions: list[TenetVersion], number: str | None) -> TenetVersion | None:
    return next((one for one in versions if str(one.number) == number), None)


def _see(slug: str, page: str = "detail") -> HttpResponse:
    response = HttpResponseRedirect(reverse(f"tenets:{page}", args=[slug]))
    response.status_code = 303
    return response
