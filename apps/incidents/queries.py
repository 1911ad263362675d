"""Reads of incidents. Nothing here writes."""

from apps.impact.models import ImpactSnapshot
from apps.incidents.models import Incident


def latest_snapshot(incident: Incident) -> ImpactSnapshot | None:
    """Return the newest answer to what the incident did to customers, without its long result."""
    return (
        ImpactSnapshot.objects.filter(run__incident_run__incident=incident)
        .defer("result")
        .order_by("-created_at", "-pk")
        .first()
    )
