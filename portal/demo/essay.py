"""The outage of the essay, simulated: 65,000 answers of HTTP 500 from 10:04 to 10:30, and five weeks around them.

Everything in it is marked as simulated. It lies weeks before the real log, so that neither is the other's usual.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from apps.accounts.models import User
from apps.analytics.simulate import (
    JOURNEYS,
    OPERATIONS,
    Customer,
    Plan,
    Truth,
    Witness,
    build_world,
    simulate,
)
from apps.catalog.models import Journey, JourneyStep, Operation, Service
from apps.customers.models import Customer as CustomerRow
from apps.customers.models import Kind
from apps.telemetry import store
from apps.telemetry.files import catalogue_rows
from apps.telemetry.models import Batch

START = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday; the outage is on the Tuesday four weeks later
MARK = "(simulated)"
SOURCE = "simulate --plan essay"

_SERVICES = {
    1: ("sim-shop", "Shop"),
    2: ("sim-payments", "Payments"),
    3: ("sim-api", "Partner API"),
    4: ("sim-office", "Office"),
}
_OPERATIONS = {
    1: "Search",
    2: "View a product",
    3: "Add to the cart",
    4: "Check out",
    5: "Look up stock",
    6: "Order through the API",
    7: "Open a report",
}
# name, verb, noun, value of one in EUR
_JOURNEYS = {
    "buy": ("Purchase", "buy something", "purchases", "64"),
    "order by API": ("Order by API", "order through the API", "orders through the API", "180"),
    "report": ("Report", "open a report", "reports", None),
}
_TREES = ("Alder", "Birch", "Cedar", "Hazel", "Juniper", "Linden", "Maple", "Rowan", "Spruce", "Willow")  # fmt: skip
_TRADES = ("Books", "Tools", "Garden", "Kitchens")


@dataclass(frozen=True)
class Numbers:
    """Which row of our tables each integer of the simulation stands for."""

    customers: NDArray[np.int64]
    services: NDArray[np.int64]
    operations: NDArray[np.int64]

    def of(self, events: pa.Table) -> pa.Table:
        """Return the same events under our numbers."""
        for name in ("customer", "service", "operation"):
            rows = getattr(self, f"{name}s")[events[name].to_numpy()]
            at = events.schema.get_field_index(name)
            kind = events.schema.field(at).type
            events = events.set_column(at, events.schema.field(at), pa.array(rows).cast(kind))
        return events


@dataclass
class Essay:
    """The simulated platform: its plan, its rows, and what truly happened once it is stored."""

    plan: Plan = field(default_factory=lambda: Plan.essay(start=START))
    services: list[Service] = field(default_factory=list)

    @property
    def window(self) -> tuple[datetime, datetime]:
        """When it was out."""
        start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in self.plan.window_ms)
        return start, end

    @transaction.atomic
    def build(self, *, manager: User) -> Numbers:
        """Make the platform's services, what can be done with them, and its customers."""
        self.services = [
            Service.objects.create(
                slug=slug, name=f"{name} {MARK}", description="Made up, with its traffic"
            )
            for slug, name in _SERVICES.values()
        ]
        operations = {one.id: self._operation(one.id, one.name) for one in OPERATIONS}
        for slug, steps in JOURNEYS.items():
            self._journey(slug, [operations[step] for step in steps])
        world = build_world(self.plan)
        names = _names(world.customers)
        customers = {
            one.id: CustomerRow.objects.create(
                slug=f"sim-{one.slug}",
                name=f"{names[one.id]} {MARK}",
                kind=Kind.CONSUMERS if one.kind == "consumer" else one.kind,
                account_manager=manager if one.kind == "business" else None,
            )
            for one in world.customers
        }
        return Numbers(
            customers=_lookup({number: row.pk for number, row in customers.items()}),
            services=_lookup({number: row.pk for number, row in enumerate(self.services, start=1)}),
            operations=_lookup({number: row.pk for number, row in operations.items()}),
        )

    def store(self, numbers: Numbers) -> tuple[Truth, int]:
        """Store its events as any others are stored; return what is true of the window, and how many."""
        witness, rows, root = (
            Witness(self.plan, build_world(self.plan)),
            0,
            Path(settings.EVENTS_DIR),
        )
        for chunk in simulate(self.plan):
            witness.see(chunk)
            events = numbers.of(chunk.events)
            batch = Batch(
                batch_id=uuid.uuid4().hex,
                source=SOURCE,
                format="simulated",
                length=0,
                lines=events.num_rows,
                rows=events.num_rows,
                rejected=0,
                created_at=timezone.now(),
            )
            written = store.write(
                events, order=np.arange(events.num_rows), batch_id=batch.batch_id, root=root
            )
            catalogue_rows(batch, written, root=root)
            rows += events.num_rows
        return witness.truth(), rows

    def _operation(self, number: int, route: str) -> Operation:
        method, pattern = route.split()
        (planned,) = (one for one in OPERATIONS if one.id == number)
        return Operation.objects.create(
            service=self.services[planned.service - 1],
            name=_OPERATIONS[number],
            method=method,
            pattern=pattern,
            changes_state=method != "GET",
            slow_after_ms=int(planned.promised_ms),
            proposed=False,
        )

    def _journey(self, slug: str, steps: list[Operation]) -> None:
        name, verb, noun, value = _JOURNEYS[slug]
        journey = Journey.objects.create(
            service=steps[-1].service,
            slug=f"sim-{slug.replace(' ', '-').lower()}",
            name=f"{name} {MARK}",
            verb=verb,
            noun=noun,
            value=None if value is None else Decimal(value),
            currency="" if value is None else "EUR",
        )
        for position, operation in enumerate(steps, start=1):
            JourneyStep.objects.create(journey=journey, operation=operation, position=position)


def _names(customers: tuple[Customer, ...]) -> dict[int, str]:
    """Name the businesses; everybody else is called what the simulation calls them."""
    businesses: Iterator[str] = (f"{tree} {trade}" for trade, tree in product(_TRADES, _TREES))
    return {
        one.id: next(businesses, one.name) if one.kind == "business" else one.name
        for one in customers
    }


def _lookup(rows: dict[int, int]) -> NDArray[np.int64]:
    found = np.zeros(max(rows) + 1, np.int64)
    for number, pk in rows.items():
        found[number] = pk
    return found
