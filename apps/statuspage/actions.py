"""What a customer does on the status page."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import User
from apps.customers.models import Customer
from apps.incidents.models import Incident, TimelineEvent
from apps.statuspage.models import CustomerReport

REPORTS_AN_HOUR = 10
LONGEST = 2000


class TooManyReports(Exception):
    """A customer has sent more reports in an hour than anybody would read one by one."""


def report_mismatch(*, by: User, customer: Customer, text: str, now: datetime) -> CustomerReport:
    """Keep what a customer sees that our page does not say, and put it before who handles the incident.

    Raises TooManyReports. The caller has made sure that `by` may speak for `customer`.
    """
    with transaction.atomic():
        Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        recent = customer.reports.filter(created_at__gt=now - timedelta(hours=1))
        if recent.count() >= REPORTS_AN_HOUR:
            raise TooManyReports
        report = CustomerReport.objects.create(
            customer=customer, by=by, text=text[:LONGEST], created_at=now
        )
        for incident in Incident.objects.open():
            TimelineEvent.objects.create(
                incident=incident,
                at=now,
                kind="report",
                text=f"{customer.name} sees something else: {text}"[:500],
                user=by,
            )
    return report


def mark_seen(*, report_id: int, now: datetime) -> None:
    """Note that somebody has read a report."""
    CustomerReport.objects.filter(pk=report_id, seen_at=None).update(seen_at=now)
