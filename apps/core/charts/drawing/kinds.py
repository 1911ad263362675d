"""The kinds of charts: from a chart's data and a width to an Altair chart."""

from collections.abc import Callable, Mapping
from typing import Any

from . import outcomes, people
from . import worst as worsts
from .furniture import marks_above
from .ink import INK
from .parts import (
    HATCHED,
    altair,
    axis_with,
    behind,
    end_label,
    holes,
    name_axis,
    put_together,
    rows_of,
    scale_for,
    short,
    time_axis,
)


def _line(data: Mapping[str, Any], width: int) -> Any:
    alt = altair()
    points = [{"t": at, "v": value} for at, value in data["points"]]
    known = [one["v"] for one in points if one["v"] is not None] or [0]
    bands = [{"t": at, "low": low, "high": high} for at, low, high in data["band"]]
    target = data["target"]
    levels = [target[0]] if target else []
    tops = [*known, *levels, *(one["high"] for one in bands)]
    lows = [*known, *levels, *(one["low"] for one in bands)]
    scale = scale_for(0 if data["zero"] else min(lows), max(tops), zero=data["zero"])
    y = alt.Y("v:Q", scale=scale, axis=axis_with(format="%" if data["share"] else "~s"), title=None)
    layers = behind(data, width)
    layers += holes(points)
    if bands:
        layers.append(
            alt.Chart(rows_of(bands))
            .mark_area(color=INK["band"])
            .encode(x=time_axis(data), y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q")
        )
        layers.append(
            end_label(
                bands[-1]["t"], (bands[-1]["low"] + bands[-1]["high"]) / 2, "usual", "muted", scale
            )
        )
    layers.append(
        alt.Chart(rows_of(points))
        .mark_line(color=INK["line"], strokeWidth=2, clip=False)
        .encode(x=time_axis(data), y=y)
    )
    last = next((one for one in reversed(points) if one["v"] is not None), None)
    if last and not data["marks"]:
        place = last["v"]
        if bands:  # apart from "usual"
            middle, gap = (
                (bands[-1]["low"] + bands[-1]["high"]) / 2,
                (scale.domain[1] - scale.domain[0]) * 0.09,
            )
            place = (
                place if abs(place - middle) > gap else middle + (gap if place >= middle else -gap)
            )
        layers.append(end_label(last["t"], place, data["label"], "line", scale))
    if target:
        level = alt.Chart(rows_of([{"v": target[0]}]))
        at = alt.Y("v:Q", scale=scale, title=None)
        layers += [
            level.mark_rule(color=INK["text"], strokeWidth=1.5, strokeDash=[6, 3]).encode(y=at),
            level.mark_text(align="left", baseline="top", dy=4, dx=2, color=INK["text"]).encode(
                x=alt.value(0), y=at, text=alt.value(target[1])
            ),
        ]
    marks, _ = marks_above(data, width, 190)
    return put_together([*layers, *marks], width, 190)


def _bars(data: Mapping[str, Any], width: int) -> Any:
    most = max((value or 0 for _, value, _ in data["bars"]), default=0) or 1
    rows = [
        {
            "n": short(name),
            "v": most * HATCHED if value is None else value,
            "said": said,
            "o": order,
        }
        | {"known": value is not None}
        for order, (name, value, said) in enumerate(data["bars"])
    ]
    alt = altair()
    base = alt.Chart(rows_of(rows)).encode(y=name_axis(rows))
    x = alt.X("v:Q", scale=alt.Scale(domain=[0, most * 1.25], nice=False), axis=None)
    drawn = [
        base.transform_filter(f"datum.known == {known}")
        .mark_bar(height=14, color=INK[ink])
        .encode(x=x)
        for known, ink in (("true", "bar"), ("false", "cannot_tell"))
    ]
    said = base.mark_text(align="left", dx=6, color=INK["text"]).encode(x=x, text="said:N")
    return put_together([*drawn, said], width, max(24 * len(rows), 24))


def _whiskers(data: Mapping[str, Any], width: int) -> Any:
    alt = altair()
    rows = [
        {"n": short(name), "v": value, "low": low, "high": high, "said": said, "o": order,
         "end": max(v for v in (value, high, 0) if v is not None)}
        for order, (name, value, low, high, said) in enumerate(data["rows"])
    ]  # fmt: skip
    most = max((row["end"] for row in rows), default=0) or 1
    least = min((row["low"] for row in rows if row["low"] is not None), default=0)
    scale = alt.Scale(domain=[min(0, least), most * 1.6], nice=False)
    base = alt.Chart(rows_of(rows)).encode(y=name_axis(rows))
    axis = axis_with(format="~s", tickCount=4)
    known = base.transform_filter("datum.low != null && datum.high != null")
    rule = known.mark_rule(color=INK["line"], strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, axis=axis, title=None), x2="high:Q"
    )
    caps = [
        known.mark_tick(color=INK["line"], thickness=2, size=9).encode(
            x=alt.X(f"{end}:Q", scale=scale, title=None)
        )
        for end in ("low", "high")
    ]
    point = (
        base.transform_filter("datum.v != null")
        .mark_point(color=INK["line"], fill=INK["line"], size=50, opacity=1)
        .encode(x=alt.X("v:Q", scale=scale, title=None))
    )
    # What cannot be told is hatched, as everywhere.
    for row in rows:
        if row["v"] is None:
            row["low"], row["high"] = None, None
            row["end"] = scale.domain[0] + (scale.domain[1] - scale.domain[0]) * HATCHED
    unknown = (
        base.transform_filter("datum.v == null")
        .mark_bar(height=12, color=INK["cannot_tell"])
        .encode(x=alt.X("end:Q", scale=scale, title=None))
    )
    said = base.mark_text(align="left", dx=8, color=INK["text"]).encode(
        x=alt.X("end:Q", scale=scale, title=None), text="said:N"
    )
    return put_together([rule, *caps, unknown, point, said], width, max(30 * len(rows), 30))


KINDS: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
    "line": _line,
    "stacked": outcomes.stacked,
    "steps": outcomes.steps,
    "scatter": people.scatter,
    "away": people.away,
    "worst": worsts.worst,
    "bars": _bars,
    "whiskers": _whiskers,
}
