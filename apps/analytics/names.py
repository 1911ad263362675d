"""What the numbers in events are called: customers, services, operations, journeys, earlier weeks.

The caller fills these from its own tables; analytics never looks anything up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PEOPLE_KINDS = frozenset({"consumers", "internal"})
"""Kinds of customer whose actors are people. The actors of a business may be programs."""

HIT_GRADES = ("hit", "partly_hit", "slowed")
"""The grades (`impact.grade`) of customers to whom something happened."""


@dataclass(frozen=True, slots=True)
class CustomerName:
    """A customer as the portal knows it. `kind` is "consumers", "business" or "internal"."""

    id: int
    name: str
    kind: str = "business"


@dataclass(frozen=True, slots=True)
class OperationName:
    """One thing a caller can ask of a service, for example "POST /checkout"."""

    id: int
    name: str
    service: int = 0
    method: str = ""

    @property
    def changes_state(self) -> bool:
        """Whether a call is meant to change something, judged by its HTTP method."""
        method = (self.method or self.name.split(" ", 1)[0]).upper()
        return method in {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True, slots=True)
class JourneyName:
    """Ordered operations that get something done. `done` is the operation that completes it.

    `value` is what one completed journey is worth, in `currency`; None when nobody said.
    """

    id: int
    name: str
    operations: tuple[int, ...]
    done: int
    value: float | None = None
    currency: str = ""
    declared: bool = True
    verb: str = ""
    """What somebody does who goes through it, as in "tried to …": "place an order"."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All names an impact result may need. Ids that are missing are shown as "customer 17"."""

    customers: Mapping[int, CustomerName] = field(default_factory=dict)
    services: Mapping[int, str] = field(default_factory=dict)
    operations: Mapping[int, OperationName] = field(default_factory=dict)
    journeys: Sequence[JourneyName] = ()
    merged: Mapping[int, int] = field(default_factory=dict)
    """Operations that are another one by now: events that carry the first count as the second's."""
    traits: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """What each set of traits holds: 7 -> {"region": "eu-west", "app_version": "3.1"}."""

    def customer(self, customer_id: int) -> CustomerName:
        """The customer of an event; 0 belongs to nobody we can name."""
        if customer_id == 0:
            return CustomerName(0, "nobody we can name", "unnamed")
        return self.customers.get(customer_id) or CustomerName(
            customer_id, f"customer {customer_id}", "unknown"
        )

    def operation(self, operation_id: int) -> OperationName:
        """The operation of an event."""
        return self.operations.get(operation_id) or OperationName(
            operation_id, f"operation {operation_id}"
        )


@dataclass(frozen=True, slots=True)
class Week:
    """The files that hold the window, shifted to an earlier week. `back` 1 is the week before its own.

    They tell who was there. The days around them tell the rest (`daily.Days`); where those are not given,
    these files stand for them and should hold the whole seven days up to the end of the shifted window.
    """

    back: int
    files: tuple[str, ...]
