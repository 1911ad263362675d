"""Pictures of drafts: drawn by a worker before anybody approves, kept, and approved with the words."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.models import AuditEvent
from apps.core.charts import Chart, shelf
from apps.impact.models import CustomerImpact
from apps.impact.pictures import attempts_of_theirs
from apps.outreach.content import picture_key
from apps.outreach.jobs.standing import locked
from apps.outreach.jobs.writing import spoken
from apps.outreach.models import Outreach, Picture, State

#: Whose words nobody has approved yet: a picture may still come to them.
MAY_GET_ONE = (State.DRAFT, State.STALE, State.IN_REVIEW)
#: Messages in one round: drawing takes a second, and 50 ms more for each.
MOST = 50


def to_illustrate() -> QuerySet[Outreach]:
    """Messages that nobody has seen to yet, oldest first."""
    return Outreach.objects.filter(illustrated=False, state__in=MAY_GET_ONE).order_by("pk")


def illustrate(*, now: datetime) -> int:
    """Draw the pictures that messages before approval may have, and return how many got one. Safe to run twice.

    What is approved meanwhile goes without; who has a review open is told that it changed.
    """
    charts = {
        one: _chart(one)
        for one in to_illustrate().select_related("customer").prefetch_related("recipients")[:MOST]
    }
    wanted = [chart for chart in charts.values() if chart]
    drawn = shelf.draw_for_mail(wanted) if wanted else {}
    count = 0
    for outreach, chart in charts.items():
        if chart is None:
            _settle(outreach, None, now=now)
        elif (png := drawn.get(chart.key)) is not None:
            picture = _keep(chart, png, now=now) if png else None
            count += _settle(outreach, picture, now=now)
    return count


def _chart(outreach: Outreach) -> Chart | None:
    impact = (
        CustomerImpact.objects.filter(snapshot=outreach.snapshot_id, customer=outreach.customer_id)
        .only("result")
        .first()
    )
    language, zone = spoken(outreach.customer, outreach.recipients.all())
    facts = impact.result.get("facts") if impact else None
    chart = attempts_of_theirs(facts, language=language, zone=zone)
    return chart if chart and chart.drawable else None


def _keep(chart: Chart, png: bytes, *, now: datetime) -> Picture:
    said = {"title": chart.title[:200], "alt": chart.summary}
    picture, _ = Picture.objects.get_or_create(
        key=picture_key(**said, png=png), defaults={**said, "png": png, "created_at": now}
    )
    return picture


@transaction.atomic
def _settle(seen: Outreach, picture: Picture | None, *, now: datetime) -> bool:
    """Give a message its picture, or none, unless it changed while that was drawn; say whether it got one."""
    outreach = locked(seen.pk)
    same = (outreach.snapshot_id, outreach.illustrated) == (seen.snapshot_id, False)
    if not same or outreach.state not in MAY_GET_ONE:
        return False
    outreach.picture, outreach.illustrated = picture, True
    outreach.save(update_fields=["picture", "illustrated"])
    if picture:
        AuditEvent.note(
            at=now, user=None, action="outreach.illustrated", target=outreach,
            after={"picture": picture.key},
        )  # fmt: skip
    return picture is not None
