"""The map as a nested list: the same places and links, for who reads by ear, by keyboard or on a phone."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.incidents.system.shape import COLUMNS, Link, Node, Picture

LEADS = ("goes through", "is asked of", "stands on", "")


@dataclass(frozen=True)
class Way:
    """A link from a place to the next."""

    to: Node
    requests: int | None


@dataclass(frozen=True)
class Place:
    """A place and where it leads, most of the traffic first."""

    node: Node
    ways: Sequence[Way]


@dataclass(frozen=True)
class Column:
    """One sort of place."""

    title: str
    leads: str  # how its places lead to the next
    places: Sequence[Place]


def listed(picture: Picture) -> list[Column]:
    """Return a picture column by column."""
    leaving: dict[str, list[Link]] = defaultdict(list)
    for link in picture.links:
        leaving[link.source].append(link)
    return [
        Column(
            title,
            LEADS[number],
            [
                Place(
                    node,
                    [
                        Way(picture.node(one.target), one.requests)
                        for one in sorted(
                            leaving[node.key], key=lambda one: (-(one.requests or 0), one.target)
                        )
                    ],
                )
                for node in picture.column(number)
            ],
        )
        for number, title in enumerate(COLUMNS)
    ]
