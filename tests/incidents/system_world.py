"""A system of any size for the map: services, journeys, what they stand on, and who asked for what."""

from datetime import timedelta

from django.utils.text import slugify

from apps.catalog.models import Dependency, Journey, Service
from apps.customers.models import Customer, Kind
from apps.incidents.models import Flow, State, SystemCount
from tests.factories import NOW, make_incident, make_snapshot

NAMES = ["Shop", "Payments", "Search", "Accounts", "Delivery"]
JOURNEYS = [
    ("Purchase", 0),
    ("Refund", 1),
    ("Find a product", 2),
    ("Sign in", 3),
    ("Track a parcel", 4),
]
SUPPLIERS = ["Cards Ltd", "Northern Cloud", "Parcel Post", "Mail Relay"]
BUSINESSES = [
    "Harbour Books",
    "Northwind Gifts",
    "Acme",
    "Globex",
    "Initech",
    "Contoso Outdoor and Mountain Supplies",
    "Umbra",
]


def make_system(services: int = 5, businesses: int = 7, *, failing: bool = True) -> list[Service]:
    """Make so many services and businesses; every number follows from where a thing stands."""
    made = Service.objects.bulk_create(
        Service(name=name, slug=slugify(name))
        for name in [*NAMES, *(f"Service {n:03}" for n in range(6, services + 1))][:services]
    )
    named = Customer.objects.bulk_create(
        Customer(name=name, slug=slugify(name), kind=Kind.BUSINESS)
        for name in [*BUSINESSES, *(f"Business {n:03}" for n in range(8, businesses + 1))][
            :businesses
        ]
    )
    shoppers = Customer.objects.create(name="Shoppers", slug="shoppers", kind=Kind.CONSUMERS)
    colleagues = Customer.objects.create(name="Back office", slug="office", kind=Kind.INTERNAL)
    journeys = Journey.objects.bulk_create(
        [
            Journey(service=made[at], name=name, slug=slugify(name))
            for name, at in JOURNEYS
            if at < services
        ]
        + [Journey(service=one, name=f"Use {one.name.lower()}", slug="use") for one in made[5:]]
    )
    _stand(made)
    flows = []
    for at, journey in enumerate(journeys):
        size = 60_000 // (at + 1)
        flows.append(_flow(shoppers, journey, size * 2))
        flows += [
            _flow(one, journey, size // (place + 2))
            for place, one in enumerate(named[:60])
            if (place + at) % 3 and size // (place + 2)
        ]
        flows.append(
            Flow(
                kind=Kind.BUSINESS,
                service_id=journey.service_id,
                journey=journey,
                requests=size // 4 + 1,
                failed=0,
            )
        )
    flows += [
        Flow(kind="", service=one, requests=900 // (at + 1) + 1, failed=0)
        for at, one in enumerate(made[:3])
    ]
    flows += [
        Flow(
            customer=colleagues,
            kind=Kind.INTERNAL,
            service=one,
            requests=4_000 // (at + 1),
            failed=0,
        )
        for at, one in enumerate(made[:4])
    ]
    Flow.objects.bulk_create(flows, batch_size=2000)
    SystemCount.objects.create(
        pk=1,
        window_from=NOW - timedelta(days=1),
        window_to=NOW,
        finished_at=NOW,
        customers={"business": businesses + 31, "consumers": 1, "internal": 1},
    )
    if failing:
        _fail(made, named, shoppers)
    return made


def _stand(made: list[Service]) -> None:
    ours = {0: [1, 3, 2], 1: [3], 2: [], 3: [], 4: [3]}
    pairs = [(a, b) for a, several in ours.items() for b in several if max(a, b) < len(made)]
    pairs += [(at, at % 5) for at in range(5, len(made))]
    Dependency.objects.bulk_create(
        [Dependency(service=made[a], on=made[b]) for a, b in pairs]
        + [
            Dependency(service=one, supplier=SUPPLIERS[at % len(SUPPLIERS)])
            for at, one in enumerate(made)
        ]
    )


def _flow(customer: Customer, journey: Journey, requests: int) -> Flow:
    return Flow(
        customer=customer,
        kind=customer.kind,
        service_id=journey.service_id,
        journey=journey,
        requests=requests,
        failed=requests // 40,
    )


def _fail(made: list[Service], named: list[Customer], shoppers: Customer) -> None:
    incident = make_incident("Card payments fail for some", services=made[1:2])
    hit = make_snapshot(*list(named[:3]), shoppers, grade="partly_hit")
    hit.run.incident_run = incident.runs.create(run=hit.run)
    if len(made) > 4:
        make_incident("Parcels cannot be tracked", services=made[4:5], state=State.MONITORING)
