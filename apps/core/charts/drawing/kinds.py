"""Draw charts: data → Altair → vl-convert → SVG whose colours are the page's. Run by a process of its own.

Reads one chart a line on stdin (`Chart.asked`) and writes one line each: {"svg": …} or {"error": …}. The same chart
gives the same bytes. Colours are set to stand-ins that become classes, so that one drawing serves light, dark and
high contrast under a policy without inline styles; text stays text, in the page's own font.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.etree import ElementTree

import orjson

#: Wide, for a panel; narrow, for a phone or a column. The stylesheet shows the one that fits.
WIDTHS = {"wide": 560, "narrow": 290}
LARGEST = 400_000  # bytes of one SVG

#: Stand-in -> class. Every colour that a drawing may use.
INK = {
    "line": "#010001", "band": "#010002", "window": "#010003", "grid": "#010004", "text": "#010005",
    "muted": "#010006", "bar": "#010007", "unknown": "#010008", "tick": "#010009",
    "first_try": "#010011", "slow": "#010012", "retried": "#010013", "came_back": "#010014",
    "gave_up": "#010015", "open": "#010016", "cannot_tell": "#010017",
}  # fmt: skip
_CLASSES = {colour: name for name, colour in INK.items()}
_KEPT = frozenset(
    {
        "d",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "r",
        "width",
        "height",
        "transform",
        "dx",
        "dy",
    }
    | {"fill", "fill-opacity", "opacity", "stroke", "stroke-width", "stroke-dasharray"}
    | {"text-anchor", "font-size", "font-weight"}
)
_SVG = "{http://www.w3.org/2000/svg}"
_MOST_LETTERS = 26
_HATCHED = 0.06  # of the axis: how long "cannot tell" is


def draw(asked: Mapping[str, Any]) -> str:
    """Return both sizes of a chart as one piece of markup."""
    import vl_convert  # noqa: PLC0415  (heavy: only the process that draws pays for it)

    build = _KINDS[asked["kind"]]
    pieces = []
    for name, width in WIDTHS.items():
        spec = build(asked["data"], width).to_dict()
        svg = vl_convert.vegalite_to_svg(spec)
        pieces.append(themed(svg, size=name, title=asked["title"], summary=asked["summary"]))
    whole = "".join(pieces)
    if len(whole) > LARGEST:
        raise ValueError(f"the drawing has {len(whole)} bytes")
    return whole


# The kinds


def _line(data: Mapping[str, Any], width: int) -> Any:
    alt = _altair()
    points = [{"t": at, "v": value} for at, value in data["points"]]
    known = [one["v"] for one in points if one["v"] is not None] or [0]
    bands = [{"t": at, "low": low, "high": high} for at, low, high in data["band"]]
    tops = [*known, *(one["high"] for one in bands)]
    lows = [*known, *(one["low"] for one in bands)]
    scale = _scale(0 if data["zero"] else min(lows), max(tops), zero=data["zero"])
    y = alt.Y("v:Q", scale=scale, axis=_axis(format="%" if data["share"] else "~s"), title=None)
    layers = _behind(data, width)
    layers += _holes(points)
    if bands:
        layers.append(
            alt.Chart(_values(bands))
            .mark_area(color=INK["band"])
            .encode(x=_time(data), y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q")
        )
        layers.append(
            _end_label(
                bands[-1]["t"], (bands[-1]["low"] + bands[-1]["high"]) / 2, "usual", "muted", scale
            )
        )
    layers.append(
        alt.Chart(_values(points))
        .mark_line(color=INK["line"], strokeWidth=2, clip=False)
        .encode(x=_time(data), y=y)
    )
    last = next((one for one in reversed(points) if one["v"] is not None), None)
    if last:
        place = last["v"]
        if bands:  # apart from "usual"
            middle, gap = (
                (bands[-1]["low"] + bands[-1]["high"]) / 2,
                (scale.domain[1] - scale.domain[0]) * 0.09,
            )
            place = (
                place if abs(place - middle) > gap else middle + (gap if place >= middle else -gap)
            )
        layers.append(_end_label(last["t"], place, data["label"], "line", scale))
    return _whole(layers, width, 190)


def _stacked(data: Mapping[str, Any], width: int) -> Any:
    alt = _altair()
    keys = data["keys"]
    rows, tops = [], []
    for at, *counts in data["steps"]:
        base = 0
        for order, ((key, _), count) in enumerate(zip(keys, counts, strict=True)):
            rows.append({"t": at, "k": key, "o": order, "low": base, "high": base + count})
            base += count
        tops.append(base)
    scale = _scale(0, max(tops, default=1), zero=True)
    color = alt.Color(
        "k:N",
        legend=None,
        scale=alt.Scale(domain=[key for key, _ in keys], range=[INK[key] for key, _ in keys]),
    )
    areas = (
        alt.Chart(_values(rows))
        .mark_area(interpolate="step-after")
        .encode(
            x=_time(data),
            y=alt.Y("low:Q", scale=scale, axis=_axis(format="~s"), title=None),
            y2="high:Q",
            color=color,
            order="o:O",
        )
    )
    last = [row for row in rows if row["t"] == data["steps"][-1][0]]
    gap = (scale.domain[1] - scale.domain[0]) * 0.085
    places = spread([(row["low"] + row["high"]) / 2 for row in last], gap)
    labels = [
        _end_label(data["steps"][-1][0], place, label, "text", scale)
        for place, (_, label) in zip(places, keys, strict=True)
    ]
    return _whole([areas, *_behind(data, width, over=True), *labels], width, 200)


def _bars(data: Mapping[str, Any], width: int) -> Any:
    most = max((value or 0 for _, value, _ in data["bars"]), default=0) or 1
    rows = [
        {
            "n": _short(name),
            "v": most * _HATCHED if value is None else value,
            "said": said,
            "o": order,
        }
        | {"known": value is not None}
        for order, (name, value, said) in enumerate(data["bars"])
    ]
    alt = _altair()
    base = alt.Chart(_values(rows)).encode(y=_names(rows))
    x = alt.X("v:Q", scale=alt.Scale(domain=[0, most * 1.25], nice=False), axis=None)
    drawn = [
        base.transform_filter(f"datum.known == {known}")
        .mark_bar(height=14, color=INK[ink])
        .encode(x=x)
        for known, ink in (("true", "bar"), ("false", "cannot_tell"))
    ]
    said = base.mark_text(align="left", dx=6, color=INK["text"]).encode(x=x, text="said:N")
    return _whole([*drawn, said], width, max(24 * len(rows), 24))


def _whiskers(data: Mapping[str, Any], width: int) -> Any:
    alt = _altair()
    rows = [
        {"n": _short(name), "v": value, "low": low, "high": high, "said": said, "o": order,
         "end": max(v for v in (value, high, 0) if v is not None)}
        for order, (name, value, low, high, said) in enumerate(data["rows"])
    ]  # fmt: skip
    most = max((row["end"] for row in rows), default=0) or 1
    least = min((row["low"] for row in rows if row["low"] is not None), default=0)
    scale = alt.Scale(domain=[min(0, least), most * 1.6], nice=False)
    base = alt.Chart(_values(rows)).encode(y=_names(rows))
    axis = _axis(format="~s", tickCount=4)
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
            row["end"] = scale.domain[0] + (scale.domain[1] - scale.domain[0]) * _HATCHED
    unknown = (
        base.transform_filter("datum.v == null")
        .mark_bar(height=12, color=INK["cannot_tell"])
        .encode(x=alt.X("end:Q", scale=scale, title=None))
    )
    said = base.mark_text(align="left", dx=8, color=INK["text"]).encode(
        x=alt.X("end:Q", scale=scale, title=None), text="said:N"
    )
    return _whole([rule, *caps, unknown, point, said], width, max(30 * len(rows), 30))


_KINDS: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
    "line": _line,
    "stacked": _stacked,
    "bars": _bars,
    "whiskers": _whiskers,
}


# Parts of them


def _altair() -> Any:
    import altair  # noqa: PLC0415

    return altair


def _values(rows: Sequence[Mapping[str, Any]]) -> Any:
    return _altair().Data(values=list(rows))


def _scale(low: float, high: float, *, zero: bool) -> Any:
    if high <= low:
        high = low + 1
    pad = (high - low) * 0.06
    return _altair().Scale(domain=[low if zero else low - pad, high + pad], nice=False, zero=zero)


def _axis(**more: Any) -> Any:
    return _altair().Axis(domain=False, ticks=False, tickCount=more.pop("tickCount", 4), **more)


def _time(data: Mapping[str, Any]) -> Any:
    alt = _altair()
    moments = [one[0] for one in data.get("points") or data["steps"]]
    first, last = (datetime.fromisoformat(at) for at in (moments[0], moments[-1]))
    format_ = "%H:%M" if (last - first).total_seconds() < 2 * 86400 else "%-d %b"
    return alt.X(
        "t:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False),
        axis=alt.Axis(format=format_, grid=False, tickCount=5, labelFlush=True),
    )


def _names(rows: Sequence[Mapping[str, Any]]) -> Any:
    alt = _altair()
    axis = alt.Axis(
        domain=False,
        ticks=False,
        grid=False,
        labelLimit=170,
        labelPadding=8,
        labelColor=INK["text"],
    )
    return alt.Y("n:N", sort=[row["n"] for row in rows], title=None, axis=axis)


def _behind(data: Mapping[str, Any], width: int, *, over: bool = False) -> list[Any]:
    """The incident's window, and ticks where we said something."""
    alt = _altair()
    layers = []
    if data["window"]:
        start, end = data["window"]
        values = _values([{"t": start, "e": end}])
        box = alt.Chart(values).encode(x=_time(data), x2="e:T")
        # Over what is filled, the window is a line above; behind a line it is a ground.
        shade = (
            box.mark_rect(color=INK["tick"]).encode(y=alt.value(-3), y2=alt.value(-1))
            if over
            else box.mark_rect(color=INK["window"])
        )
        label = (
            alt.Chart(values)
            .mark_text(align="left", baseline="bottom", dx=1, dy=-5, color=INK["muted"])
            .encode(x=_time(data), y=alt.value(0), text=alt.value("incident"))
        )
        layers += [shade, label]
    if data["ticks"]:
        layers.append(
            alt.Chart(_values([{"t": at} for at in data["ticks"]]))
            .mark_rule(color=INK["tick"], strokeWidth=2)
            .encode(x=_time(data), y=alt.value(183), y2=alt.value(190))
        )
    return layers


