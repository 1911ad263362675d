"""What charts are made of: axes, scales, labels, the incident's window, holes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .ink import INK

_MOST_LETTERS = 26
HATCHED = 0.06  # of the axis: how long "cannot tell" is


def altair() -> Any:
    """Return Altair, imported when the first chart is drawn."""
    import altair  # noqa: PLC0415

    return altair


def rows_of(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows as Altair takes them."""
    return altair().Data(values=list(rows))


def scale_for(low: float, high: float, *, zero: bool) -> Any:
    """Return a scale from low to high, with some air at its ends."""
    if high <= low:
        high = low + 1
    pad = (high - low) * 0.06
    return altair().Scale(domain=[low if zero else low - pad, high + pad], nice=False, zero=zero)


def axis_with(**more: Any) -> Any:
    """Return an axis without a line or ticks."""
    return altair().Axis(domain=False, ticks=False, tickCount=more.pop("tickCount", 4), **more)


def time_axis(data: Mapping[str, Any]) -> Any:
    """Return the axis of the moments, in hours or in days."""
    alt = altair()
    moments = [one[0] for one in data.get("points") or data["steps"]]
    if data.get("end"):
        moments.append(data["end"])
    first, last = (datetime.fromisoformat(at) for at in (moments[0], moments[-1]))
    format_ = "%H:%M" if (last - first).total_seconds() < 2 * 86400 else "%-d %b"
    return alt.X(
        "t:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False),
        axis=alt.Axis(format=format_, grid=False, tickCount=5, labelFlush=True),
    )


def name_axis(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the axis of the rows' names, in their order."""
    alt = altair()
    axis = alt.Axis(
        domain=False,
        ticks=False,
        grid=False,
        labelLimit=170,
        labelPadding=8,
        labelColor=INK["text"],
    )
    return alt.Y("n:N", sort=[row["n"] for row in rows], title=None, axis=axis)


def behind(data: Mapping[str, Any], width: int) -> list[Any]:
    """The incident's window, and ticks where we said something."""
    alt = altair()
    layers = []
    if data["window"]:
        start, end = data["window"]
        values = rows_of([{"t": start, "e": end}])
        box = alt.Chart(values).encode(x=time_axis(data), x2="e:T")
        layers.append(box.mark_rect(color=INK["window"]))
        if not data.get("marks"):
            layers.append(
                alt.Chart(values)
                .mark_text(align="left", baseline="bottom", dx=1, dy=-5, color=INK["muted"])
                .encode(x=time_axis(data), y=alt.value(0), text=alt.value("incident"))
            )
    if data["ticks"]:
        layers.append(
            alt.Chart(rows_of([{"t": at} for at in data["ticks"]]))
            .mark_rule(color=INK["tick"], strokeWidth=2)
            .encode(x=time_axis(data), y=alt.value(183), y2=alt.value(190))
        )
    return layers


def holes(points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Hatch where nothing is known, from the last known moment to the next."""
    alt = altair()
    holes, start = [], None
    for before, one in zip([None, *points], points, strict=False):
        if one["v"] is None and start is None:
            start = (before or one)["t"]
        elif one["v"] is not None and start is not None:
            holes.append({"t": start, "e": one["t"]})
            start = None
    if start is not None:
        holes.append({"t": start, "e": points[-1]["t"]})
    if not holes:
        return []
    box = alt.Chart(rows_of(holes)).mark_rect(color=INK["cannot_tell"])
    return [box.encode(x=time_axis({"points": [[one["t"]] for one in points]}), x2="e:T")]


def end_label(at: str, place: float, label: str, ink: str, scale: Any) -> Any:
    """Return a label at the end of a line."""
    alt = altair()
    return (
        alt.Chart(rows_of([{"t": at, "v": place}]))
        .mark_text(align="left", dx=6, color=INK[ink], fontWeight=600 if ink == "line" else 400)
        .encode(
            x=alt.X("t:T", scale=alt.Scale(type="utc", nice=False)),
            y=alt.Y("v:Q", scale=scale),
            text=alt.value(short(label)),
        )
    )


def short(text: str) -> str:
    """Return the text, cut to what fits."""
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def put_together(layers: Sequence[Any], width: int, height: int) -> Any:
    """Return the layers as one chart, in the stand-ins' colours."""
    alt = altair()
    return (
        alt.layer(*layers)
        .properties(width=width, height=height, background="transparent", autosize=alt.AutoSizeParams(type="pad"))
        .configure(font="Liberation Sans, Arial, sans-serif", padding={"left": 2, "right": 4, "top": 16, "bottom": 2})
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK["muted"], labelFontSize=12, gridColor=INK["grid"], domainColor=INK["grid"],
            tickColor=INK["grid"], labelPadding=6,
        )
        .configure_text(fontSize=12)
    )  # fmt: skip


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Push places apart until each is at least `gap` from the one below, the lowest staying where it is."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap) if found else place)
    return found
