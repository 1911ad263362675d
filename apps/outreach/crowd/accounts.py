"""Customers with contacts, rules, journeys and tags, and a file of them of which lines are bad."""

from collections.abc import Sequence
from datetime import datetime

from apps.accounts.models import Role, User
from apps.customers.models import (
    Attribute,
    Contact,
    Customer,
    CustomerImport,
    CustomerImportLine,
    CustomerJourney,
    IdentificationRule,
    ImportState,
    Kind,
    Purpose,
)

CONTACTS = 5  # of each customer
KINDS = (Kind.BUSINESS, Kind.BUSINESS, Kind.BUSINESS, Kind.INTERNAL, Kind.CONSUMERS)
BATCH = 5_000
BAD = 700  # lines of the file
WORDS = ("Acme", "Harbour", "Northwind", "Globex", "Initech", "Umbrella", "Lagoon", "Meridian")


def make(mark: str, count: int, manager: User) -> list[Customer]:
    """Make customers: every tenth looked after by the manager, every twentieth part of the first."""
    made = Customer.objects.bulk_create(
        [
            Customer(
                name=f"{WORDS[n % len(WORDS)]} {n} {mark}",
                slug=f"customer-{n}-{mark}",
                external_id=f"crm-{n}-{mark}",
                kind=KINDS[n % len(KINDS)],
                account_manager=manager if n % 10 == 0 else None,
                bears_outage="Not during the run at night.",
                bears_outage_minutes=n % 60,
                end_users="Shops and those who buy there",
                end_users_count=100 * n,
                tags=["eu", f"region-{n % 50}"],
                notes="They batch and reconcile at night.",
            )
            for n in range(count)
        ],
        batch_size=BATCH,
    )
    Customer.objects.filter(pk__in=[one.pk for one in made[20::20]]).update(parent=made[0])
    _belongings(made)
    return made


def _belongings(made: Sequence[Customer]) -> None:
    Contact.objects.bulk_create(
        [
            Contact(
                customer=account,
                name=f"Kim {k} of {account.name}",
                email=f"kim{k}@{account.slug}.example",
                purpose=list(Purpose)[k % len(Purpose)],
                do_not_contact=k == CONTACTS - 1,
            )
            for account in made
            for k in range(CONTACTS)
        ],
        batch_size=BATCH,
    )
    IdentificationRule.objects.bulk_create(
        [
            IdentificationRule(customer=one, attribute=Attribute.CUSTOMER, value=one.slug)
            for one in made
        ],
        batch_size=BATCH,
    )
    CustomerJourney.objects.bulk_create(
        [
            CustomerJourney(customer=one, journey=name, value="49.90", currency="EUR")
            for one in made
            for name in ("purchase", "refund")
        ],
        batch_size=BATCH,
    )


def let_in(mark: str, accounts: Sequence[Customer], most: int) -> list[User]:
    """Let a contact of each of the first customers sign in."""
    made = []
    for number, account in enumerate(accounts[:most]):
        user = User.objects.create_user(
            email=f"kim-{number}-{mark}@example.com", name=f"Kim {number}", role=Role.CUSTOMER
        )
        Contact.objects.filter(pk=account.contacts.order_by("pk")[0].pk).update(user=user)
        made.append(user)
    return made


def take_a_file(user: User, now: datetime) -> CustomerImport:
    """Return the report of a large file that was read: what became of its lines."""
    good = 10 * BAD
    found = CustomerImport.objects.create(
        name="customers.csv",
        size=4_000_000,
        state=ImportState.CHECKED,
        progress=100,
        counts={"new": good, "changed": 0, "same": 0, "bad": BAD},
        by=user,
        created_at=now,
        changed_at=now,
    )
    CustomerImportLine.objects.bulk_create(
        [
            CustomerImportLine(
                of=found, number=n + 2, record="customer", who=f"crm-{n}", outcome="new"
            )
            if n % 11
            else CustomerImportLine(
                of=found, number=n + 2, record="contact", who=f"crm-{n}", outcome="bad",
                column="email", reason="It is no address", hint="Write one such as jo@example.com.",
            )
            for n in range(good + BAD)
        ],
        batch_size=BATCH,
    )  # fmt: skip
    return found
