"""The demo's people, customers and promises. Their names are made up; the traffic is real."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from apps.accounts.models import Role, User
from apps.catalog.models import Journey, JourneyStep, Operation, Service
from apps.customers.models import Attribute, Contact, Customer, IdentificationRule, Kind
from apps.tenets import actions as tenets

PASSWORD = "a quiet night"  # noqa: S105  (a demo on loopback: everyone may know it)


@dataclass(frozen=True, kw_only=True)
class World:
    """Whom the demo's steps act as and upon."""

    ada: User  # leads incidents
    ben: User  # liaison: approves what others write
    amy: User  # account manager
    service: Service


def build(*, now: datetime) -> World:
    """Make the demo's world in an empty database."""
    with transaction.atomic():
        people = {
            name: User.objects.create_user(
                email=f"{name.lower()}@example.com", name=name, role=role, password=PASSWORD
            )
            for name, role in [
                ("Ada", Role.LEAD),
                ("Ben", Role.LIAISON),
                ("Amy", Role.ACCOUNT_MANAGER),
                ("Olga", Role.ADMIN),
            ]
        }
        service = Service.objects.create(
            slug="shop", name="Shop", description="The shop's pages and checkout"
        )
        journey = _purchase(service)
        _customers(service, amy=people["Amy"])
        _promise(service, journey, people, now=now)
    return World(ada=people["Ada"], ben=people["Ben"], amy=people["Amy"], service=service)


def _purchase(service: Service) -> Journey:
    steps = [
        ("View a product", "GET", "/product/{id}"),
        ("Add to the cart", "POST", "/cart/{id}"),
        ("Check out", "POST", "/checkout"),
    ]
    journey = Journey.objects.create(
        service=service, slug="purchase", name="Purchase", verb="place an order", noun="orders"
    )
    for position, (name, method, pattern) in enumerate(steps, start=1):
        operation = Operation.objects.create(
            service=service,
            name=name,
            method=method,
            pattern=pattern,
            changes_state=method != "GET",
            proposed=False,
        )
        JourneyStep.objects.create(journey=journey, operation=operation, position=position)
    return journey


def _customers(service: Service, *, amy: User) -> None:
    """Two businesses known by their networks; everybody else is a shopper."""
    businesses = [
        ("Harbour Books", "203.0.113.12/30", "about 2,000 readers of their book club", "Jo Ruiz"),
        ("Northwind Gifts", "203.0.113.8/30", "some 40 corner shops", "Sam Lee"),
    ]
    for position, (name, network, end_users, person) in enumerate(businesses, start=1):
        customer = Customer.objects.create(
            name=name,
            slug=name.lower().replace(" ", "-"),
            kind=Kind.BUSINESS,
            account_manager=amy,
            end_users=end_users,
            bears_outage="a quarter of an hour, if told",
            bears_error="not at the checkout",
            bears_delay="until the next working day",
            bears_loss="never an order we confirmed",
        )
        IdentificationRule.objects.create(
            customer=customer, position=position, attribute=Attribute.NETWORK, value=network
        )
        email = f"{person.split()[0].lower()}@{customer.slug}.example"
        user = User.objects.create_user(
            email=email, name=person, role=Role.CUSTOMER, password=PASSWORD
        )
        Contact.objects.create(
            customer=customer, name=person, email=email, user=user, time_zone="Europe/Berlin"
        )
    shoppers = Customer.objects.create(
        name="Shoppers",
        slug="shoppers",
        kind=Kind.CONSUMERS,
        bears_outage="some minutes in the evening",
        bears_error="once, if the second try works",
        bears_delay="three seconds",
        bears_loss="never a payment",
    )
    IdentificationRule.objects.create(
        customer=shoppers, position=900, attribute=Attribute.SERVICE, value=service.slug
    )


def _promise(service: Service, journey: Journey, people: dict[str, User], *, now: datetime) -> None:
    for kind, promise, target in [
        (Kind.CONSUMERS, "If you try to buy something, it works at the first try.", "0.995"),
        (
            Kind.BUSINESS,
            "Orders that you place for your customers go through, and none is lost.",
            "0.999",
        ),
    ]:
        tenet = tenets.create_tenet(
            slug=f"orders-{kind}",
            name=f"Orders of {Kind(kind).label.lower()}",
            service=service,
            kind=kind,
            user=people["Ada"],
            now=now,
        )
        version = tenets.draft_version(
            tenet=tenet,
            promise=promise,
            clauses=[
                tenets.ClauseDraft(
                    text="Of all attempts to place an order, the share that works at the first try",
                    journey=journey,
                    target=Decimal(target),
                    min_events=5,
                )
            ],
            rationale="Who is told “try again” at the till often does not come back.",
            review_by=(now + timedelta(days=120)).date(),
            user=people["Ada"],
            now=now,
        )
        version = tenets.submit_version(version=version, user=people["Ada"], now=now)
        tenets.activate(version=version, approver=people["Olga"], now=now)
