"""Reads for a customer's profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.db.models import QuerySet

from apps.core.charts import Chart, line
from apps.core.templatetags.portal.numbers import number, percent
from apps.customers.models import Customer
from apps.impact.models import CustomerImpact
from apps.incidents.models import Incident
from apps.telemetry import customer_days
from apps.telemetry.customer_days import Day, Days
from apps.tenets.models import TenetVersion

PAST_DAYS = 90


@dataclass(frozen=True)
class IncidentOfTheirs:
    """An incident, and what its newest snapshot says that it did to this customer."""

    incident: Incident
    impact: CustomerImpact

    @property
    def attempts(self) -> dict[str, Any]:
        """How their attempts ended; empty where the snapshot does not say."""
        found = self.impact.result.get("attempts")
        return found if isinstance(found, dict) else {}


def history(customer: Customer, *, limit: int = 20) -> list[IncidentOfTheirs]:
    """Return the incidents that hit `customer`, newest first, each with their own numbers."""
    newest = (
        CustomerImpact.objects.filter(
            customer=customer, snapshot__run__incident_run__incident__isnull=False
        )
        .order_by("snapshot__run__incident_run__incident_id", "-snapshot_id")
        .distinct("snapshot__run__incident_run__incident_id")
        .values("pk")
    )
    rows = (
        CustomerImpact.objects.hit()
        .filter(pk__in=newest)
        .select_related("snapshot__run__incident_run__incident")
        .defer("snapshot__result", "snapshot__overall")
        .order_by("-snapshot__run__incident_run__incident__started_at", "-pk")[:limit]
    )
    return [IncidentOfTheirs(row.snapshot.run.incident_run.incident, row) for row in rows]


def promises(customer: Customer) -> QuerySet[TenetVersion]:
    """Return what is promised to this customer now, with the clauses."""
    return (
        TenetVersion.objects.promised_to(customer)
        .select_related("tenet__service")
        .prefetch_related("clauses")
        .order_by("tenet__name", "pk")
    )


@dataclass(frozen=True, kw_only=True)
class Past:
    """How the last days were for a customer: figures, words and charts, all from the same counts."""

    days: Days
    incidents: int
    told: Sequence[str]  # sentences
    charts: Sequence[Chart]

    @property
    def first(self) -> date:
        """The first day of the window."""
        return self.days.days[0].date

    @property
    def last(self) -> date:
        """The last day of the window."""
        return self.days.days[-1].date

    @property
    def latest_day(self) -> Day | None:
        """The latest day that holds data."""
        return self.days.known[-1] if self.days.known else None


def past(customer: Customer, found: Sequence[IncidentOfTheirs], *, now: datetime) -> Past:
    """Return how the last 90 days were for `customer`, `found` being the incidents that hit them; two queries."""
    days = customer_days.of_customer(customer.pk, last=now.astimezone(UTC).date(), days=PAST_DAYS)
    first = _midnight(days.days[0].date)
    began = [one.incident.started_at for one in found if one.incident.started_at >= first]
    return Past(
        days=days,
        incidents=len(began),
        told=_told(customer, days),
        charts=_charts(days, began),
    )


def _told(customer: Customer, days: Days) -> list[str]:
    """Return what the counts say, in sentences; nothing where they hold none of theirs."""
    active = [day for day in days.known if day.requests]
    if not active:
        return []
    told = [
        f"They sent requests on {len(active)} of the {_many(len(days.known), 'day')} that we hold data of."
    ]
    if len(days.known) == 1:
        when = days.known[0].date
        told = [f"We hold data of one day so far, {when.day} {when:%B}."]
    worst = max(active, key=lambda day: (day.share or 0, day.requests or 0))
    if worst.share and len(active) > 1:
        told.append(
            f"The worst day was {worst.date.day} {worst.date:%B}: {percent(worst.share)} of "
            f"{number(worst.requests)} requests failed."
        )
    elif not worst.share:
        told.append("None of their requests failed.")
    if (bears := customer.bears_error_share) is not None:
        over = [day for day in active if (day.share or 0) > bears]
        told.append(
            f"On {_many(len(over), 'day')} more failed than the {percent(bears)} that they can bear."
            if over
            else f"On no day did more fail than the {percent(bears)} that they can bear."
        )
    return told


def _charts(days: Days, began: Sequence[datetime]) -> list[Chart]:
    """Return requests and failed share by day, from the first day with data to the last, incidents marked."""
    known = days.known
    if len(known) < 2 or not days.requests:
        return []
    shown = [day for day in days.days if known[0].date <= day.date <= known[-1].date]
    marks = [
        _midnight(day)
        for day in sorted({at.astimezone(UTC).date() for at in began})
        if known[0].date <= day <= known[-1].date
    ]
    return [
        line(
            "Their requests, by day",
            [(_midnight(day.date), day.requests) for day in shown],
            label="requests",
            ticks=marks,
            daily=True,
        ),
        line(
            "Share of them that failed, by day",
            [(_midnight(day.date), day.share) for day in shown],
            label="failed",
            ticks=marks,
            share=True,
            daily=True,
        ),
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{number(count)} {what}s"
