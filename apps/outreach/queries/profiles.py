"""Reads for a customer's profile."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from apps.customers.models import Customer
from apps.impact.models import CustomerImpact
from apps.incidents.models import Incident
from apps.tenets.models import TenetVersion


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
        .defer("snapshot__result")
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
