"""What a customer does on the status page."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.accounts.models import AuditEvent, Role, User
from apps.customers.models import Contact, Customer
from apps.incidents.models import Incident, TimelineEvent
from apps.statuspage.models import CustomerReport

REPORTS_AN_HOUR = 10
LONGEST = 2000


class TooManyReports(Exception):
    """A customer has sent more reports in an hour than anybody would read one by one."""


@transaction.atomic
def open_account(*, email: str, now: datetime) -> User | None:
    """Return who signs in with a code mailed to `email`: a customer's contact, at their first time made a person.

    None for everybody else: nobody we know, one of us, one who was deactivated. Nothing is open to the
    person before the code that was mailed to them has been typed.
    """
    contacts = Contact.objects.filter(email__iexact=email)
    user = User.objects.filter(email__iexact=email).first()
    if user is None:
        first = contacts.filter(user=None).order_by("pk").first()
        if first is None:
            return None
        user = User.objects.create_user(email=email, name=first.name, role=Role.CUSTOMER)
        AuditEvent.note(
            at=now,
            user=None,
            action="person.open",
            target=user,
            after={"email": user.email, "role": user.role},
        )
    if user.role != Role.CUSTOMER or not user.is_active:
        return None
    contacts.filter(user=None).update(user=user)
    return user


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
