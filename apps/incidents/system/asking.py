"""Customers on the map: by kind, the largest by name, and those whom nobody can name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from django.db.models import Case, F, IntegerField, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.http import urlencode

from apps.accounts.models import User
from apps.customers.models import Customer, Kind
from apps.incidents.models import Flow
from apps.incidents.system import health
from apps.incidents.system.asked import ALL, UNNAMED, Asked, Placed
from apps.incidents.system.shape import CUSTOMER, FINE, Health, Link, Node, most

#: What customers of a kind are called above them, and one and several of them in a bundle.
KINDS = {
    Kind.CONSUMERS: ("Consumers", "group of consumers", "groups of consumers"),
    Kind.BUSINESS: ("Businesses", "business", "businesses"),
    Kind.INTERNAL: ("Colleagues", "team of ours", "teams of ours"),
}


def by_name(user: User) -> dict[int, Customer]:
    """Return the customers that may stand by themselves: those that this person may see."""
    counted = Flow.objects.exclude(customer=None).values("customer")
    return (
        Customer.objects.visible_to(user)
        .filter(pk__in=counted)
        .only("pk", "name", "slug", "kind")
        .in_bulk()
    )


def customers(
    *,
    user: User,
    asked: Asked,
    now: health.Now,
    own: Mapping[int, Customer],
    seen: Mapping[str, int],
    flows: QuerySet[Flow],
    journeys: Sequence[int],
) -> Placed:
    """Return the customers as nodes, kind by kind, and which of the shown `journeys` they go through.

    `own` are those that may stand by themselves, `seen` says how many of each kind were counted.
    """
    rows = _rows(flows, journeys)
    links = []
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # by node's key
    kinds: dict[str, None] = {}
    for who, kind, to, requests, failed in rows:
        key = f"c{who}" if who in own else f"k{kind}"
        kinds[kind] = None
        sums[key][0] += requests
        sums[key][1] += failed
        target = {0: "j-other", -1: "j-more"}.get(to, f"j{to}")
        links.append(Link(source=key, target=target, requests=requests, failed=failed))
    nodes = [_named(own[int(key[1:])], now, sums[key]) for key in sums if key[:1] == "c"]
    shown, rest = most(nodes, max(asked.limit, ALL) if asked.kind else asked.limit)
    alone = _alone(rest, own, sums)
    shown += alone
    rest = [node for node in rest if node not in alone]
    names = {node.key: f"k{own[int(node.key[1:])].kind}" for node in rest}
    for node in rest:
        sums[names[node.key]][0] += node.requests or 0
        sums[names[node.key]][1] += node.failed
    column: list[Node] = []
    for kind in _in_order(kinds):
        of_kind = [one for one in shown if own[int(one.key[1:])].kind == kind]
        column += of_kind
        if f"k{kind}" not in sums:
            continue
        requests, failed = sums[f"k{kind}"]
        if kind:
            column.append(
                _bundled(
                    kind, asked=asked, now=now, seen=seen, named=of_kind, sums=(requests, failed)
                )
            )
        else:
            column.append(_unnamed(user, asked, requests, failed))
    return Placed(nodes=column, links=links, names=names)


def _alone(
    rest: Sequence[Node], own: Mapping[int, Customer], sums: Mapping[str, Sequence[int]]
) -> list[Node]:
    """Return those of `rest` that would be bundled with nobody else: each takes the same place by name."""
    of_kind: dict[str, list[Node]] = defaultdict(list)
    for node in rest:
        of_kind[own[int(node.key[1:])].kind].append(node)
    return [
        several[0]
        for kind, several in of_kind.items()
        if len(several) == 1 and f"k{kind}" not in sums
    ]


def _rows(flows: QuerySet[Flow], journeys: Sequence[int]) -> list[tuple[int, str, int, int, int]]:
    """Return (customer or 0, kind, journey or 0 = none or -1 = not shown, requests, failed)."""
    to = Case(
        When(journey=None, then=Value(0)),
        When(journey__in=list(journeys), then=F("journey")),
        default=Value(-1),
        output_field=IntegerField(),
    )
    rows = flows.annotate(to=to, who=Coalesce(F("customer"), Value(0)))
    sums = rows.values_list("who", "kind", "to").annotate(n=Sum("requests"), bad=Sum("failed"))
    return list(sums.order_by("who", "kind", "to"))


def _named(customer: Customer, now: health.Now, sums: Sequence[int]) -> Node:
    return Node(
        key=f"c{customer.pk}",
        column=CUSTOMER,
        group=KINDS[Kind(customer.kind)][0],
        label=customer.name,
        href=reverse("customers:profile", args=[customer.slug]),
        health=now.customers.get(customer.pk, FINE),
        requests=sums[0],
        failed=sums[1],
        note=Kind(customer.kind).label,
    )


def _unnamed(user: User, asked: Asked, requests: int, failed: int) -> Node:
    staff = user.can("rule.read")
    return Node(
        key="k",
        column=CUSTOMER,
        group="Not identified",
        label="Nobody we can name",
        href=reverse("rules:identification") if staff else asked.href(customers=UNNAMED),
        health=Health("unknown", "not known whose"),
        requests=requests,
        failed=failed,
        bundle=True,
    )


def _bundled(
    kind: str,
    *,
    asked: Asked,
    now: health.Now,
    seen: Mapping[str, int],
    named: Sequence[Node],
    sums: tuple[int, int],
) -> Node:
    """Return the node of a kind's customers that do not stand by themselves."""
    title, one, several = KINDS[Kind(kind)]
    hit = now.hit.get(kind, 0) - sum(node.health != FINE for node in named)
    if asked.part:  # how many of them go there, nobody counted
        label = f"Other {several}" if named else several.capitalize()
    else:
        n = max(1, seen.get(kind, 0) - len(named))
        hit = min(hit, n)
        label = f"{n:,} {'more ' if named else ''}{one if n == 1 else several}"
    listed = reverse("customers:list") + "?" + urlencode({"kind": kind})
    return Node(
        key=f"k{kind}",
        column=CUSTOMER,
        group=title,
        label=label,
        href=listed if asked.kind == kind else asked.href(customers=kind),
        health=Health("failing", f"{hit:,} hit") if hit > 0 else FINE,
        requests=sums[0],
        failed=sums[1],
        bundle=True,
    )


def _in_order(kinds: Mapping[str, None]) -> list[str]:
    """Return kinds as they are listed everywhere; nobody we can name comes last."""
    return sorted(kinds, key=[*Kind.values, ""].index)
