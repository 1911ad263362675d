"""Ask the tables for the picture: the flows of the latest count, names, what stands on what, health."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, F, IntegerField, OuterRef, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.http import urlencode

from apps.accounts.models import User
from apps.catalog.models import Dependency, Journey, Service
from apps.customers.models import Customer, Kind
from apps.incidents.models import CountState, Flow, SystemCount
from apps.incidents.system import health
from apps.incidents.system.shape import (
    CUSTOMER,
    DEPENDENCY,
    FINE,
    JOURNEY,
    SERVICE,
    Health,
    Link,
    Node,
    Picture,
    bundle,
    most,
    near,
    rename,
    worst,
)

#: Places of a column before the small ones are bundled, and at most when all are asked for.
FEW, ALL = 9, 200
#: One and several, for a bundle.
KINDS = {
    Kind.CONSUMERS: ("group of consumers", "groups of consumers"),
    Kind.BUSINESS: ("business", "businesses"),
    Kind.INTERNAL: ("team of ours", "teams of ours"),
}
UNNAMED = "unnamed"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What of the system is looked at."""

    everything: bool = False
    kind: str = ""  # customers of one kind, or UNNAMED
    service: Service | None = None
    supplier: str = ""

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


@dataclass(frozen=True, kw_only=True)
class System:
    """The picture, and on what it rests."""

    picture: Picture
    incidents: int
    window_from: datetime | None
    window_to: datetime | None
    requests: int
    counting: bool
    error: str
    services: int  # that we know of
    shown: int  # that stand on the map by themselves


def system(*, user: User, asked: Asked) -> System:
    """Return the map as it is now, in a fixed number of queries."""
    count = SystemCount.objects.filter(pk=1).first()
    reader = _Reader(user, asked, dict(count.customers) if count else {})
    picture = reader.picture()
    return System(
        picture=picture,
        incidents=reader.now.incidents,
        window_from=count.window_from if count else None,
        window_to=count.window_to if count else None,
        requests=sum(node.requests or 0 for node in picture.column(CUSTOMER)),
        counting=bool(count and count.state in {CountState.QUEUED, CountState.RUNNING}),
        error=count.error if count and count.state == CountState.FAILED else "",
        services=reader.known,
        shown=sum(not node.bundle for node in picture.column(SERVICE)),
    )


