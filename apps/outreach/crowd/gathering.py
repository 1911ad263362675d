"""Write it all, and say what there is of everything to open."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from apps.accounts.models import User
from apps.customers.models import Contact, Customer, CustomerImport, IdentificationRule
from apps.impact.models import Gap
from apps.incidents.models import Incident
from apps.outreach.crowd import accounts, people, shop, told
from apps.outreach.models import Outreach
from apps.telemetry.models import Sender


@dataclass(frozen=True)
class Crowd:
    """Who reads, and one of everything to open."""

    people: people.People
    writers: list[User]  # contacts of the first customers, who sign in
    customer: Customer
    contact: Contact
    rule: IdentificationRule
    taken: CustomerImport
    shop: shop.Shop
    incident: Incident
    outreach: Outreach
    gap: Gap
    window: int  # key of a run that stands by itself
    sender: Sender


@transaction.atomic
def gather(*, customers: int, services: int, incidents: int, now: datetime) -> Crowd:
    """Write them; the open incidents are the newest, the newest of all hit every customer."""
    mark = secrets.token_hex(3)
    who = people.make(mark, customers, now)
    served = accounts.make(mark, customers, who.manager)
    writers = accounts.let_in(mark, served, 20)
    taken = accounts.take_a_file(who.lead, now)
    run = shop.make(mark, services, served, who, now)
    handled = told.incidents(incidents, served, run.services, who.lead, now)
    outreach = told.outreach(handled, served, who.manager, now)
    gap = told.gaps(handled, run.services, now)
    people.leave_traces(who, served, now)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the audit log is chained then
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("ANALYZE")  # let the planner know what was written
    customer = served[0]
    return Crowd(
        people=who,
        writers=writers,
        customer=customer,
        contact=customer.contacts.order_by("pk")[0],
        rule=customer.rules.get(),
        taken=taken,
        shop=run,
        incident=handled[0],
        outreach=outreach[0],
        gap=gap,
        window=told.answered_again(gap.latest_snapshot),
        sender=Sender.objects.create(source=f"bench {mark}", first_at=now, seen_at=now),
    )
