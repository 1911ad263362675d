"""Charts without a library: geometry by SVG attributes, colour by class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.templatetags.portal.numbers import CANNOT_TELL, finite, get, number
from apps.core.templatetags.portal.registry import register

#: The classes of an attempt's outcome, from best to worst, then what is not known. Key, words, explanation.
OUTCOMES: tuple[tuple[str, str], ...] = (
    ("first_try", "first try"),
    ("slow", "slow"),
    ("retried", "after retries"),
    ("came_back", "came back later"),
    ("gave_up", "gave up"),
    ("open", "still open"),
    ("cannot_tell", CANNOT_TELL),
)


@dataclass(frozen=True)
class Segment:
    """One part of an outcome bar: `x` and `width` are percentages of the bar."""

    key: str
    label: str
    count: int
    share: float
    x: float
    width: float

    @property
    def left(self) -> str:
        """Where it begins, as an SVG length."""
        return f"{self.x:.2f}%"

    @property
    def length(self) -> str:
        """How wide it is, as an SVG length."""
        return f"{self.width:.2f}%"


def segments(attempts: object) -> list[Segment]:
    """Split a bar by outcome. What happened at all is never narrower than 0.8 % of the bar."""
    counts = {key: int(finite(get(attempts, key)) or 0) for key, _ in OUTCOMES}
    total = sum(counts.values())
    if total <= 0:
        return []
    raw = {key: max(n / total * 100, 0.8) for key, n in counts.items() if n > 0}
    scale = 100 / sum(raw.values())
    found, x = [], 0.0
    for key, label in OUTCOMES:
        if key in raw:
            width = raw[key] * scale
            found.append(Segment(key, label, counts[key], counts[key] / total, x, width))
            x += width
    return found


@register.inclusion_tag("components/outcome_bar.html")
def outcome_bar(attempts: object, what: str = "attempts", *, slim: bool = False) -> dict[str, Any]:
    """Draw what became of attempts. `attempts` has the keys of OUTCOMES (a mapping or an object).

    `what` completes "Of 4,800 …"; `slim` is the bar alone, for a table's cell.
    """
    parts = segments(attempts)
    return {
        "segments": parts,
        "total": sum(part.count for part in parts),
        "what": what,
        "slim": slim,
        "label": ", ".join(f"{number(part.count)} {part.label}" for part in parts),
    }


@register.inclusion_tag("components/sparkline.html")
def sparkline(
    values: Iterable[object],
    label: str,
    state: str = "neutral",
    *,
    window: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Draw a small line from zero; None is a hole in it. `window` = first and last shaded index."""
    points = [finite(value) for value in values]
    top = max((float(p) for p in points if p is not None), default=0.0) or 1.0
    step = 100 / max(len(points) - 1, 1)
    lines: list[list[str]] = [[]]
    for index, point in enumerate(points):
        if point is None:
            lines.append([])
        else:
            lines[-1].append(f"{index * step:.2f},{22 - 20 * float(point) / top:.2f}")
    shade = None
    if window:
        left, right = window[0] * step, window[-1] * step
        shade = {"x": f"{left:.2f}", "width": f"{max(right - left, 1):.2f}"}
    # A lone point needs a second one to be seen.
    drawn = [line if len(line) > 1 else [line[0], line[0]] for line in lines if line]
    return {
        "lines": [" ".join(line) for line in drawn],
        "label": label,
        "state": state,
        "shade": shade,
    }
