"""What `/metrics` tells of incidents."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Q

from apps.core.metrics import Family, gauge
from apps.incidents.models import LIVE, Incident


def measured(now: datetime) -> Iterable[Family]:
    """Return how many incidents go on, and of how many the next update is overdue; one query."""
    late = Q(next_update_at__lt=now)
    found = Incident.objects.filter(state__in=LIVE).aggregate(
        n=Count("pk"), late=Count("pk", filter=late)
    )
    yield gauge("portal_incidents_open", "Incidents that go on.", found["n"])
    yield gauge(
        "portal_incident_updates_overdue", "Those whose promised update is overdue.", found["late"]
    )
