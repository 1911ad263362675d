"""Where everything stands: boxes in four columns, ribbons as wide as their traffic. Knows no tables."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from apps.incidents.system.shape import COLUMNS, STATES, Link, Node, Picture

WIDTH, BOX, HEAD = 1200.0, 208.0, 34.0
GAP = (WIDTH - 4 * BOX) / 3
BETWEEN = 10.0  # boxes
TALL, LOW = 42.0, 26.0  # the least height of a box: with two lines, with one
#: More boxes than this in a column: one line each.
MANY = 16
#: What all traffic together may be high.
FLOW = 340.0
LETTER, SMALL_LETTER = 7.3, 6.1  # the width of a letter, roughly: a server cannot measure text


@dataclass(frozen=True)
class Box:
    """A node with its place."""

    node: Node
    x: float
    y: float
    height: float
    lines: int

    @property
    def text(self) -> str:
        """The label, cut to what fits."""
        most = int((BOX - 44) / LETTER)
        label = self.node.label
        return label if len(label) <= most else label[: most - 1].rstrip() + "…"

    @property
    def small(self) -> str:
        """What is said below the label: how it is, and how much of it there is."""
        node = self.node
        parts = [] if node.health.state == "fine" else [node.health.word]
        if node.requests is None:
            parts.append(node.note.partition(",")[0])
        elif node.requests:
            parts.append(f"{node.requests:,} requests" if not parts else f"{node.requests:,}")
        text = " · ".join(one for one in parts if one)
        most = int((BOX - 44) / SMALL_LETTER)
        return text if len(text) <= most else text[: most - 1].rstrip() + "…"

    @property
    def edge(self) -> str:
        """The coloured edge at the left, rounded with the box."""
        return (
            f"M{self.x + 5:.1f} {self.y:.1f}h-0a5 5 0 0 0-5 5v{self.height - 10:.1f}a5 5 0 0 0 5 5z"
        )

    @property
    def first_line(self) -> float:
        """The base line of the label."""
        return self.y + (18 if self.lines == 2 else min(self.height, LOW) / 2 + 4.5)

    @property
    def second_line(self) -> float:
        """The base line of what is said below."""
        return self.y + 34

    @property
    def icon_y(self) -> float:
        """The top of the icon."""
        return self.first_line - 11.5

    @property
    def icon_x(self) -> float:
        """The left of the icon."""
        return self.x + 14

    @property
    def text_x(self) -> float:
        """The left of the text."""
        return self.x + 34


@dataclass(frozen=True)
class Ribbon:
    """A link with its shape: filled where traffic is measured, a line where it is not."""

    link: Link
    path: str
    state: str
    measured: bool
    says: str


@dataclass(frozen=True)
class Heading:
    """The name of a column."""

    text: str
    x: float


@dataclass(frozen=True)
class Drawing:
    """A picture, ready to be written as SVG."""

    boxes: Sequence[Box]
    ribbons: Sequence[Ribbon]
    headings: Sequence[Heading]
    height: float
    width: float = WIDTH
    box: float = BOX


def draw(picture: Picture) -> Drawing:
    """Set a picture on a page; the same picture always looks the same."""
    columns = [picture.column(number) for number in range(len(COLUMNS))]
    lines = 1 if max((len(one) for one in columns), default=0) > MANY else 2
    scale = _scale(columns)
    boxes: dict[str, Box] = {}
    bottom = HEAD + TALL
    for number, nodes in enumerate(columns):
        y = HEAD
        for node in nodes:
            least = TALL if lines == 2 else LOW
            height = max(least, (node.requests or 0) * scale)
            boxes[node.key] = Box(node, number * (BOX + GAP), y, height, lines)
            y += height + (BETWEEN if lines == 2 else BETWEEN / 2)
        bottom = max(bottom, y)
    return Drawing(
        boxes=list(boxes.values()),
        ribbons=_ribbons(picture.links, boxes, scale),
        headings=[Heading(text, at * (BOX + GAP)) for at, text in enumerate(COLUMNS)],
        height=round(bottom, 1),
    )


def _scale(columns: Sequence[Sequence[Node]]) -> float:
    largest = max((sum(node.requests or 0 for node in nodes) for nodes in columns), default=0)
    return FLOW / largest if largest else 0.0


def _ribbons(links: Sequence[Link], boxes: dict[str, Box], scale: float) -> list[Ribbon]:
    widths = {
        link: max(1.0, (link.requests or 0) * scale) if link.requests is not None else 1.5
        for link in links
    }
    leaves = _ends(links, boxes, widths, out=True)
    arrives = _ends(links, boxes, widths, out=False)
    found = []
    for link in links:
        a, b, width = boxes[link.source], boxes[link.target], widths[link]
        x1, y1, x2, y2 = a.x + BOX, leaves[link], b.x, arrives[link]
        measured = link.requests is not None
        # As well as the better of its ends: what is fine at one end has not come through here.
        better = max(a.node.health, b.node.health, key=lambda one: STATES.index(one.state))
        says = f"{a.node.label} → {b.node.label}"
        if measured:
            says += f": {link.requests:,} requests"
        path = _band(x1, y1, x2, y2, width) if measured else _line(x1, y1, x2, y2, width)
        found.append(Ribbon(link, path, better.state, measured, says))
    # The sick ones lie on top.
    return sorted(found, key=lambda one: -STATES.index(one.state))


def _ends(
    links: Sequence[Link], boxes: dict[str, Box], widths: dict[Link, float], *, out: bool
) -> dict[Link, float]:
    """Return the top of each link at one side of its box, in the order of where it comes from or goes."""
    at: dict[str, list[Link]] = defaultdict(list)
    for link in links:
        at[link.source if out else link.target].append(link)
    tops: dict[Link, float] = {}
    for key, several in at.items():
        several.sort(key=lambda one: boxes[one.target if out else one.source].y)
        box, total = boxes[key], sum(widths[one] for one in several)
        # Thin links into a box are spread a little, so that they can be told apart.
        spare = max(0.0, min(box.height - 8 - total, 3.0 * (len(several) - 1)))
        step = spare / (len(several) - 1) if len(several) > 1 else 0.0
        y = box.y + max(0.0, (box.height - total - spare) / 2)
        squeeze = min(1.0, box.height / total) if total else 1.0
        for one in several:
            tops[one] = y
            y += widths[one] * squeeze + step
    return tops


def _band(x1: float, y1: float, x2: float, y2: float, width: float) -> str:
    bend = (x1 + x2) / 2
    return (
        f"M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        f"v{width:.1f}C{bend:.1f} {y2 + width:.1f} {bend:.1f} {y1 + width:.1f} {x1:.1f} {y1 + width:.1f}z"
    )


def _line(x1: float, y1: float, x2: float, y2: float, width: float) -> str:
    bend, half = (x1 + x2) / 2, width / 2
    return (
        f"M{x1:.1f} {y1 + half:.1f}C{bend:.1f} {y1 + half:.1f} "
        f"{bend:.1f} {y2 + half:.1f} {x2:.1f} {y2 + half:.1f}"
    )
