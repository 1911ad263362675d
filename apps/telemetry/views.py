"""Pages of identification: the rules, a trial of them, and how much traffic belongs to somebody we can name."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther, form_page
from apps.customers.models import Attribute, IdentificationRule
from apps.telemetry import actions, jobs, queries, trial
from apps.telemetry.forms import RuleForm, TrialForm
from apps.telemetry.resolve.checks import shadows
from apps.telemetry.resolve.identities import hash_in
from apps.telemetry.resolve.unnamed import AGENT

PAGE = 50


@dataclass(frozen=True)
class Row:
    """A rule as the list shows it."""

    rank: int
    rule: IdentificationRule
    shadow: Any = None  # the earlier rule that takes all its requests
    harmless: bool = False  # ... for the same customer
    first: bool = False
    last: bool = False


@allowed(actions.READ)
@require_safe
def listing(request: PortalRequest) -> HttpResponse:
    """List the rules in the order in which they are asked."""
    page = Paginator(queries.rules_in_order(), PAGE).get_page(request.GET.get("page"))
    earlier = queries.shadows_of(page.object_list)
    rows = [
        Row(
            rank=rank,
            rule=rule,
            shadow=(shadow := earlier.get(rule.pk)),
            harmless=shadow is not None and shadow.customer == rule.customer_id,
            first=rank == 1,
            last=rank == page.paginator.count,
        )
        for rank, rule in enumerate(page.object_list, page.start_index())
    ]
    context = {"page": page, "rows": rows, "may_edit": request.user.can(actions.EDIT)}
    return render(request, "telemetry/rules.html", context)


@allowed(actions.EDIT)
@form_page
def new(request: PortalRequest) -> HttpResponse:
    """Write a rule; ?attribute=, value= and customer= fill the form."""
    given = request.GET
    initial = {name: given[name] for name in ("customer", "value") if name in given}
    if given.get("attribute") in Attribute.values:
        initial["attribute"] = given["attribute"]
    return _rule_form(request, None, initial)


@allowed(actions.EDIT)
@form_page
def edit(request: PortalRequest, rule: int) -> HttpResponse:
    """Change a rule."""
    one = _rule(rule)
    return _rule_form(request, one, RuleForm.values_of(one))


def _rule_form(
    request: PortalRequest, one: IdentificationRule | None, initial: dict[str, Any]
) -> HttpResponse:
    posted = request.method == "POST"
    form = RuleForm(request.POST if posted else None, initial=initial, user=request.user)
    kept = _kept(request, form, one.pk if one else None) if posted else None
    if kept is not None:
        _tell(request, kept)
        return _see("rules:list")
    context = {"form": form, "offered": form.offered(), "rule": one}
    return render(request, "telemetry/rule.html", context, status=422 if posted else 200)


def _kept(request: PortalRequest, form: RuleForm, rule: int | None) -> IdentificationRule | None:
    """Keep what was typed; None when it could not be kept, which the form then says."""
    if not form.is_valid():
        return None
    now, user = timezone.now(), request.user
    try:
        if rule is None:
            return actions.create_rule(draft=form.draft(), user=user, now=now)
        return actions.change_rule(rule=rule, draft=form.draft(), user=user, now=now)
    except actions.UnableToKeepRule as problem:
        form.add_error(problem.field, str(problem))
    except IdentificationRule.DoesNotExist:
        raise Http404 from None
    return None


def _tell(request: PortalRequest, rule: IdentificationRule) -> None:
    """Say from when the rule holds, and whether an earlier one leaves it nothing to do."""
    what = f"{rule.get_attribute_display()} {rule.value}"
    if not rule.enabled:
        messages.info(request, f"The rule is kept and switched off: {what}.")
        return
    messages.info(
        request,
        f"{what}: requests that come in from now on belong to {rule.customer.name}."
        " What is stored stays as it is.",
    )
    if earlier := shadows(queries.ranked_rules(), [rule.pk]).get(rule.pk):
        messages.warning(
            request,
            f"Rule {earlier.rank} ({earlier.value}) is asked before it and matches all of the same"
            " requests, so this one is never reached. Move it up.",
        )


@allowed(actions.EDIT)
@require_POST
def move(request: PortalRequest, rule: int) -> HttpResponse:
    """Move a rule up or down, as the button says."""
    return _either(
        request,
        ("up", "down"),
        "Choose whether the rule moves up or down.",
        lambda up: actions.move_rule(rule=rule, up=up, user=request.user, now=timezone.now()),
    )


@allowed(actions.EDIT)
@require_POST
def switch(request: PortalRequest, rule: int) -> HttpResponse:
    """Switch a rule on or off, as the button says."""
    return _either(
        request,
        ("on", "off"),
        "Choose whether the rule is on or off.",
        lambda on: actions.switch_rule(
            rule=rule, enabled=on, user=request.user, now=timezone.now()
        ),
    )


def _either(
    request: PortalRequest, words: tuple[str, str], ask: str, act: Callable[[bool], object]
) -> HttpResponse:
    """Do what the button says, with whether it was the first of two words; then back to the list."""
    given = request.POST.get("do")
    if given not in words:
        messages.warning(request, ask)
        return _back(request)
    try:
        act(given == words[0])
    except IdentificationRule.DoesNotExist:
        raise Http404 from None
    return _back(request)


@allowed(actions.EDIT)
@require_POST
def delete(request: PortalRequest, rule: int) -> HttpResponse:
    """Delete a rule."""
    try:
        actions.delete_rule(rule=rule, user=request.user, now=timezone.now())
    except IdentificationRule.DoesNotExist:
        raise Http404 from None
    messages.info(request, "The rule is deleted. What it has identified stays identified.")
    return _see("rules:list")


@allowed(actions.READ)
@form_page
def attempt(request: PortalRequest) -> HttpResponse:
    """Say of pasted lines, or of a small file, whose they would be. Nothing is stored."""
    context: dict[str, Any] = {}
    if request.method == "POST":
        form = TrialForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                context["trial"] = trial.attempt(form.data_given(), now=timezone.now())
            except trial.UnableToTry as problem:
                form.add_error(None, f"{problem.message}. {problem.hint}")
    else:
        form = TrialForm()
    failed = request.method == "POST" and "trial" not in context
    context |= {"form": form, "rules": IdentificationRule.objects.count()}
    return render(request, "telemetry/trial.html", context, status=422 if failed else 200)


# The share of traffic that belongs to somebody we can name

#: name in the address -> what the tab says, hours in all, hours of a step
WINDOWS = {"24h": ("24 hours", 24, 1), "7d": ("7 days", 168, 24), "28d": ("28 days", 672, 24)}
GROUPS = 25
SERVICES = 25
MOST_NAMED = 3  # services that a group names


@dataclass(frozen=True)
class Bar:
    """A step of the chart, in units of its viewBox, and what it says."""

    at: datetime
    share: queries.Share
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class GroupRow:
    """A group of unnamed requests, and where one click leads."""

    group: queries.UnnamedGroup
    label: str
    services: str
    more_services: int
    rule_href: str = ""
    customer_href: str = ""


@allowed(actions.READ)
@require_safe
def identification(request: PortalRequest) -> HttpResponse:
    """Show how much traffic belongs to somebody we can name, and what the rest has in common."""
    over = request.GET.get("over", "")
    over = over if over in WINDOWS else "7d"
    _, hours, step = WINDOWS[over]
    latest = queries.latest_hour()
    context: dict[str, Any] = {
        "tabs": [
            {"label": words, "href": f"?over={name}", "current": name == over}
            for name, (words, _, _) in WINDOWS.items()
        ],
        "over": over,
        "may_edit": request.user.can(actions.EDIT),
        "kept_days": jobs.KEPT_DAYS,
    }
    if latest is not None:
        # Whole days where a bar is a day.
        end = latest + 1 if step == 1 else (latest // 24 + 1) * 24
        context |= _shares(end - hours, end, step)
        context |= _groups(request, end - hours, end)
    return render(request, "telemetry/identification.html", context)


def _shares(first: int, end: int, step: int) -> dict[str, Any]:
    by_service = queries.named_by_service(first, end)
    steps = queries.named_over_time(first, end, hours=step)
    width = 600 / len(steps)
    bars = [
        Bar(
            at=_hour(hour),
            share=share,
            x=f"{number * width + width * 0.1:.1f}",
            y=f"{100 - 100 * (share.share or 0):.1f}",
            width=f"{width * 0.8:.1f}",
            height=f"{100 * (share.share or 0):.1f}",
        )
        for number, (hour, share) in enumerate(steps)
    ]
    total = queries.Share(
        sum(share.requests for _, share in steps), sum(share.named for _, share in steps)
    )
    return {
        "total": total,
        "from": _hour(first),
        "to": _hour(end),
        "hourly": step == 1,
        "bars": bars,
        "services": by_service[:SERVICES],
        "more_services": max(len(by_service) - SERVICES, 0),
    }


def _groups(request: PortalRequest, first: int, end: int) -> dict[str, Any]:
    found = queries.unnamed_groups(first // 24, (end - 1) // 24 + 1)
    kinds = {AGENT: "Program", **dict(Attribute.choices)}
    by = request.GET.get("by", "")
    if by in kinds:
        found = [group for group in found if group.attribute == by]
    else:
        found = [group for group in found if group.attribute in Attribute.values]
    page = Paginator(found, GROUPS).get_page(request.GET.get("page"))
    named = {pk for group in page.object_list for pk in group.services[:MOST_NAMED]}
    names = queries.service_names(named)
    may_edit = request.user.can(actions.EDIT)
    return {
        "groups": [
            GroupRow(
                group=group,
                label=kinds.get(group.attribute, group.attribute),
                services=", ".join(
                    names.get(pk, "a deleted one") for pk in group.services[:MOST_NAMED]
                ),
                more_services=max(len(group.services) - MOST_NAMED, 0),
                **(_hrefs(group) if may_edit else {}),
            )
            for group in page.object_list
        ],
        "page": page,
        "by": by if by in kinds else "",
        "kinds": [(name, kinds[name]) for name in queries.EVIDENCE],
    }


def _hrefs(group: queries.UnnamedGroup) -> dict[str, str]:
    """Return where one click leads; nowhere from what no rule can look for."""
    whole = "…" not in group.value or (
        group.attribute == Attribute.API_KEY and hash_in(group.value) is not None
    )
    if group.attribute not in Attribute.values or not whole:
        return {}
    what = {"attribute": group.attribute, "value": group.value}
    name = group.value if group.attribute != Attribute.API_KEY else ""
    return {
        "rule_href": f"{reverse('rules:new')}?{urlencode(what)}",
        "customer_href": f"{reverse('customers:new')}?{urlencode({'name': name} | what)}",
    }


def _hour(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * 3600, UTC)


def _rule(pk: int) -> IdentificationRule:
    found = IdentificationRule.objects.select_related("customer").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _back(request: PortalRequest) -> HttpResponse:
    """Return to the page of the list from which the button was pressed."""
    page = request.POST.get("page", "")
    return _see("rules:list", f"?page={page}" if page.isascii() and page.isdecimal() else "")


def _see(name: str, query: str = "") -> HttpResponse:
    return SeeOther(reverse(name) + query)
