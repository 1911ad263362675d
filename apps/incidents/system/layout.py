"""Where everything stands: boxes in four columns, ribbons as wide as their traffic. Knows no tables."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from apps.incidents.system.lettering import cut, width_of
from apps.incidents.system.shape import COLUMNS, STATES, Link, Node, Picture

WIDTH, BOX = 1200.0, 214.0
GAP = (WIDTH - 4 * BOX) / 3
HEAD, GROUP = 30.0, 22.0  # the height of a column's heading, of a group's
BETWEEN, CLOSE = 10.0, 4.0  # boxes of two lines, of one
TALL, LOW = 42.0, 26.0  # the least height of a box: with two lines, with one
#: More boxes than this in a column: one line each, but for the high ones.
MANY = 16
#: What all traffic together may be high.
FLOW = 340.0
#: No ribbon is thinner than HAIR. Thinner ones than OWN are drawn together: nobody points at one of them.
HAIR, OWN = 1.0, 3.0
LABEL, SMALL = 13.0, 11.5  # sizes of letters; static/css/system.css says the same
LEFT, RIGHT = 34.0, 10.0  # of a box: where its text begins and ends


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
        room = BOX - LEFT - RIGHT
        if self.lines == 1:
            room -= width_of(self.small, SMALL) + 8
        return cut(self.node.label, LABEL, room, bold=True)

    @property
    def small(self) -> str:
        """What is said beside or below the label: how it is, and how much of it there is."""
        node = self.node
        if self.lines == 1:
            return f"{node.requests:,}" if node.requests else ""
        parts = [] if node.health.state == "fine" else [node.health.word]
        if node.requests is None:
            parts.append(node.note.partition(",")[0])
        elif node.requests:
            parts.append(f"{node.requests:,} requests" if not parts else f"{node.requests:,}")
        return cut(" · ".join(one for one in parts if one), SMALL, BOX - LEFT - RIGHT)

    @property
    def edge(self) -> str:
        """The coloured edge at the left, rounded with the box."""
        return f"M{self.x + 5:.1f} {self.y:.1f}a5 5 0 0 0-5 5v{self.height - 10:.1f}a5 5 0 0 0 5 5z"

    @property
    def first_line(self) -> float:
        """The base line of the label."""
        return self.y + (18 if self.lines == 2 else self.height / 2 + 4.5)

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
        return self.x + LEFT

    @property
    def end_x(self) -> float:
        """The right of what stands at the end of the line."""
        return self.x + BOX - RIGHT


@dataclass(frozen=True)
class Ribbon:
    """A link with its shape, or many thin ones of a state: filled where traffic is measured, else a line."""

    path: str
    state: str
    measured: bool
    says: str = ""


@dataclass(frozen=True)
class Heading:
    """The name of a column or of a group in it."""

    text: str
    x: float
    y: float
    group: bool = False


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
    many = max((len(one) for one in columns), default=0) > MANY
    least, between = (LOW, CLOSE) if many else (TALL, BETWEEN)
    scale = _scale(columns)
    grouped = any(node.group for node in picture.nodes)
    top = HEAD + (GROUP if grouped else 0)
    boxes: dict[str, Box] = {}
    headings: list[Heading] = []
    bottom = top + TALL
    for number, nodes in enumerate(columns):
        x, y, group = number * (BOX + GAP), top, ""
        headings.append(Heading(COLUMNS[number], x, 14))
        if not nodes:
            headings.append(Heading("None noted yet", x, top + 14, group=True))
        for node in nodes:
            if node.group != group:
                group = node.group
                y += GROUP if y > top else 0
                headings.append(Heading(group, x, y - 8, group=True))
            # What stands for several has more to say than a name.
            height = max(TALL if node.bundle else least, (node.requests or 0) * scale)
            boxes[node.key] = Box(node, x, y, height, 2 if height >= TALL else 1)
            y += height + between
        bottom = max(bottom, y)
    return Drawing(
        boxes=list(boxes.values()),
        ribbons=_ribbons(picture.links, boxes, scale),
        headings=headings,
        height=round(bottom, 1),
    )


def _scale(columns: Sequence[Sequence[Node]]) -> float:
    largest = max((sum(node.requests or 0 for node in nodes) for nodes in columns), default=0)
    return FLOW / largest if largest else 0.0


def _ribbons(links: Sequence[Link], boxes: Mapping[str, Box], scale: float) -> list[Ribbon]:
    widths = {link: max(HAIR, (link.requests or 0) * scale) for link in links}
    leaves = _ends(links, boxes, widths, out=True)
    arrives = _ends(links, boxes, widths, out=False)
    found = []
    thin: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for link in links:
        a, b, width = boxes[link.source], boxes[link.target], widths[link]
        x1, y1, x2, y2 = a.x + BOX, leaves[link], b.x, arrives[link]
        measured = link.requests is not None
        # As well as the better of its ends: what is fine at one end has not come through here.
        state = max(a.node.health, b.node.health, key=lambda one: STATES.index(one.state)).state
        path = _band(x1, y1, x2, y2, width) if measured else _line(x1, y1, x2, y2, width)
        if measured and width >= OWN:
            says = f"{a.node.label} → {b.node.label}: {link.requests:,} requests"
            found.append(Ribbon(path, state, measured, says))
        else:
            thin[state, measured].append(path)
    found += [Ribbon("".join(paths), *key) for key, paths in thin.items()]
    # The sick ones lie on top.
    return sorted(found, key=lambda one: -STATES.index(one.state))


def _ends(
    links: Iterable[Link], boxes: Mapping[str, Box], widths: Mapping[Link, float], *, out: bool
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
        f"M{x1:.0f} {y1:.1f}C{bend:.0f} {y1:.1f} {bend:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
        f"v{width:.1f}C{bend:.0f} {y2 + width:.1f} {bend:.0f} {y1 + width:.1f} {x1:.0f} {y1 + width:.1f}z"
    )


def _line(x1: float, y1: float, x2: float, y2: float, width: float) -> str:
    bend, half = (x1 + x2) / 2, width / 2
    return (
        f"M{x1:.0f} {y1 + half:.1f}C{bend:.0f} {y1 + half:.1f} "
        f"{bend:.0f} {y2 + half:.1f} {x2:.0f} {y2 + half:.1f}"
    )
