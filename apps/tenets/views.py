"""Pages of tenets: what is promised now, how it came to be, and the writing and approving of versions."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.catalog.models import Service
from apps.core.http import SeeOther, form_page
from apps.customers.models import Kind
from apps.tenets import actions, queries
from apps.tenets.actions import MOST_CLAUSES
from apps.tenets.forms.clause_set import PREFIX, ClauseForms, as_written, rearranged
from apps.tenets.forms.clauses import ClauseForm
from apps.tenets.forms.guide import ChoiceOfGuide, GuideForm
from apps.tenets.forms.importing import ImportForm
from apps.tenets.forms.versions import TenetForm, VersionForm
from apps.tenets.guide import Witness, clauses_of, promise_of
from apps.tenets.models import Audience, ClauseKind, Tenet, TenetVersion, VersionState
from apps.tenets.openslo.checking import check
from apps.tenets.openslo.drafting import Drafted, UnableToImport, make_drafts
from apps.tenets.openslo.writing import export
from apps.tenets.wording import difference

MOST_VERSIONS = 99_999
MOST_JOURNEYS = 12


@allowed("console")
@require_safe
def listing(request: PortalRequest) -> HttpResponse:
    """Show what is promised to each kind of customer; ?kind= and ?review=due narrow it."""
    today = timezone.now().date()
    kind = request.GET.get("kind", "")
    kind = kind if kind in Kind.values else ""
    due = request.GET.get("review") == "due"
    found = queries.tenets(kind=kind, due_by=today + queries.SOON if due else None)
    page = Paginator(found, 25).get_page(request.GET.get("page"))
    return render(
        request,
        "tenets/list.html",
        {
            "page": page,
            "kinds": queries.by_kind(page.object_list, today=today),
            "tabs": _tabs(kind, due=due),
            "narrowed": kind or due,
            "may_write": request.user.can(actions.WRITE),
        },
    )


def _tabs(kind: str, *, due: bool) -> list[dict[str, Any]]:
    listed = reverse("tenets:list")
    return [
        {"label": "All", "href": listed, "current": not kind and not due},
        *(
            {"label": label, "href": f"{listed}?kind={value}", "current": kind == value}
            for value, label in Kind.choices
        ),
        {"label": "Review due", "href": f"{listed}?review=due", "current": due},
    ]


@allowed("console")
@require_safe
def detail(request: PortalRequest, slug: str) -> HttpResponse:
    """Show a tenet's versions and, in words, what one changed of another (?from=1&to=2)."""
    tenet = _tenet(slug)
    found = queries.versions_of(tenet)
    page = Paginator(found, 10).get_page(request.GET.get("page"))
    versions = list(page.object_list)
    new = _chosen(found, versions, request.GET.get("to")) or (versions[0] if versions else None)
    old = _chosen(found, versions, request.GET.get("from"))
    if new and old is None:
        old = next((one for one in versions if one.number < new.number), None)
    approvers = queries.who_can_approve(versions)
    return render(
        request,
        "tenets/detail.html",
        {
            "tenet": tenet,
            "page": page,
            "versions": queries.version_rows(versions, user=request.user),
            "numbers": list(tenet.versions.order_by("-number").values_list("number", flat=True)),
            "old": old,
            "new": new,
            "diff": difference(old, new, names=request.user.is_staff) if new and old else [],
            "may_write": request.user.can(actions.WRITE),
            "may_approve": request.user.can(actions.APPROVE),
            "approvers": [one.name for one in approvers[: queries.MOST_APPROVERS]],
            "more_approvers": max(0, len(approvers) - queries.MOST_APPROVERS),
            "may_invite": request.user.can("people.manage"),
            "state": {one.state for one in versions},
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
    """Write the next version, beginning with the words of the newest; save it, or give it for review at once.

    A button named edit adds, moves or removes a clause: the form comes back so, and nothing is saved.
    """
    tenet = _tenet(slug)
    newest = queries.versions_of(tenet).first()
    clauses: Any
    invalid, lookout = False, None
    if request.method == "POST" and "edit" in request.POST:
        typed = request.POST
        form = VersionForm(initial={name: typed.get(name) for name in VersionForm.base_fields})
        written, lookout = rearranged(
            as_written(typed), edit=typed["edit"], kind=typed.get("new_kind", "")
        )
        clauses = _clauses(tenet, written)
    elif request.method == "POST":
        form = VersionForm(request.POST)
        clauses = ClauseForms(request.POST, form_kwargs={"service": tenet.service}, prefix=PREFIX)
        if _kept(request, tenet, form, clauses):
            return _see(slug)
        invalid = True
    else:
        form = VersionForm(initial=VersionForm.values_of(newest) if newest else None)
        held = newest.clauses.all() if newest else ()
        clauses = _clauses(tenet, [ClauseForm.values_of(one) for one in held])
    return render(
        request,
        "tenets/write.html",
        {
            "tenet": tenet,
            "newest": newest,
            "form": form,
            "clauses": clauses,
            "lookout": lookout,
            "kinds": ClauseKind.choices,
            "most": MOST_CLAUSES,
        },
        status=422 if invalid else 200,
    )


def _clauses(tenet: Tenet, initial: list[dict[str, Any]]) -> Any:
    return ClauseForms(initial=initial, form_kwargs={"service": tenet.service}, prefix=PREFIX)


def _kept(request: PortalRequest, tenet: Tenet, form: VersionForm, clauses: Any) -> bool:
    """Keep the draft, and give it for review if the button says so; say whether that could be done."""
    if not (form.is_valid() & clauses.is_valid()):
        return False
    now = timezone.now()
    try:
        with transaction.atomic():
            version = actions.draft_version(
                tenet=tenet,
                clauses=clauses.drafts(),
                user=request.user,
                now=now,
                **form.cleaned_data,
            )
            if request.POST.get("do") == "submit":
                actions.submit_version(version=version, user=request.user, now=now)
    except actions.Refused as problem:
        form.add_error(None, str(problem))
        return False
    return True


@allowed(actions.WRITE)
@form_page
def guide(request: PortalRequest, witness: Witness | None = None) -> HttpResponse:
    """Ask what a kind of customer can bear of a service, and make a draft of the answers.

    `witness` says what traffic shows today; it is given by an app that can read traffic.
    """
    choice = ChoiceOfGuide(request.GET or None)
    if not choice.is_valid():
        return render(
            request,
            "tenets/guide.html",
            {"choice": choice},
            status=422 if choice.is_bound else 200,
        )
    kind, service = choice.cleaned_data["kind"], choice.cleaned_data["service"]
    journeys = list(queries.journeys_of(service.pk)[:MOST_JOURNEYS])
    data = request.POST if request.method == "POST" else None
    form = GuideForm(data, kind=kind, journeys=journeys)
    if request.method == "POST" and form.is_valid():
        try:
            tenet = _guided(request, form, service=service, kind=kind)
        except actions.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return _see(tenet.slug, "write")
    evidence = witness(kind=kind, journeys=journeys) if witness and journeys else {}
    asked, tolerances = queries.tolerances(kind=kind, user=request.user)
    return render(
        request,
        "tenets/guide.html",
        {
            "choice": choice,
            "form": form,
            "rows": list(form.rows(evidence)),
            "service": service,
            "kind": Kind(kind),
            "asked": asked,
            "tolerances": tolerances,
        },
        status=422 if form.is_bound and form.errors else 200,
    )


@transaction.atomic
def _guided(request: PortalRequest, form: GuideForm, *, service: Service, kind: str) -> Tenet:
    """Make the draft, of a tenet for this kind and service, opened if there is none."""
    now, name = timezone.now(), f"{service.name} for {Kind(kind).label.lower()}"
    answers = {journey: form.answers(journey) for journey in form.journeys}
    clauses = [one for journey in answers for one in clauses_of(journey, answers[journey])]
    promised = [journey for journey in answers if clauses_of(journey, answers[journey])]
    tenet = Tenet.objects.filter(slug=slugify(name)[:100]).first()
    if tenet is None:
        tenet = actions.create_tenet(
            slug=slugify(name)[:100],
            name=name[:200],
            service=service,
            kind=kind,
            user=request.user,
            now=now,
        )
    elif tenet.service_id != service.pk or tenet.kind != kind:
        raise actions.UnableToCreate(f"A tenet called {name} is about something else.")
    elif tenet.versions.filter(state=VersionState.DRAFT).exists():
        raise actions.UnableToDraft(f"{tenet.name} has a draft already: edit that one.")
    actions.draft_version(
        tenet=tenet,
        promise=promise_of(promised, [answers[journey] for journey in promised]),
        clauses=clauses,
        review_every_months=6,
        user=request.user,
        now=now,
    )
    return tenet


@allowed(actions.WRITE)
@form_page
def import_(request: PortalRequest) -> HttpResponse:
    """Check a file of OpenSLO and say what is wrong with each line; then make drafts of it."""
    asked = request.method == "POST"
    form = ImportForm(request.POST, request.FILES) if asked else ImportForm()
    context: dict[str, Any] = {"form": form}
    if request.method == "POST" and form.is_valid():
        data, make = form.cleaned_data, request.POST.get("do") == "make"
        report = check(data["source"])
        problems, made = list(report.problems), []
        if not report.refused:
            try:
                made = make_drafts(
                    report=report,
                    user=request.user,
                    now=timezone.now(),
                    kind=data["kind"],
                    add_services=data["add_services"],
                    dry=not make,
                )
            except UnableToImport as refused:
                problems += refused.problems
        if make and made:
            for one in made:
                messages.info(request, _became(one))
            return _see(made[0].version.tenet.slug) if len(made) == 1 else _listed()
        # What holds a secret is not shown again; everything else comes back to be made of.
        source = "" if report.secret else data["source"]
        context |= {
            "form": ImportForm(initial={**data, "file": None, "text": source}),
            "report": report,
            "problems": problems,
            "would": made,
            "refused": any(one.error for one in problems),
        }
    status = 422 if request.method == "POST" and (form.errors or context.get("refused")) else 200
    return render(request, "tenets/import.html", context, status=status)


def _became(one: Drafted) -> str:
    name, number = one.version.tenet.name, one.version.number
    if one.changed:
        return f"{name}: version {number} is a draft now."
    return f"{name}: version {number} says the same already."


@allowed("console")
@require_safe
def openslo(request: PortalRequest, slug: str, number: int) -> HttpResponse:
    """Give a version as a file of OpenSLO."""
    version = _chosen(queries.versions_of(_tenet(slug)), [], str(number))
    if version is None:
        raise Http404
    if version.audience == Audience.NAMED and not request.user.is_staff:
        raise PermissionDenied  # it names customers that may not be theirs
    answer = HttpResponse(export(version), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{slug}-{number}.openslo.yaml"'
    return answer


@allowed("console")
@require_POST
def decide(request: PortalRequest, slug: str, number: int) -> HttpResponse:
    """Submit, return, activate or withdraw a version, as the button says."""
    tenet = _tenet(slug)
    version = _chosen(queries.versions_of(tenet), [], str(number))
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
        return queries.tenet_named(slug=slug)
    except Tenet.DoesNotExist:
        raise Http404 from None


def _chosen(
    found: QuerySet[TenetVersion], shown: list[TenetVersion], number: str | None
) -> TenetVersion | None:
    """Return the version of this number, of those on the page if it is among them."""
    if not number or not number.isdecimal() or len(number) > len(str(MOST_VERSIONS)):
        return None
    on_page = next((one for one in shown if one.number == int(number)), None)
    return on_page or found.filter(number=int(number)).first()


def _listed() -> HttpResponse:
    return SeeOther(reverse("tenets:list"))


def _see(slug: str, page: str = "detail") -> HttpResponse:
    return SeeOther(reverse(f"tenets:{page}", args=[slug]))
