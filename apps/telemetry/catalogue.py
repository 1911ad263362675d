"""Services and operations as traffic names them, and customers as rules name them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils.text import slugify

from apps.catalog.models import Operation, Service
from apps.catalog.patterns import Routes
from apps.customers.models import Customer, IdentificationRule
from apps.telemetry.models import TraitSet
from apps.telemetry.resolve import Identities, IdentityRule, Traits, Wanted

MOST_FROM_PATHS = 300
"""Operations of a service that paths alone may propose; the rest is `GET (other)`."""

MOST_NAMED = 1000
"""Operations of a service in all; a sender that puts ids into names must not flood the catalogue."""

MOST_SERVICES = 200
"""Services that events may propose; the rest is `other`."""

MOST_TRAIT_SETS = 2_000
"""Sets of traits that are told apart; requests with any other carry none."""

DEFAULT_SERVICE = "web"
_PARAMETER = re.compile(r"\{[^{}/]*\}")
_METHOD_AND_PATH = re.compile(r"([A-Z]{3,10}) (/\S*)")


@dataclass
class _Known:
    """The operations of one service; what was merged goes by the number of what it was merged into."""

    by_name: dict[str, int] = field(default_factory=dict)
    by_pattern: dict[tuple[str, str], int] = field(default_factory=dict)
    routes: Routes = field(default_factory=Routes)
    merged: set[str] = field(default_factory=set)  # names
    named: int = 0
    from_paths: int = 0

    def add(self, operation: Operation) -> None:
        number = operation.merged_into_id or operation.pk
        self.by_name[operation.name] = number
        if operation.merged_into_id is not None:
            self.merged.add(operation.name)
        # What a person merged or set aside leaves room for what comes.
        counts = operation.merged_into_id is None
        self.named += counts
        if operation.pattern:
            pattern = _PARAMETER.sub("{id}", operation.pattern)
            self.by_pattern.setdefault((operation.method, pattern), number)
            self.from_paths += counts and operation.proposed and not operation.ignored
        if operation.route:
            self.routes.add(operation.method, operation.pattern, operation.pk)

    def find(self, wanted: Wanted) -> int | None:
        """Return the operation of this name or path, else the one whose route pattern takes the path in."""
        if wanted.declared:
            known = self.by_name.get(wanted.name)
            # A sender's own name may have a path in it; a rules file means what it says.
            if known is None and self.routes and not wanted.pattern:
                match = _METHOD_AND_PATH.fullmatch(wanted.name)
                known = self.routes.find(match[1], match[2]) if match else None
            return known
        by_pattern = self.by_pattern
        known = (
            by_pattern.get((wanted.method, wanted.pattern))
            or by_pattern.get(("", wanted.pattern))
            or self.by_name.get(wanted.name)
        )
        if known is None and self.routes:
            known = self.routes.find(wanted.method, wanted.pattern)
        return known


class Catalogue:
    """Gives numbers to services and operations, and proposes those that it does not know."""

    def __init__(self) -> None:
        self._services: dict[str, int] = {}
        self._known: dict[int, _Known] = {}
        self._traits: dict[Traits, int] = {}

    def service(self, slug: str) -> int:
        """Return the service of this name, proposed if it is new."""
        slug = slugify(slug)[:100].strip("-_") or DEFAULT_SERVICE
        if slug not in self._services:
            self._services[slug] = self._service(slug)
        return self._services[slug]

    def _service(self, slug: str) -> int:
        found = Service.objects.filter(slug=slug).first()
        if found is None:
            if slug != "other" and Service.objects.filter(proposed=True).count() >= MOST_SERVICES:
                return self.service("other")
            name = slug.replace("-", " ").replace("_", " ").capitalize()
            found, _ = Service.objects.get_or_create(
                slug=slug, defaults={"name": name, "proposed": True}
            )
        return found.pk

    def declare(self, slug: str, name: str) -> None:
        """Make sure of a service that a rules file declares."""
        Service.objects.get_or_create(slug=slug, defaults={"name": name or slug.capitalize()})

    def operations(self, service: int, wanted: Sequence[Wanted]) -> list[int]:
        """Return the operations' numbers; new ones are proposed, up to a limit for each service."""
        known = self._known.get(service) or self._load(service)
        if any(known.find(one) is None for one in wanted):
            known = self._load(service)  # another process may have proposed them meanwhile
            wanted = self._propose(service, known, wanted)
        return [self._number(known, one) for one in wanted]

    def routed(self, service: int, wanted: Wanted) -> bool:
        """Whether a path goes by the number of an operation that takes in many."""
        known = self._known[service]
        if not (known.routes or known.merged):
            return False
        return wanted.name in known.merged or (
            wanted.name not in known.by_name
            and (wanted.method, wanted.pattern) not in known.by_pattern
            and ("", wanted.pattern) not in known.by_pattern
            and known.find(wanted) is not None
        )

    def traits(self, wanted: Sequence[Traits]) -> list[int]:
        """Return the numbers of sets of traits; 0 for those over the limit, which nobody breaks down by."""
        if any(one not in self._traits for one in wanted):
            self._load_traits()
            room = MOST_TRAIT_SETS - len(self._traits)
            new = [one for one in dict.fromkeys(wanted) if one not in self._traits][: max(0, room)]
            if new:
                TraitSet.objects.bulk_create(
                    [TraitSet(traits=dict(one)) for one in new], ignore_conflicts=True
                )
                self._load_traits()
        return [self._traits.get(one, 0) for one in wanted]

    def _load_traits(self) -> None:
        self._traits = {
            tuple(sorted(traits.items())): pk
            for pk, traits in TraitSet.objects.values_list("pk", "traits")
        }

    def _number(self, known: _Known, wanted: Wanted) -> int:
        number = known.find(wanted)
        if number is None:
            raise LookupError(f"operation {wanted.name!r} vanished while it was being proposed")
        return number

    def _load(self, service: int) -> _Known:
        known = _Known()
        for operation in Operation.objects.filter(service=service).order_by("pk"):
            known.add(operation)
        self._known[service] = known
        return known

    def _propose(self, service: int, known: _Known, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Create what is missing; return the wanted ones, those over the limit replaced."""
        new: dict[str, Wanted] = {}
        result: list[Wanted] = []
        from_paths = known.from_paths
        for one in wanted:
            if known.find(one) is None and one.name not in new:
                from_paths += not one.declared
                room = known.named + len(new) < MOST_NAMED
                if not room or (not one.declared and from_paths > MOST_FROM_PATHS):
                    one = Wanted(f"{one.method} (other)".strip(), declared=True)  # noqa: PLW2901
                if known.find(one) is None:
                    new.setdefault(one.name, one)
            result.append(one)
        with transaction.atomic():
            Operation.objects.bulk_create(
                [
                    Operation(
                        service_id=service,
                        name=one.name,
                        method=one.method,
                        pattern=one.pattern,
                        changes_state=one.method in {"POST", "PUT", "PATCH", "DELETE"},
                        proposed=not (one.declared and one.pattern),
                    )
                    for one in new.values()
                ],
                ignore_conflicts=True,
            )
        for operation in Operation.objects.filter(service=service, name__in=list(new)):
            known.add(operation)
        return result


RULE_ORDER = ("position", "attribute", "value")
"""First match wins, so the order must be total, and the same whichever rule was written first."""


class UnknownCustomer(Exception):
    """There is no customer of this slug or external id."""


def identities(*, default: str = "") -> Identities:
    """Load how to know customers. Raise UnknownCustomer when the default one does not exist."""
    rules = [
        IdentityRule(attribute, value, customer, actor_from)
        for attribute, value, customer, actor_from in IdentificationRule.objects.filter(
            enabled=True
        )
        .order_by(*RULE_ORDER)
        .values_list("attribute", "value", "customer_id", "actor_from")
    ]
    names: dict[str, int] = {}
    for pk, slug, external_id in Customer.objects.values_list("pk", "slug", "external_id"):
        names.setdefault(slug, pk)
        if external_id:
            names[external_id] = pk
    if default and default not in names:
        raise UnknownCustomer(default)
    return Identities(rules, names, names[default] if default else 0)
