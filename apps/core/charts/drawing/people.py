"""Who was hit how hard, and who came back."""

from collections.abc import Mapping
from math import log10
from typing import Any

from .furniture import LETTER, key_above
from .ink import INK
from .parts import altair, axis_with, put_together, rows_of, short

_HEIGHT = 240
_NAMED = 8
_SHAPES = {"hit": "circle", "partly_hit": "diamond", "slowed": "triangle-up"}


def scatter(data: Mapping[str, Any], width: int) -> Any:
    """Draw customers by size (log) and by the share that did not get through; the hardest hit have names."""
    alt = altair()
    dots = [
        {"n": name, "g": grade, "x": tried, "y": share}
        for name, grade, tried, share in data["dots"]
    ]
    sizes = [one["x"] for one in dots] or [1]
    least, most = 10 ** int(log10(min(sizes))), max(sizes) * 1.25
    if most < 10 * least:
        most = 10 * least
    top = min(1.04, max([0.1, *(one["y"] * 1.12 for one in dots)]))
    x = alt.X(
        "x:Q",
        scale=alt.Scale(type="log", domain=[least, most], nice=False),
        axis=alt.Axis(
            format="~s", grid=False, title="attempts (each step is ten times as many)", domain=True,
            values=[10**n for n in range(13) if least <= 10**n <= most], titleColor=INK["muted"],
            titleFontSize=12, titleFontWeight="normal", titleAlign="left", titleAnchor="start",
        ),
    )  # fmt: skip
    y = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=axis_with(format="%"),
        title=None,
    )
    grades = [grade for grade, _ in data["keys"]]
    points = (
        alt.Chart(rows_of(dots))
        .mark_point(size=64, opacity=1, strokeWidth=1.5)
        .encode(
            x=x,
            y=y,
            shape=alt.Shape(
                "g:N",
                legend=None,
                scale=alt.Scale(domain=grades, range=[_SHAPES[one] for one in grades]),
            ),
            color=alt.Color(
                "g:N",
                legend=None,
                scale=alt.Scale(domain=grades, range=[INK[one] for one in grades]),
            ),
        )
    )
    layers = [points]
    taken = [
        (_across(one["x"], least, most, width), (1 - one["y"] / top) * _HEIGHT, 0.0) for one in dots
    ]
    taken = [(left - 6, high, 12.0) for left, high, _ in taken]
    for one in dots[:_NAMED]:
        place, high = _across(one["x"], least, most, width), (1 - one["y"] / top) * _HEIGHT
        name = short(one["n"])
        wide = LETTER * len(name)
        for left, align, dx in ((place + 8, "left", 8), (place - 8 - wide, "right", -8)):
            fits = left >= 0 and left + wide <= width + 40
            if fits and not any(
                abs(high - other) < 13 and left < begin + long and begin < left + wide
                for begin, other, long in taken
            ):
                taken.append((left - 8, high, wide + 16))
                layers.append(
                    alt.Chart(rows_of([one]))
                    .mark_text(align=align, dx=dx, color=INK["text"], baseline="middle")
                    .encode(x=x, y=y, text=alt.value(name))
                )
                break
    key, _ = _shapes_above(data["keys"])
    return put_together([*layers, *key], width, _HEIGHT)


def _across(size: float, least: float, most: float, width: int) -> float:
    return log10(size / least) / log10(most / least) * width


def _shapes_above(keys: list[tuple[str, str]]) -> tuple[list[Any], int]:
    alt = altair()
    layers, left = [], 6.0
    for grade, label in keys:
        one = alt.Chart(rows_of([{}]))
        layers += [
            one.mark_point(
                size=64, opacity=1, strokeWidth=1.5, shape=_SHAPES[grade], color=INK[grade]
            ).encode(x=alt.value(left), y=alt.value(-16)),
            one.mark_text(align="left", baseline="middle", color=INK["text"]).encode(
                x=alt.value(left + 10), y=alt.value(-16), text=alt.value(label)
            ),
        ]
        left += 10 + LETTER * len(label) + 22
    return layers, 16


def away(data: Mapping[str, Any], width: int) -> Any:
    """Draw the share not seen again by day: theirs with its interval, the usual one dashed."""
    alt = altair()
    days = [
        {"d": day, "v": share, "low": low, "high": high, "u": usual, "ul": below, "uh": above}
        for day, share, low, high, usual, below, above in data["days"]
    ]
    x = alt.X(
        "d:Q",
        scale=alt.Scale(domain=[days[0]["d"], max(days[-1]["d"], days[0]["d"] + 1)], nice=False),
        axis=alt.Axis(
            grid=False, tickMinStep=1, format="d", title="days after", titleColor=INK["muted"],
            titleFontSize=12, titleFontWeight="normal", titleAlign="left", titleAnchor="start",
        ),
    )  # fmt: skip
    scale = alt.Scale(domain=[0, 1], nice=False)
    axis = axis_with(format="%")
    layers = []
    for low, high in (("ul", "uh"), ("low", "high")):
        known = [one for one in days if one[low] is not None and one[high] is not None]
        if len(known) > 1:
            layers.append(
                alt.Chart(rows_of(known))
                .mark_area(color=INK["band"])
                .encode(x=x, y=alt.Y(f"{low}:Q", scale=scale, title=None), y2=f"{high}:Q")
            )
    base = alt.Chart(rows_of(days))
    layers += [
        base.mark_line(color=INK["text"], strokeWidth=1.5, strokeDash=[4, 3]).encode(
            x=x, y=alt.Y("u:Q", scale=scale, axis=axis, title=None)
        ),
        base.mark_line(color=INK["line"], strokeWidth=2).encode(
            x=x, y=alt.Y("v:Q", scale=scale, axis=axis, title=None)
        ),
    ]
    key, _ = key_above(
        [("line", data["label"]), ("usual", data["usual"]), ("band", "95 % interval")],
        width,
        above=8,
    )
    return put_together([*layers, *key], width, 190)
