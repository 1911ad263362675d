"""Pages of messages: the list, one message, and what people do with it."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from csp.decorators import csp_update
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther, render_partial
from apps.customers.models import Contact
from apps.outreach import actions, queries
from apps.outreach.content import content_hash, zone
from apps.outreach.forms import ApproveForm, EditForm, ReasonForm, SettleForm
from apps.outreach.mail import greeting_for, picture_inline, render_html
from apps.outreach.models import (
    APPROVED_STATES,
    ENDED,
    TAKEN,
    WAITING,
    Delivery,
    DeliveryState,
    Outreach,
    State,
)

#: A mail brings its own styles and its picture and nothing else; only our own page may frame it.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
)


@require_safe
@allowed("console")
def outreach_list(request: PortalRequest) -> HttpResponse:
    """Show the messages of one tab."""
    counts = queries.tab_counts(request.user)
    tab = request.GET.get("tab", "")
    if tab not in queries.TABS:
        # The first tab in which something waits for somebody.
        tab = next(
            (name for name in ("review", "proposed", "drafts", "sending") if counts[name]), "sent"
        )
    context = {
        "page": Paginator(queries.outreach_list(request.user, tab=tab), 50).get_page(
            request.GET.get("page")
        ),
        "tabs": [
            {"label": words, "href": f"?tab={name}", "current": name == tab, "count": counts[name]}
            for name, (words, _) in queries.TABS.items()
        ],
        "nothing": _NOTHING[tab],
    }
    return render_partial(request, "outreach/list.html", "results", context)


@require_safe
@allowed("console")
def outreach_detail(request: PortalRequest, pk: int) -> HttpResponse:
    """Show one message: to whom, its words, who may approve it, what became of each mail."""
    return _page(request, _get(request, pk))


@require_safe
@xframe_options_sameorigin
@allowed("console")
def preview(request: PortalRequest, pk: int) -> HttpResponse:
    """Show the HTML of the mail as a page that can do nothing: no scripts, no forms, no addresses of ours."""
    outreach = _get(request, pk)
    first = outreach.recipients.order_by("name", "pk").first()
    greeting = greeting_for(first.name if first else "")
    picture_at = picture_inline(outreach)
    page = HttpResponse(render_html(outreach, greeting=greeting, picture_at=picture_at))
    page["Content-Security-Policy"] = PREVIEW_POLICY
    return page


@require_POST
@allowed("outreach.edit")
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    """Save the words and, with the second button, ask for review."""
    outreach = _get(request, pk)
    form = EditForm(request.POST, outreach=outreach)
    if not form.is_valid():
        return _page(request, outreach, form=form, status=422)
    given, now = form.cleaned_data, timezone.now()
    then_submit = request.POST.get("then") == "submit"
    try:
        with transaction.atomic():
            actions.edit(
                outreach=outreach,
                user=request.user,
                subject=given["subject"],
                text=given["text"],
                recipients=list(given["recipients"]),
                incident_version_seen=given["incident_version"],
                snapshot_seen=given["snapshot"],
                content_hash_seen=given["content_hash"] or None,
                drop_picture=given["drop_picture"],
                now=now,
            )
            if then_submit:
                actions.submit(outreach=outreach, user=request.user, now=now)
    except actions.Refused as error:
        return _page(request, outreach, form=form, problem=str(error), status=422)
    messages.info(request, "Saved and waiting for review." if then_submit else "Saved.")
    return _see_other(outreach)


@require_POST
@allowed("outreach.edit")
def write_anew(request: PortalRequest, pk: int) -> HttpResponse:
    """Replace the words by a fresh draft."""
    return _act(request, pk, actions.write_anew, "Written anew from what is known now.")


@require_POST
@allowed("outreach.edit")
def submit(request: PortalRequest, pk: int) -> HttpResponse:
    """Ask for review."""
    return _act(request, pk, actions.submit, "Waiting for review.")


@require_POST
@allowed("outreach.approve")
def approve(request: PortalRequest, pk: int) -> HttpResponse:
    """Approve what the page showed."""
    outreach = _get(request, pk)
    form = ApproveForm(request.POST)
    seen = form.cleaned_data["content_hash"] if form.is_valid() else ""
    given = {"outreach": outreach, "approver": request.user, "content_hash_seen": seen}
    return _answer(
        request, outreach, "Approved. The mails are on their way.", actions.approve, given
    )


@require_POST
@allowed("outreach.approve")
def send_back(request: PortalRequest, pk: int) -> HttpResponse:
    """Give it back to its writer."""
    return _act(request, pk, actions.send_back, "Sent back to its writer.", with_reason=True)


@require_POST
@allowed("outreach.edit")
def pause(request: PortalRequest, pk: int) -> HttpResponse:
    """Hold what has not left."""
    return _act(
        request, pk, actions.pause, "Held. Nothing more leaves until somebody lets it go on."
    )


@require_POST
@allowed("outreach.edit")
def resume(request: PortalRequest, pk: int) -> HttpResponse:
    """Let go on what was held."""
    return _act(request, pk, actions.resume, "Going on.")


@require_POST
@allowed("outreach.edit")
def withdraw(request: PortalRequest, pk: int) -> HttpResponse:
    """Take back what has not left."""
    return _act(request, pk, actions.withdraw, "Withdrawn. It is a draft again.")


@require_POST
@allowed("outreach.edit")
def close(request: PortalRequest, pk: int) -> HttpResponse:
    """End it."""
    return _act(request, pk, actions.close, "Closed.", with_reason=True)


@require_POST
@allowed("outreach.edit")
def settle(request: PortalRequest, pk: int, delivery: int) -> HttpResponse:
    """Say what became of a mail."""
    outreach = _get(request, pk)
    row = get_object_or_404(
        Delivery.objects.select_related("outreach"), pk=delivery, outreach=outreach
    )
    form = SettleForm(request.POST)
    outcome = form.cleaned_data["outcome"] if form.is_valid() else ""
    given = {"delivery": row, "outcome": outcome, "user": request.user}
    return _answer(request, outreach, f"Noted for {row.name}.", actions.settle_unknown, given)


def _get(request: PortalRequest, pk: int) -> Outreach:
    rows = Outreach.objects.visible_to(request.user).select_related(
        "incident", "customer__account_manager", "author", "edited_by", "snapshot__run"
    )
    return get_object_or_404(rows.defer("snapshot__result", "snapshot__overall"), pk=pk)


def _act(
    request: PortalRequest,
    pk: int,
    action: Callable[..., object],
    done: str,
    *,
    with_reason: bool = False,
) -> HttpResponse:
    """Do one thing with a message, with a reason where one is asked for."""
    outreach = _get(request, pk)
    given: dict[str, Any] = {"outreach": outreach, "user": request.user}
    if with_reason:
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return _page(request, outreach, problem="The reason is too long.", status=422)
        given["reason"] = form.cleaned_data["reason"]
    return _answer(request, outreach, done, action, given)


def _answer(
    request: PortalRequest,
    outreach: Outreach,
    done: str,
    action: Callable[..., object],
    given: dict[str, Any],
) -> HttpResponse:
    """Do it now: 303 to the message's page, or its page with what stood in the way and 422."""
    try:
        action(**given, now=timezone.now())
    except actions.Refused as error:
        return _page(request, outreach, problem=str(error), status=422)
    messages.info(request, done)
    return _see_other(outreach)


