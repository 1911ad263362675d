"""The map as a nested list: the same places and links, for who reads by ear, by keyboard or on a phone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.incidents.system.shape import COLUMNS, Link, Node, Picture

LEADS = ("goes through", "is asked of", "stands on", "")
#: Where a place leads is told one by one for the largest ways, and all that is not well: fewer of each place
#: in a column of more than MANY.
TOLD, LESS, MANY = 6, 3, 16


@dataclass(frozen=True)
class Way:
    """A link from a place to the next."""

    to: Node
    requests: int | None


@dataclass(frozen=True)
class Place:
    """A place and where it leads, most of the traffic first; `more` ways are left out."""

    node: Node
    ways: Sequence[Way]
    more: int
    more_requests: int


@dataclass(frozen=True)
class Group:
    """Places that stand together; the title of a column's only group is empty."""

    title: str
    places: Sequence[Place]


@dataclass(frozen=True)
class Column:
    """One sort of place."""

    title: str
    leads: str  # how its places lead to the next
    groups: Sequence[Group]


def listed(picture: Picture) -> list[Column]:
    """Return a picture column by column."""
    leaving: dict[str, list[Link]] = defaultdict(list)
    for link in picture.links:
        leaving[link.source].append(link)
    columns = []
    for number, title in enumerate(COLUMNS):
        groups: dict[str, list[Place]] = defaultdict(list)
        nodes = picture.column(number)
        most = LESS if len(nodes) > MANY else TOLD
        for node in nodes:
            groups[node.group].append(_place(node, leaving[node.key], picture, most))
        found = [Group(name, places) for name, places in groups.items()]
        columns.append(Column(title, LEADS[number], found))
    return columns


def _place(node: Node, links: Sequence[Link], picture: Picture, most: int) -> Place:
    ways = [Way(picture.node(one.target), one.requests) for one in links]
    ways.sort(key=lambda one: (-(one.requests or 0), one.to.key))
    if len(ways) <= most + 1:  # "and 1 more" takes the place that it saves
        return Place(node, ways, 0, 0)
    told = [one for at, one in enumerate(ways) if at < most or one.to.health.ails]
    rest = len(ways) - len(told)
    requests = sum(one.requests or 0 for one in ways) - sum(one.requests or 0 for one in told)
    return Place(node, told, rest, requests)
