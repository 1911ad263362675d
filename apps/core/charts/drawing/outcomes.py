"""What became of attempts: over time, and step by step of a journey."""

from collections.abc import Mapping
from typing import Any

from .furniture import ROW, key_above, marks_above
from .ink import INK
from .parts import altair, axis_with, put_together, rows_of, scale_for, short, time_axis

_HEIGHT = 200
_STEP = 52
_BAR = 16


def stacked(data: Mapping[str, Any], width: int) -> Any:
    """Draw attempts by outcome over time, the usual number as a dashed line, what we did as marks."""
    alt = altair()
    keys = data["keys"]
    steps = list(data["steps"])
    if data["end"]:  # the last step is as long as the others
        steps.append([data["end"], *steps[-1][1:]])
    rows, tops = [], []
    for at, *counts in steps:
        base = 0
        for order, ((key, _), count) in enumerate(zip(keys, counts, strict=True)):
            rows.append({"t": at, "k": key, "o": order, "low": base, "high": base + count})
            base += count
        tops.append(base)
    usual = [{"t": at, "v": value} for at, value in data["usual"]]
    scale = scale_for(0, max([*tops, *(one["v"] for one in usual), 1]), zero=True)
    x = time_axis(data)
    color = alt.Color(
        "k:N",
        legend=None,
        scale=alt.Scale(domain=[key for key, _ in keys], range=[INK[key] for key, _ in keys]),
    )
    layers = [
        alt.Chart(rows_of(rows))
        .mark_area(interpolate="step-after")
        .encode(
            x=x,
            y=alt.Y("low:Q", scale=scale, axis=axis_with(format="~s"), title=None),
            y2="high:Q",
            color=color,
            order="o:O",
        )
    ]
    if usual:
        layers.append(
            alt.Chart(rows_of(usual))
            .mark_line(
                color=INK["text"], strokeWidth=1.5, strokeDash=[4, 3], interpolate="step-after"
            )
            .encode(x=x, y=alt.Y("v:Q", scale=scale, title=None))
        )
    if data["known"]:
        unknown = [{"t": data["known"], "e": steps[-1][0]}]
        layers.append(
            alt.Chart(rows_of(unknown)).mark_rect(color=INK["cannot_tell"]).encode(x=x, x2="e:T")
        )
    if data["window"]:
        start, end = data["window"]
        layers.append(
            alt.Chart(rows_of([{"t": start, "e": end}]))
            .mark_rect(color=INK["tick"])
            .encode(x=x, x2="e:T", y=alt.value(-3), y2=alt.value(-1))
        )
    marks, high = marks_above(data, width, _HEIGHT)
    named = [(key, label) for key, label in keys]
    named += [("usual", "usual")] if usual else []
    named += [("cannot_tell", "not known yet")] if data["known"] else []
    key, _ = key_above(named, width, above=high + 10)
    return put_together([*layers, *marks, *key], width, _HEIGHT)


def steps(data: Mapping[str, Any], width: int) -> Any:
    """Draw each step's attempts as a bar, and how many are usual as a stroke in the range of single weeks."""
    alt = altair()
    keys, each = data["keys"], data["rows"]
    most = max(
        [
            1,
            *(sum(one["counts"]) for one in each),
            *(one["usual"][2] for one in each if one["usual"]),
        ]
    )
    scale = alt.Scale(domain=[0, most * 1.02], nice=False)
    x = alt.X("low:Q", scale=scale, axis=None, title=None)
    layers: list[Any] = []
    for place, one in enumerate(each):
        top = place * _STEP
        middle = top + 34
        base = 0
        lone = alt.Chart(rows_of([{}]))
        layers.append(
            lone.mark_text(align="left", baseline="top", color=INK["text"], fontWeight=600).encode(
                x=alt.value(0), y=alt.value(top + 4), text=alt.value(short(one["name"]))
            )
        )
        wide = width > 400
        said = f"{one['said']}; {one['usually']}" if wide and one["usually"] else one["said"]
        room = width - 7 * len(short(one["name"])) - 12
        if len(said) * 6.4 > room:
            said = one["said"].removesuffix(" got through")
        layers.append(
            lone.mark_text(align="right", baseline="top", color=INK["muted"]).encode(
                x=alt.value(width), y=alt.value(top + 4), text=alt.value(said)
            )
        )
        if one["usual"]:
            _, low, high = one["usual"]
            layers.append(
                alt.Chart(rows_of([{"low": low, "high": high}]))
                .mark_rect(color=INK["band"])
                .encode(x=x, x2="high:Q", y=alt.value(middle - 12), y2=alt.value(middle + 12))
            )
        for (key, _), count in zip(keys, one["counts"], strict=True):
            if count:
                layers.append(
                    alt.Chart(rows_of([{"low": base, "high": base + count}]))
                    .mark_rect(color=INK[key])
                    .encode(x=x, x2="high:Q", y=alt.value(middle - _BAR / 2), y2=alt.value(middle + _BAR / 2))
                )  # fmt: skip
                base += count
        if one["usual"]:
            layers.append(
                alt.Chart(rows_of([{"low": one["usual"][0]}]))
                .mark_rule(color=INK["tick"], strokeWidth=2)
                .encode(x=x, y=alt.value(middle - 12), y2=alt.value(middle + 12))
            )
    usual = [("tick", "usually tried")] if any(one["usual"] for one in each) else []
    key, _ = key_above([*((name, label) for name, label in keys), *usual], width, above=ROW // 2)
    return put_together([*layers, *key], width, _STEP * len(each))
