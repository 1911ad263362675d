"""What a chart says: data, and the same numbers as a table. Pure; the same data is the same chart."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.core.templatetags.portal.numbers import CANNOT_TELL, number

#: More than this is no chart that anybody reads; gather it by a longer step first.
MOST_POINTS, MOST_ROWS, SHORT = 500, 40, 12
#: Raised when the same data is drawn differently, so that old drawings are not taken for it.
VERSION = 3


@dataclass(frozen=True)
class Band:
    """What is usual at a moment."""

    at: datetime
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A title that says what it shows, a sentence for who cannot see it, the data, and the table."""

    kind: str  # a key of drawing.KINDS
    title: str
    summary: str
    data: Mapping[str, Any] = field(repr=False)
    head: Sequence[str]
    rows: Sequence[Sequence[str]] = field(repr=False)
    for_mail: bool = False  # drawn as one PNG on light paper; a mail has neither our styles nor SVG

    @property
    def asked(self) -> bytes:
        """All that a drawing depends on, as JSON."""
        whole = {
            "version": VERSION,
            "kind": self.kind,
            "title": self.title,
            "summary": self.summary,
            "data": self.data,
            **({"for_mail": True} if self.for_mail else {}),
        }
        return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)

    @property
    def key(self) -> str:
        """The hash under which its drawing lies."""
        return hashlib.sha256(self.asked).hexdigest()

    @property
    def short(self) -> bool:
        """Whether its table may stand open for a drawing that is not there yet."""
        return len(self.rows) <= SHORT

    @property
    def drawable(self) -> bool:
        """Whether there is something to draw, and not too much."""
        most = MOST_ROWS if self.kind in {"bars", "whiskers", "steps"} else MOST_POINTS
        return 0 < len(self.rows) <= most and len(self.asked) <= 128_000


def line(
    title: str,
    points: Sequence[tuple[datetime, float | None]],
    *,
    label: str,
    band: Sequence[Band] = (),
    window: tuple[datetime, datetime] | None = None,
    ticks: Sequence[datetime] = (),
    marks: Sequence[tuple[datetime, str]] = (),
    target: tuple[float, str] | None = None,
    zero: bool = True,
    places: int = 0,
    share: bool = False,
    daily: bool = False,
) -> Chart:
    """Show a number over time, its usual range behind it and the incident shaded; None is a hole.

    `label` stands at the end of the line. `ticks` are the moments when we said something; `marks`
    are named ones. `target` is a level and its name. `zero` is for numbers
    that are counted; without it the line may begin where the numbers do. `share`: 0..1, read as percent.
    `daily`: a point is a whole UTC day, named without a clock.
    """
    moment = _day if daily else clock
    usual = {one.at: one for one in band}
    known = [value for _, value in points if value is not None]

    def said(value: float | None) -> str:
        if value is None:
            return CANNOT_TELL
        return f"{number(value * 100, 1)} %" if share else number(value, places)

    head = [
        "Day (UTC)" if daily else "Time (UTC)",
        label[:1].upper() + label[1:],
        *(["Usually"] if band else []),
    ]
    rows = []
    for at, value in points:
        row = [moment(at), said(value)]
        if band:
            range_ = usual.get(at)
            row.append(f"{said(range_.low)} to {said(range_.high)}" if range_ else CANNOT_TELL)
        rows.append(row)
    return Chart(
        kind="line",
        title=title,
        summary=f"From {said(min(known))} to {said(max(known))} {label}, {span([at for at, _ in points], moment)}."
        if known
        else f"{CANNOT_TELL.capitalize()} for any moment.",
        data={
            "points": [[iso(at), value] for at, value in points],
            "band": [[iso(one.at), one.low, one.high] for one in band],
            "window": [iso(moment) for moment in window] if window else None,
            "ticks": [iso(at) for at in ticks],
            "marks": [[iso(at), name] for at, name in marks if points[0][0] <= at <= points[-1][0]],
            "target": list(target) if target else None,
            "label": label,
            "zero": zero,
            "share": share,
        },
        head=head,
        rows=rows,
    )


def bars(
    title: str, values: Sequence[tuple[str, float | None]], *, what: str, places: int = 0
) -> Chart:
    """Compare categories, in the order given; None is "cannot tell", hatched. `what` is counted."""
    known = [(name, value) for name, value in values if value is not None]
    most = max(known, key=lambda one: one[1], default=None)
    return Chart(
        kind="bars",
        title=title,
        summary=f"Most: {most[0]}, {number(most[1], places)} {what}."
        if most
        else f"{CANNOT_TELL.capitalize()} for any of them.",
        data={
            "bars": [
                [name, value, CANNOT_TELL if value is None else number(value, places)]
                for name, value in values
            ]
        },
        head=["", what[:1].upper() + what[1:]],
        rows=[
            [name, CANNOT_TELL if value is None else number(value, places)]
            for name, value in values
        ],
    )


def whiskers(
    title: str,
    estimates: Sequence[tuple[str, float | None, float | None, float | None]],
    *,
    what: str,
) -> Chart:
    """Show estimates with their intervals: name, estimate, low, high. Without an estimate it cannot be told."""

    def said(estimate: float | None, low: float | None, high: float | None) -> str:
        if estimate is None:
            return CANNOT_TELL
        if low is None or high is None:
            return f"about {number(estimate)}"
        return f"{number(estimate)} ({number(low)} to {number(high)})"

    return Chart(
        kind="whiskers",
        title=title,
        summary="; ".join(f"{name}: {said(*rest)}" for name, *rest in estimates[:6]) + f" {what}.",
        data={"rows": [[name, *rest, said(*rest)] for name, *rest in estimates]},
        head=["", f"{what[:1].upper()}{what[1:]}", "At least", "At most"],
        rows=[
            [name, *(CANNOT_TELL if v is None else number(v) for v in (estimate, low, high))]
            for name, estimate, low, high in estimates
        ],
    )


def iso(at: datetime) -> str:
    """Return a moment as drawings take it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: datetime) -> str:
    """Return a moment as tables say it."""
    moment = at.astimezone(UTC)
    return (
        f"{moment.day} {moment:%b, %H:%M:%S}"
        if moment.second
        else f"{moment.day} {moment:%b, %H:%M}"
    )


def _day(at: datetime) -> str:
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%b}"


def span(moments: Sequence[datetime], said: Callable[[datetime], str] = clock) -> str:
    """Return from when to when, in words."""
    return f"{said(moments[0])} to {said(moments[-1])} UTC" if moments else "at no time"