def _see_other(outreach: Outreach) -> HttpResponse:
    return SeeOther(reverse("outreach:detail", args=[outreach.pk]))


def _page(
    request: PortalRequest,
    outreach: Outreach,
    *,
    form: EditForm | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    recipients = list(outreach.recipients.order_by("name", "pk"))
    deliveries = list(outreach.deliveries.order_by("name", "pk"))
    may_edit = request.user.can("outreach.edit")
    context = {
        "outreach": outreach,
        "incident": outreach.incident,
        "customer": outreach.customer,
        "recipients": recipients,
        "problem": problem,
        "hash": content_hash(outreach, recipients),
        "fresh": queries.freshness(outreach) if outreach.state not in ENDED else None,
        "deliveries": deliveries,
        "greeting": greeting_for(recipients[0].name if recipients else ""),
        "heading": f"To {outreach.customer.name}",
        "lead": f"{outreach.get_purpose_display()}: {outreach.incident.title}",
        "may_edit": may_edit,
        "reason_state": "stale" if _needs_somebody(outreach, deliveries) else "info",
        "preview_note": f"for {recipients[0].name}" if recipients else "",
        "mails_note": _count(deliveries),
        "reply_to": outreach.customer.account_manager
        or outreach.author
        or "the portal's own address",
        **_review(request, outreach),
        **(
            _editor(outreach, recipients, form)
            if may_edit and outreach.state in actions.EDITABLE
            else {}
        ),
        **(_ways(outreach, deliveries) if may_edit else {}),
    }
    # The page shows the mail in a frame; no other page of the console may frame anything.
    framing = csp_update({"frame-src": ["'self'"]})
    return cast(
        "HttpResponse",
        framing(lambda asked: render(asked, "outreach/detail.html", context, status=status))(
            request
        ),
    )


def _editor(
    outreach: Outreach, recipients: Sequence[Contact], form: EditForm | None
) -> dict[str, Any]:
    """Return what the editor shows: the words as stored, or as typed when they were refused."""
    chosen = {str(one.pk) for one in recipients}
    typed = form.data if form else None
    if isinstance(typed, QueryDict):
        chosen = set(typed.getlist("recipients"))
    snapshot = queries.latest_snapshot(outreach.incident)
    return {
        "editable": True,
        # Later, one reads; who wants to change it has to say so first.
        "editor_open": outreach.state in {State.DRAFT, State.STALE, State.EXPIRED},
        "form": form,
        "subject": typed.get("subject", "") if typed else outreach.subject,
        "text": typed.get("text", "") if typed else outreach.text,
        "contacts": [
            (one, str(one.pk) in chosen)
            for one in outreach.customer.contacts.order_by("name", "pk")
        ],
        "snapshot_now": snapshot.values_list("pk", flat=True).first(),
        "latest_mail": queries.latest_mail_to(outreach.customer),
        "their_time": " or ".join(
            sorted(
                {f"{timezone.now().astimezone(zone(one.time_zone)):%H:%M}" for one in recipients}
            )
        ),
    }


def _review(request: PortalRequest, outreach: Outreach) -> dict[str, Any]:
    """Return who approves, who approved, and whether the reader may."""
    wrote_it = request.user.pk in {outreach.author_id, outreach.edited_by_id}
    in_review = outreach.state == State.IN_REVIEW
    return {
        "wrote_it": wrote_it,
        "can_approve": in_review and request.user.can("outreach.approve") and not wrote_it,
        # Whoever takes up a draft of the portal's cannot be the one to approve it.
        "approvers": [
            one
            for one in (queries.who_can_approve(outreach) if outreach.state not in ENDED else [])
            if outreach.author_id or one.pk != request.user.pk
        ],
        "approval": queries.standing_approval(outreach),
        "stands": outreach.state in {*APPROVED_STATES, State.PAUSED},
        "past": outreach.state in ENDED,
    }


def _ways(outreach: Outreach, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    """Return what can be done with the message as it stands."""
    states = {row.state for row in deliveries}
    open_rows = states & {*WAITING, DeliveryState.UNKNOWN}
    return {
        "can_submit": outreach.state in {State.DRAFT, State.STALE, State.EXPIRED},
        "can_pause": outreach.state in APPROVED_STATES and bool(states & set(WAITING)),
        "can_resume": outreach.state == State.PAUSED,
        "can_withdraw": outreach.state in {State.IN_REVIEW, *APPROVED_STATES, State.PAUSED},
        "can_close": outreach.state not in {State.CLOSED, *APPROVED_STATES} and not open_rows,
        "is_sent": outreach.state == State.SENT,
        "ended": outreach.state == State.CLOSED,
    }


def _needs_somebody(outreach: Outreach, deliveries: Sequence[Delivery]) -> bool:
    unknown = any(row.state == DeliveryState.UNKNOWN for row in deliveries)
    return unknown or outreach.state in {State.STALE, State.EXPIRED}


def _count(deliveries: Sequence[Delivery]) -> str:
    taken = sum(row.state in TAKEN for row in deliveries)
    return f"{taken} of {len(deliveries)} accepted" if deliveries else ""


#: What an empty tab says: what would stand there, and what brings it there.
_NOTHING = {
    "proposed": (
        "Nothing proposed",
        "An incident that hits a business or a team, and has a published update, brings a draft here.",
    ),
    "drafts": ("No drafts", "What you change or take back stands here until you ask for review."),
    "review": ("Nothing in review", "A message stands here while another person reads it."),
    "sending": ("Nothing on its way", "Approved messages stand here until every mail has left."),
    "sent": (
        "Nothing sent yet",
        "A message counts as sent when the mail server has taken every mail of it.",
    ),
    "closed": ("Nothing closed", "Messages that were not sent, and why, stand here."),
}
