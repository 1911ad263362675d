"""*System → Telemetry*: whether data comes in, from whom, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.access import PortalRequest, allowed
from apps.core.http import SeeOther
from apps.telemetry import actions, arrivals, compaction, intake, queries
from apps.telemetry.intake import Sums
from apps.telemetry.models import Sender, SenderState, Silence

PAGE = 25
BATCHES = 25
SILENCES = 10
NAMED = 5  # of the silent ones, at the head of the page
#: name in the address -> what the tab says, hours in all, five minutes of a step
WINDOWS = {"1h": ("The last hour", 1, 1), "24h": ("24 hours", 24, arrivals.HOUR_SLOTS)}
NEARLY_FULL = 7.0  # days

#: How a state reads: a kind of badge, its word.
STATES = {
    SenderState.FLOWING: ("fine", "flowing"),
    SenderState.QUIET: ("slowed", "quiet"),
    SenderState.STOPPED: ("failing", "stopped"),
    SenderState.UNLEARNED: ("unknown", "cannot tell yet"),
    SenderState.RETIRED: ("neutral", "gone for good"),
}


@dataclass(frozen=True)
class Bar:
    """A step of the picture, in units of its viewBox, and what it says."""

    at: datetime
    sums: Sums
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Row:
    """A sender as the list shows it."""

    sender: Sender
    name: str
    kind: str
    word: str
    sums: Sums
    silence: Silence | None = None
    rate: str = ""


@allowed(actions.READ)
@require_safe
def overview(request: PortalRequest) -> HttpResponse:
    """Show whether data comes in, from whom, what could not be read, and how long the disk lasts."""
    now = timezone.now()
    by = "services" if request.GET.get("by") == "services" else "sources"
    over, context = _over(request, now, None)
    day = (
        context["steps"] if over == "24h" else intake.steps(now, hours=24, step=arrivals.HOUR_SLOTS)
    )
    hour = context["steps"] if over == "1h" else intake.steps(now, hours=1)
    page = Paginator(intake.senders(services=by == "services"), PAGE).get_page(
        request.GET.get("page")
    )
    sources = intake.counts_by_state(services=False)
    services = intake.counts_by_state(services=True)
    disk = queries.disk()
    fresh = intake.freshness(now)
    missed = sources[SenderState.QUIET] + sources[SenderState.STOPPED]
    missed_services = services[SenderState.QUIET] + services[SenderState.STOPPED]
    context |= {
        "now": now,
        "by": by,
        "hour": intake.summed(hour),
        "hour_before": intake.events_of_hour_before(now),
        "day": intake.summed(day),
        "fresh": fresh,
        "late": fresh.behind is not None and fresh.behind > arrivals.SILENT_AFTER,
        "verdict": _verdict(fresh, missed=missed + missed_services, full=disk.full, now=now),
        "page": page,
        "rows": _rows(list(page.object_list), now),
        "missed": missed,
        "silences": intake.longest_silences(NAMED),
        "more_silences": max(missed + missed_services - NAMED, 0),
        "missed_services": missed_services,
        "sources": sources,
        "lists": [
            {
                "label": words,
                "href": f"?over={over}&by={name}#senders",
                "current": name == by,
                "count": sum(counts.values()),
            }
            for name, words, counts in (
                ("sources", "Sources", sources),
                ("services", "Services", services),
            )
        ],
        "failures": intake.failures(now),
        "disk": disk,
        "nearly_full": disk.days_left is not None and disk.days_left < NEARLY_FULL,
        "keeps": disk.keep_days or disk.keep_bytes,
        "stored": intake.stored(),
        "hours_to_merge": len(compaction.due(now=now)),
        "kept_days": arrivals.KEPT_DAYS,
    }
    return render(request, "telemetry/intake.html", context)


def _verdict(fresh: intake.Freshness, *, missed: int, full: bool, now: datetime) -> tuple[str, str]:
    """Return the state of it all and what says it; nothing while nothing ever came."""
    if fresh.last_batch is None:
        return "", ""
    if full:
        return "failing", "Nothing is taken in"
    if missed:
        return "slowed", f"{missed:,} silent"
    if now - fresh.last_batch > arrivals.SILENT_AFTER:
        return "neutral", "No delivery of late"
    return "fine", "Data comes in"


@allowed(actions.READ)
@require_safe
def one(request: PortalRequest, sender: int) -> HttpResponse:
    """Show a source or a service: what came, its silences, and of a source its latest batches."""
    now = timezone.now()
    found = Sender.objects.select_related("service").filter(pk=sender).first()
    if found is None:
        raise Http404
    _, context = _over(request, now, found)
    row = _rows([found], now)[0]
    context |= {
        "now": now,
        "row": row,
        "silences": found.silences.order_by("-began_at")[:SILENCES],
        "may_change": request.user.can(actions.CHANGE),
        "kept_days": arrivals.KEPT_DAYS,
    }
    if found.source is not None:
        page = Paginator(intake.batches_of(found), BATCHES).get_page(request.GET.get("page"))
        context |= {"page": page, "batches": page.object_list}
    return render(request, "telemetry/sender.html", context)


@allowed(actions.CHANGE)
@require_POST
def retire(request: PortalRequest, sender: int) -> HttpResponse:
    """Stop missing a sender."""
    try:
        actions.retire_sender(sender=sender, user=request.user, now=timezone.now())
    except Sender.DoesNotExist:
        raise Http404 from None
    except actions.UnableToRetire as problem:
        messages.warning(request, str(problem))
    else:
        messages.info(
            request, "It is not missed any more. If it sends again, it stands here again."
        )
    return SeeOther(reverse("intake:sender", args=[sender]))


def _over(
    request: PortalRequest, now: datetime, sender: Sender | None
) -> tuple[str, dict[str, Any]]:
    """Return which window was asked for, and its picture."""
    over = request.GET.get("over", "")
    over = over if over in WINDOWS else "1h" if sender is None else "24h"
    _, hours, step = WINDOWS[over]
    steps = intake.steps(now, hours=hours, step=step, sender=sender)
    by = "&by=services" if request.GET.get("by") == "services" else ""
    return over, {
        "over": over,
        "tabs": [
            {"label": words, "href": f"?over={name}{by}", "current": name == over}
            for name, (words, _, _) in WINDOWS.items()
        ],
        "steps": steps,
        "bars": _bars(steps),
        "most": max((sums.events for _, sums in steps), default=0),
        "step_words": "5 minutes" if step == 1 else "hour",
        "from": steps[0][0],
    }


def _bars(steps: Sequence[tuple[datetime, Sums]]) -> list[Bar]:
    width = 600 / len(steps)
    most = max((sums.events for _, sums in steps), default=0) or 1
    return [
        Bar(
            at=at,
            sums=sums,
            x=f"{number * width + width * 0.1:.1f}",
            y=f"{100 - 96 * sums.events / most:.1f}",
            width=f"{width * 0.8:.1f}",
            height=f"{96 * sums.events / most:.1f}",
        )
        for number, (at, sums) in enumerate(steps)
    ]


def _rows(senders: list[Sender], now: datetime) -> list[Row]:
    silences = intake.open_silences(senders)
    sums = intake.sums_of(senders, now)
    found = []
    for sender in senders:
        kind, word = STATES[SenderState(sender.state)]
        if sender.state == SenderState.FLOWING and now - sender.seen_at > arrivals.SILENT_AFTER:
            word = "as usual"  # silent, but not longer than at other times
        silence = silences.get(sender.pk)
        found.append(
            Row(
                sender=sender,
                name=sender.service.name if sender.service else str(sender.source),
                kind=kind,
                word=word,
                sums=sums.get(sender.pk, Sums()),
                silence=silence,
                rate=rate(silence.usual) if silence else "",
            )
        )
    return found


def rate(per_minute: float) -> str:
    """Return how much usually comes: "about 12 a minute", "about 3 an hour", "less than one a day"."""
    for span, words in (
        (timedelta(minutes=1), "a minute"),
        (timedelta(hours=1), "an hour"),
        (timedelta(days=1), "a day"),
    ):
        n = per_minute * span.total_seconds() / 60
        if n >= 1:
            return f"about {n:,.0f} {words}"
    return "less than one a day"
