"""How bad it was at its worst, by the length of the window."""

from collections.abc import Mapping
from typing import Any

from .ink import INK
from .parts import altair, axis_with, put_together, rows_of, scale_for

_HEIGHT = 190
_NARROW = 400  # px, below which each second length has no name
_NAMED_AT_MOST = 7


def worst(data: Mapping[str, Any], width: int) -> Any:
    """Draw the worst share of each length as a rising line, its points the lengths, beside the target."""
    alt = altair()
    points = [
        {"n": name, "v": share, "o": order} for order, (name, share) in enumerate(data["windows"])
    ]
    target = data["target"]
    shares = [one["v"] for one in points] + ([target[0]] if target else [])
    scale = scale_for(min(shares), max(shares), zero=False)
    scale.domain = [max(0, scale.domain[0]), scale.domain[1]]
    every = 2 if width < _NARROW and len(points) > _NAMED_AT_MOST // 2 + 1 else 1
    x = alt.X(
        "n:N",
        sort=[one["n"] for one in points],
        scale=alt.Scale(type="point", padding=0.4),
        axis=alt.Axis(
            grid=False, labelAngle=0, values=[one["n"] for one in points[::every]], ticks=False,
            title="how long one looks", titleColor=INK["muted"], titleFontSize=12,
            titleFontWeight="normal", titleAlign="left", titleAnchor="start",
        ),
    )  # fmt: skip
    y = alt.Y("v:Q", scale=scale, axis=axis_with(format="~%"), title=None)
    base = alt.Chart(rows_of(points))
    layers = [
        base.mark_line(color=INK["line"], strokeWidth=2).encode(x=x, y=y),
        base.mark_point(color=INK["line"], fill=INK["line"], size=40, opacity=1).encode(x=x, y=y),
    ]
    if target:
        level = alt.Chart(rows_of([{"v": target[0]}]))
        at = alt.Y("v:Q", scale=scale, title=None)
        layers += [
            level.mark_rule(color=INK["text"], strokeWidth=1.5, strokeDash=[6, 3]).encode(y=at),
            level.mark_text(align="left", baseline="top", dy=4, dx=2, color=INK["text"]).encode(
                x=alt.value(0), y=at, text=alt.value(target[1])
            ),
        ]
    return put_together(layers, width, _HEIGHT)