class _Reader:
    """One reading of the map."""

    def __init__(self, user: User, asked: Asked, seen: dict[str, int]) -> None:
        self.user, self.asked, self.seen = user, asked, seen
        self.limit = ALL if asked.everything else FEW
        self.flows = self._flows()
        self.own = self._own()
        self.now = health.now(user=user, customers=self.own)
        self.known = 0
        self.pairs: list[dict[str, Any]] = []

    def picture(self) -> Picture:
        """Choose, bundle, link and order."""
        services, service_names, chosen = self._services()
        journeys, journey_names = self._journeys(chosen)
        customers, customer_names = self._customers()
        names = {**service_names, **journey_names, **customer_names}
        links = rename([*self._customer_links(journeys), *self._journey_links()], names)
        dependencies, stands = self._dependencies(chosen)
        links = [*links, *stands]
        order = {node.key: float(at) for at, node in enumerate(services)}
        nodes = [
            *customers,
            *near(journeys, links, order),
            *services,
            *near(dependencies, links, order),
        ]
        return Picture.of(nodes, links)

    # What flows

    def _flows(self) -> QuerySet[Flow]:
        rows = Flow.objects.all()
        if self.asked.service:
            rows = rows.filter(service=self.asked.service)
        if self.asked.supplier:
            rows = rows.filter(service__dependencies__supplier__iexact=self.asked.supplier)
        if self.asked.kind:
            rows = rows.filter(kind="" if self.asked.kind == UNNAMED else self.asked.kind)
        return rows

    def _own(self) -> dict[int, Customer]:
        """Return the customers that may stand by themselves: those that this person may see."""
        counted = Flow.objects.exclude(customer=None).values("customer")
        return (
            Customer.objects.visible_to(self.user)
            .filter(pk__in=counted)
            .only("pk", "name", "slug", "kind")
            .in_bulk()
        )

    # Customers

    def _customers(self) -> tuple[list[Node], dict[str, str]]:
        rows = self.flows.values("customer", "kind").annotate(n=Sum("requests"), bad=Sum("failed"))
        own: list[Node] = []
        sums: dict[str, list[int]] = {}
        for row in rows.order_by("customer", "kind"):
            customer = self.own.get(row["customer"])
            if customer is None:
                of = sums.setdefault(row["kind"], [0, 0])
                of[0] += row["n"]
                of[1] += row["bad"]
                continue
            href = reverse("customers:profile", args=[customer.slug])
            own.append(
                Node(
                    key=f"c{customer.pk}",
                    column=CUSTOMER,
                    label=customer.name,
                    href=href,
                    health=self.now.customers.get(customer.pk, FINE),
                    requests=row["n"],
                    failed=row["bad"],
                    note=Kind(customer.kind).label,
                )
            )
        limit = self.limit if not self.asked.kind else max(self.limit, 40)
        shown, rest = most(own, limit)
        names = {}
        for node in rest:
            kind = self.own[int(node.key[1:])].kind
            names[node.key] = f"k{kind}"
            of = sums.setdefault(kind, [0, 0])
            of[0] += node.requests or 0
            of[1] += node.failed
        bundles = [
            self._kind(kind, (sums[kind][0], sums[kind][1]), shown) for kind in _in_order(sums)
        ]
        return [*shown, *bundles], names

    def _kind(self, kind: str, sums: tuple[int, int], shown: Sequence[Node]) -> Node:
        """Return the node of customers that do not stand by themselves."""
        requests, failed = sums
        if not kind:
            staff = self.user.can("rule.read")
            href = reverse("rules:identification") if staff else self.asked.href(customers=UNNAMED)
            return Node(
                key="k",
                column=CUSTOMER,
                label="Nobody we can name",
                href=href,
                health=Health("unknown", "not known whose"),
                requests=requests,
                failed=failed,
                bundle=True,
            )
        of_kind = [one for one in shown if self.own[int(one.key[1:])].kind == kind]
        part = self.asked.service or self.asked.supplier  # how many go there, nobody counted
        n = max(1, self.seen.get(kind, 0) - len(of_kind))
        hit = self.now.hit.get(kind, 0) - sum(one.health != FINE for one in of_kind)
        bad = Health("failing", f"{min(hit, n):,} hit") if hit > 0 else FINE
        listed = reverse("customers:list") + "?" + urlencode({"kind": kind})
        one, several = KINDS[Kind(kind)]
        label = f"{n:,} {'more ' if of_kind else ''}{one if n == 1 else several}"
        if part:
            label = f"other {several}" if of_kind else several
            label = label[:1].upper() + label[1:]
        return Node(
            key=f"k{kind}",
            column=CUSTOMER,
            label=label,
            href=listed if self.asked.kind == kind else self.asked.href(customers=kind),
            health=bad,
            requests=requests,
            failed=failed,
            bundle=True,
        )

    # Services

    def _services(self) -> tuple[list[Node], dict[str, str], list[Service]]:
        found = Service.objects.filter(
            pk=self.asked.service.pk if self.asked.service else F("pk")
        ).only("pk", "slug", "name")
        if self.asked.supplier:
            stands = Dependency.objects.filter(
                service=OuterRef("pk"), supplier__iexact=self.asked.supplier
            )
            found = found.filter(Exists(stands))
        services = found.in_bulk()
        self.known = len(services)
        seen = {
            row["service"]: row
            for row in self.flows.values("service")
            .annotate(n=Sum("requests"), bad=Sum("failed"))
            .order_by("service")
        }
        nodes = []
        for service in services.values():
            row = seen.get(service.pk)
            well = self.now.services.get(service.pk)
            nodes.append(
                Node(
                    key=f"s{service.pk}",
                    column=SERVICE,
                    label=service.name,
                    href=reverse("catalog:service", args=[service.slug]),
                    health=well or (FINE if row else health.UNSEEN),
                    requests=row["n"] if row else 0,
                    failed=row["bad"] if row else 0,
                    note=well.because if well else "",
                )
            )
        shown, rest = most(nodes, self.limit)
        names = {node.key: "s-more" for node in rest}
        chosen = [services[int(node.key[1:])] for node in shown]
        if rest:
            listed = reverse("catalog:services")
            href = listed if self.asked.everything else self.asked.href(show="all")
            label = f"and {len(rest):,} more services"
            shown = [*shown, bundle(rest, key="s-more", label=label, href=href)]
        return shown, names, chosen

    # Journeys

    def _journeys(self, chosen: Iterable[Service]) -> tuple[list[Node], dict[str, str]]:
        rows = self.flows.values("service", "journey").annotate(
            n=Sum("requests"), bad=Sum("failed")
        )
        self.pairs = [dict(row) for row in rows.order_by("service", "journey")]
        seen = {row["journey"]: row for row in self.pairs if row["journey"]}
        nodes = []
        for journey in Journey.objects.filter(service__in=list(chosen)).order_by("pk"):
            row = seen.pop(journey.pk, None)
            of = journey.service_id
            well = health.of_journey(self.now, service=of, name=journey.name)
            nodes.append(
                Node(
                    key=f"j{journey.pk}",
                    column=JOURNEY,
                    label=journey.name,
                    href=reverse("catalog:journey", args=[journey.pk]),
                    health=well if row or well != FINE else health.UNSEEN,
                    requests=row["n"] if row else 0,
                    failed=row["bad"] if row else 0,
                )
            )
            if not row:
                self.pairs.append({"service": of, "journey": journey.pk, "n": 0, "bad": 0})
        elsewhere = [
            Node(
                key=f"j{pk}",
                column=JOURNEY,
                label="",
                href="",
                health=self.now.services.get(row["service"], FINE),
                requests=row["n"],
                failed=row["bad"],
            )
            for pk, row in seen.items()
        ]
        shown, rest = most(nodes, self.limit)
        rest = [*rest, *elsewhere]
        names = {node.key: "j-more" for node in rest}
        if rest:
            href = (
                reverse("catalog:services")
                if self.asked.everything
                else self.asked.href(show="all")
            )
            label = f"and {len(rest):,} more journey" + ("s" if len(rest) > 1 else "")
            shown.append(bundle(rest, key="j-more", label=label, href=href))
        outside = [row for row in self.pairs if row["journey"] is None]
        if outside:
            shown.append(
                Node(
                    key="j-other",
                    column=JOURNEY,
                    label="In no journey",
                    href=reverse("catalog:services"),
                    health=worst(self.now.services.get(row["service"], FINE) for row in outside),
                    requests=sum(row["n"] for row in outside),
                    failed=sum(row["bad"] for row in outside),
                    bundle=True,
                )
            )
        return shown, names

    def _journey_links(self) -> list[Link]:
        return [
            Link(
                source=f"j{row['journey']}" if row["journey"] else "j-other",
                target=f"s{row['service']}",
                requests=row["n"],
                failed=row["bad"],
            )
            for row in self.pairs
        ]

    def _customer_links(self, journeys: Sequence[Node]) -> list[Link]:
        """Return who goes where, added up by the database for what is shown."""
        shown = [int(node.key[1:]) for node in journeys if node.key[1:].isdigit()]
        rows = (
            self.flows.annotate(
                to=Case(
                    When(journey=None, then=Value(0)),
                    When(journey__in=shown, then=F("journey")),
                    default=Value(-1),
                    output_field=IntegerField(),
                ),
                who=Coalesce(F("customer"), Value(0)),
            )
            .values("who", "kind", "to")
            .annotate(n=Sum("requests"), bad=Sum("failed"))
            .order_by("who", "kind", "to")
        )
        targets = {0: "j-other", -1: "j-more"}
        return [
            Link(
                source=f"c{row['who']}" if row["who"] in self.own else f"k{row['kind']}",
                target=targets.get(row["to"], f"j{row['to']}"),
                requests=row["n"],
                failed=row["bad"],
            )
            for row in rows
        ]

    # Dependencies

    def _dependencies(self, chosen: Sequence[Service]) -> tuple[list[Node], list[Link]]:
        rows: list[Any] = list(
            Dependency.objects.filter(service__in=[one.pk for one in chosen])
            .select_related("on")
            .order_by("pk")[: 20 * ALL]
        )
        nodes: dict[str, Node] = {}
        users: dict[str, int] = {}
        links = []
        for row in rows:
            key = f"d{row.on_id}" if row.on_id else f"x{row.supplier.lower()}"
            users[key] = users.get(key, 0) + 1
            nodes.setdefault(key, self._dependency(key, row))
            links.append(Link(source=f"s{row.service_id}", target=key, requests=None))
        sized = [replace(node, requests=users[key]) for key, node in nodes.items()]
        shown, rest = most(sized, self.limit)
        found = [_unmeasured(node, users) for node in shown]
        names = {node.key: "d-more" for node in rest}
        if rest:
            label = f"and {len(rest):,} more"
            href = (
                reverse("catalog:services")
                if self.asked.everything
                else self.asked.href(show="all")
            )
            one = bundle(rest, key="d-more", label=label, href=href)
            found.append(replace(one, requests=None))
        return found, rename(links, names)

    def _dependency(self, key: str, row: Any) -> Node:
        if row.on is None:
            href, label = Asked().href(supplier=row.supplier), row.supplier
            return Node(
                key=key, column=DEPENDENCY, label=label, href=href, health=health.UNMEASURED
            )
        return Node(
            key=key,
            column=DEPENDENCY,
            label=row.on.name,
            href=reverse("catalog:service", args=[row.on.slug]),
            health=self.now.services.get(row.on_id, FINE),
            note="ours",
        )


def _unmeasured(node: Node, users: dict[str, int]) -> Node:
    n = users[node.key]
    whose = "ours" if node.note else "supplier"
    note = f"{whose}, under {n:,} service" + ("s" if n > 1 else "")
    return replace(node, requests=None, note=note)


def _in_order(kinds: Iterable[str]) -> list[str]:
    """Return kinds as they are listed everywhere; nobody we can name comes last."""
    order = [*Kind.values, ""]
    return sorted(kinds, key=order.index)
