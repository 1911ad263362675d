"""What `/metrics` tells of mail."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Min, Q

from apps.core.metrics import Family, gauge
from apps.outreach.models import WAITING, Delivery, DeliveryState


def measured(now: datetime) -> Iterable[Family]:
    """Return what waits in the outbox, since when, and what nobody knows the end of; two queries."""
    found = Delivery.objects.filter(state__in=WAITING).aggregate(
        n=Count("pk"), due=Min("send_after", filter=Q(send_after__lte=now))
    )
    yield gauge("portal_outbox_waiting", "Messages to customers that wait to be sent.", found["n"])
    yield gauge(
        "portal_outbox_oldest_due_seconds",
        "For how long the oldest that is due waits; 0 when none is.",
        (now - found["due"]).total_seconds() if found["due"] else 0,
    )
    yield gauge(
        "portal_outbox_unknown",
        "Messages of which nobody knows whether they left: somebody has to settle them.",
        Delivery.objects.filter(state=DeliveryState.UNKNOWN).count(),
    )
