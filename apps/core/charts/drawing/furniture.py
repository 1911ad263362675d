"""What stands above a plot: the key of its fills, and the marks of what we did, none over another."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .ink import INK
from .parts import altair, rows_of, time_axis

LETTER = 6.0  # px, on average, at 12 px
ROW = 16
SWATCH = 10
#: Keys that are lines: ink, width, dashes.
_LINES = {"usual": ("text", 1.5, [3, 2]), "line": ("line", 2, [1, 0])}


def key_above(keys: Sequence[tuple[str, str]], width: int, *, above: int) -> tuple[list[Any], int]:
    """Return the key as layers, in rows that fit `width`, its last row `above` px over the plot; and its height.

    A key is an ink and its words; "usual" is a dashed line, "tick" a stroke.
    """
    alt = altair()
    placed, x, row = [], 0.0, 0
    for ink, label in keys:
        wide = SWATCH + 6 + LETTER * len(label) + 12
        if x and x + wide > width:
            x, row = 0.0, row + 1
        placed.append((ink, label, x, row))
        x += wide
    rows = row + 1 if placed else 0
    layers = []
    for ink, label, left, row in placed:
        middle = -above - (rows - 1 - row) * ROW - 6
        one = alt.Chart(rows_of([{}]))
        if ink in _LINES:
            color, thick, dashes = _LINES[ink]
            layers.append(
                one.mark_rule(color=INK[color], strokeWidth=thick, strokeDash=dashes).encode(
                    x=alt.value(left), x2=alt.value(left + SWATCH), y=alt.value(middle)
                )
            )
        elif ink == "tick":
            layers.append(
                one.mark_rect(color=INK["tick"]).encode(
                    x=alt.value(left + 4), x2=alt.value(left + 6),
                    y=alt.value(middle - 7), y2=alt.value(middle + 7),
                )
            )  # fmt: skip
        else:
            layers.append(
                one.mark_rect(color=INK[ink]).encode(
                    x=alt.value(left), x2=alt.value(left + SWATCH),
                    y=alt.value(middle - 5), y2=alt.value(middle + 5),
                )
            )  # fmt: skip
        layers.append(
            one.mark_text(align="left", baseline="middle", color=INK["text"]).encode(
                x=alt.value(left + SWATCH + 6), y=alt.value(middle), text=alt.value(label)
            )
        )
    return layers, rows * ROW


def marks_above(
    data: Mapping[str, Any], width: int, height: int, *, most_rows: int = 5
) -> tuple[list[Any], int]:
    """Return named moments as lines through the plot with their words over it, and how high those stand.

    A word stands right of its line, and higher than those whose lines would cross it. One that finds no
    place in `most_rows` rows is left out; its line stays.
    """
    alt = altair()
    if not data.get("marks"):
        return [], 0
    moments = [datetime.fromisoformat(at).timestamp() for at in _span(data)]
    first, long = moments[0], max(moments[-1] - moments[0], 1)
    later: list[tuple[float, int]] = []  # where a line stands, and to which row it reaches
    layers, used = [], 0
    for at, label in sorted(data["marks"], reverse=True):
        x = (datetime.fromisoformat(at).timestamp() - first) / long * width
        end = x + LETTER * len(label) + 8
        row = max((other + 1 for place, other in later if place < end), default=0)
        named = row < most_rows
        top = -(row + 1) * ROW if named else -6
        later.append((x, row if named else -1))
        one = alt.Chart(rows_of([{"t": at}]))
        layers.append(
            one.mark_rule(color=INK["tick"], strokeWidth=1, strokeDash=[2, 2]).encode(
                x=time_axis(data), y=alt.value(top), y2=alt.value(height)
            )
        )
        if named:
            used = max(used, row + 1)
            layers.append(
                one.mark_text(align="left", baseline="top", dx=4, color=INK["text"]).encode(
                    x=time_axis(data), y=alt.value(top), text=alt.value(label)
                )
            )
    return layers, max(used * ROW, 6)


def _span(data: Mapping[str, Any]) -> list[str]:
    moments = [one[0] for one in data.get("points") or data["steps"]]
    return [*moments, data["end"]] if data.get("end") else moments
