"""What of the system is looked at, and what goes by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, F, OuterRef, QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from apps.catalog.models import Dependency, Service
from apps.incidents.models import Flow
from apps.incidents.system.shape import Link, Node

#: Places of a column before the small ones are bundled, and at most when all are asked for: more than
#: that nobody reads from a drawing, and the lists of customers and services have pages.
FEW, ALL = 9, 40
UNNAMED = "unnamed"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of the system is looked at."""

    everything: bool = False
    kind: str = ""  # customers of one kind, or UNNAMED
    service: Service | None = None
    supplier: str = ""

    @property
    def limit(self) -> int:
        """How many of a column stand by themselves."""
        return ALL if self.everything else FEW

    @property
    def part(self) -> bool:
        """Whether some services are left out."""
        return bool(self.service or self.supplier)

    def href(self, **changes: str) -> str:
        """Return the map's address with something of this changed."""
        parts = {
            "show": "all" if self.everything else "",
            "customers": self.kind,
            "service": self.service.slug if self.service else "",
            "supplier": self.supplier,
            **changes,
        }
        query = urlencode({name: value for name, value in parts.items() if value})
        return reverse("system:map") + (f"?{query}" if query else "")

    def unfolded(self, rest: int) -> str:
        """Return where `rest` bundled places can be seen: on the map while it has room, else in a list."""
        return reverse("catalog:services") if self.everything or not rest else self.href(show="all")

    def services(self) -> dict[int, Service]:
        """Return the services that are looked at."""
        found = Service.objects.filter(pk=self.service.pk if self.service else F("pk"))
        if self.supplier:
            stands = Dependency.objects.filter(
                service=OuterRef("pk"), supplier__iexact=self.supplier
            )
            found = found.filter(Exists(stands))
        return found.only("pk", "slug", "name").in_bulk()

    def flows(self) -> QuerySet[Flow]:
        """Return the counted requests that are looked at."""
        rows = Flow.objects.all()
        if self.service:
            rows = rows.filter(service=self.service)
        if self.supplier:
            stands = Dependency.objects.filter(supplier__iexact=self.supplier)
            rows = rows.filter(service__in=stands.values("service"))
        if self.kind:
            rows = rows.filter(kind="" if self.kind == UNNAMED else self.kind)
        return rows


@dataclass(frozen=True, kw_only=True)
class Placed:
    """What one reader found: nodes, what leads from or to them, and which bundle a key is part of."""

    nodes: Sequence[Node]
    links: Sequence[Link] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def themselves(self) -> list[int]:
        """Return the ids of those that stand by themselves."""
        return [int(node.key[1:]) for node in self.nodes if node.key[1:].isdigit()]
