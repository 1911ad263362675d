"""What stands on the map, and what is bundled: a picture of nodes and links. Knows no tables."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

COLUMNS = ("Customers", "Journeys", "Services", "What they stand on")
CUSTOMER, JOURNEY, SERVICE, DEPENDENCY = range(4)

#: The worst first: what is bundled looks like the worst of it.
STATES = ("failing", "slowed", "unknown", "maintenance", "fine")


@dataclass(frozen=True)
class Health:
    """How something is now: a state, its word, and what says so."""

    state: str = "fine"
    word: str = "fine"
    because: str = ""

    @property
    def rank(self) -> int:
        """Where it stands among STATES, the worst first."""
        return STATES.index(self.state)

    @property
    def ails(self) -> bool:
        """Whether something is wrong, and known to be."""
        return self.state in {"failing", "slowed"}


FINE = Health()


def worst(several: Iterable[Health]) -> Health:
    """Return the worst of several; nothing is fine."""
    return min(several, key=lambda one: one.rank, default=FINE)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One place on the map."""

    key: str
    column: int
    label: str
    href: str
    health: Health = FINE
    requests: int | None = None  # None: not measured
    failed: int = 0
    note: str = ""
    bundle: bool = False  # stands for several
    group: str = ""  # what it stands under with its neighbours

    @property
    def says(self) -> str:
        """What a reader who does not see it hears."""
        parts = [f"{self.label}: {self.health.word}"]
        if self.requests is not None:
            parts.append(f"{self.requests:,} requests")
            if self.failed:
                parts.append(f"{self.failed:,} failed")
        if self.note:
            parts.append(self.note)
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Link:
    """What leads from one place to the next; requests None: it stands on it, nobody counts how much."""

    source: str
    target: str
    requests: int | None
    failed: int = 0


@dataclass(frozen=True)
class Picture:
    """All that the map and the list beside it show."""

    nodes: Sequence[Node] = ()
    links: Sequence[Link] = ()
    _by_key: Mapping[str, Node] = field(default_factory=dict)

    @staticmethod
    def of(nodes: Sequence[Node], links: Sequence[Link]) -> "Picture":
        """Return a picture without what no link can be drawn to."""
        by_key = {node.key: node for node in nodes}
        kept = [one for one in links if one.source in by_key and one.target in by_key]
        return Picture(tuple(nodes), tuple(kept), by_key)

    def node(self, key: str) -> Node:
        """Return a node."""
        return self._by_key[key]

    def column(self, column: int) -> list[Node]:
        """Return the nodes of a column, top to bottom."""
        return [node for node in self.nodes if node.column == column]


def most(nodes: Sequence[Node], limit: int) -> tuple[list[Node], list[Node]]:
    """Return what stands by itself and what is bundled: those that are not well first, then the largest.

    A bundle of one would take the place that it saves.
    """
    if len(nodes) <= limit + 1:
        return sorted(nodes, key=_size), []
    ranked = sorted(nodes, key=lambda one: (not one.health.ails, *_size(one)))
    return sorted(ranked[:limit], key=_size), ranked[limit:]


def bundle(nodes: Sequence[Node], *, key: str, label: str, href: str) -> Node:
    """Return one node for several."""
    bad = [node.health for node in nodes if node.health.ails]
    health = worst(node.health for node in nodes)
    if bad:
        health = replace(health, word=f"{len(bad):,} of {len(nodes):,} {health.word}")
    return Node(
        key=key,
        column=nodes[0].column,
        label=label,
        href=href,
        health=health,
        requests=sum(node.requests or 0 for node in nodes),
        failed=sum(node.failed for node in nodes),
        bundle=True,
    )


def rename(links: Iterable[Link], names: Mapping[str, str]) -> list[Link]:
    """Return the links between what is shown, where `names` says which bundle a key is part of."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    plain: dict[tuple[str, str], None] = {}
    for link in links:
        ends = names.get(link.source, link.source), names.get(link.target, link.target)
        if link.requests is None:
            plain[ends] = None
        else:
            sums[ends][0] += link.requests
            sums[ends][1] += link.failed
    return [
        *(
            Link(source=a, target=b, requests=requests, failed=failed)
            for (a, b), (requests, failed) in sums.items()
        ),
        *(Link(source=a, target=b, requests=None) for a, b in plain),
    ]


def near(nodes: Sequence[Node], links: Sequence[Link], order: Mapping[str, float]) -> list[Node]:
    """Order a column by where its neighbours stand, so that few links cross; bundles stay last."""
    places: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for link in links:
        for end, other in ((link.source, link.target), (link.target, link.source)):
            if other in order:
                places[end].append((order[other], (link.requests or 0) + 1))

    def place(node: Node) -> tuple[bool, float, int, str]:
        found = places.get(node.key, [])
        weight = sum(one for _, one in found)
        middle = sum(at * one for at, one in found) / weight if weight else float("inf")
        return node.bundle, middle, -(node.requests or 0), node.label.lower()

    return sorted(nodes, key=place)


def _size(node: Node) -> tuple[int, str, str]:
    return -(node.requests or 0), node.label.lower(), node.key