def _holes(points: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Hatch where nothing is known, from the last known moment to the next."""
    alt = _altair()
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
    box = alt.Chart(_values(holes)).mark_rect(color=INK["cannot_tell"])
    return [box.encode(x=_time({"points": [[one["t"]] for one in points]}), x2="e:T")]


def _end_label(at: str, place: float, label: str, ink: str, scale: Any) -> Any:
    alt = _altair()
    return (
        alt.Chart(_values([{"t": at, "v": place}]))
        .mark_text(align="left", dx=6, color=INK[ink], fontWeight=600 if ink == "line" else 400)
        .encode(
            x=alt.X("t:T", scale=alt.Scale(type="utc", nice=False)),
            y=alt.Y("v:Q", scale=scale),
            text=alt.value(_short(label)),
        )
    )


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"


def _whole(layers: Sequence[Any], width: int, height: int) -> Any:
    alt = _altair()
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


# From Vega's SVG to ours


def themed(svg: str, *, size: str, title: str, summary: str) -> str:
    """Return the SVG with classes for colours, a title and a description, and nothing that a policy forbids."""
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(svg)  # noqa: S314  (made here, by vl-convert)
    box = root.attrib["viewBox"]
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("class") == "background" or child.get("fill") == "transparent":
                parent.remove(child)
    for element in root.iter():
        _dress(element)
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "class": f"chart chart-{size}", "role": "img"})
    for place, (name, text) in enumerate((("title", title), ("desc", summary))):
        said = ElementTree.Element(f"{_SVG}{name}")
        said.text = text
        root.insert(place, said)
    return ElementTree.tostring(root, encoding="unicode")


def _dress(element: ElementTree.Element) -> None:
    classes = []
    for attribute in ("fill", "stroke"):
        name = _CLASSES.get(element.get(attribute, ""))
        if name:
            classes.append(f"{attribute}-{name}")
            del element.attrib[attribute]
    for attribute in set(element.attrib) - _KEPT:
        del element.attrib[attribute]
    if classes:
        element.set("class", " ".join(classes))


def main() -> None:
    """Draw what comes in until nothing more does."""
    for asked in sys.stdin.buffer:
        try:
            answer = {"svg": draw(orjson.loads(asked))}
        except Exception as error:  # noqa: BLE001  (whatever Altair or V8 says, the asker is told)
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
