"""What services stand on: others of ours, and suppliers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.urls import reverse

from apps.catalog.models import Dependency
from apps.incidents.system import health
from apps.incidents.system.asked import Asked, Placed
from apps.incidents.system.shape import DEPENDENCY, FINE, Link, Node, bundle, most

#: Dependencies that are read: far more than can be drawn.
MOST = 4_000


def dependencies(*, asked: Asked, now: health.Now, chosen: Sequence[int]) -> Placed:
    """Return what the `chosen` services stand on, and which of them stands on what."""
    rows = (
        Dependency.objects.filter(service__in=list(chosen))
        .select_related("on")
        .order_by("pk")[:MOST]
    )
    nodes: dict[str, Node] = {}
    users: dict[str, int] = {}
    links = []
    for row in rows:
        key = f"d{row.on_id}" if row.on_id else f"x{row.supplier.lower()}"
        users[key] = users.get(key, 0) + 1
        if key not in nodes:
            nodes[key] = _node(key, row, now)
        links.append(Link(source=f"s{row.service_id}", target=key, requests=None))
    shown, rest = most(
        [replace(node, requests=users[key]) for key, node in nodes.items()], asked.limit
    )
    found = [_unmeasured(node, users) for node in shown]
    if rest:
        label = f"and {len(rest):,} more"
        one = bundle(rest, key="d-more", label=label, href=asked.unfolded(len(rest)))
        found.append(replace(one, requests=None))
    return Placed(nodes=found, links=links, names={node.key: "d-more" for node in rest})


def _node(key: str, row: Dependency, now: health.Now) -> Node:
    if row.on is None:
        return Node(
            key=key,
            column=DEPENDENCY,
            label=row.supplier,
            href=Asked().href(supplier=row.supplier),
            health=health.UNMEASURED,
        )
    return Node(
        key=key,
        column=DEPENDENCY,
        label=row.on.name,
        href=reverse("catalog:service", args=[row.on.slug]),
        health=now.services.get(row.on.pk, FINE),
        note="ours",
    )


def _unmeasured(node: Node, users: Mapping[str, int]) -> Node:
    """Return a node that says how many stand on it, since nobody counts what they ask of it."""
    n = users[node.key]
    whose = "ours" if node.note else "supplier"
    note = f"{whose}, under {n:,} service" + ("s" if n > 1 else "")
    return replace(node, requests=None, note=note)
