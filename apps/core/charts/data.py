"""What a chart says: data, and the same numbers as a table. Pure; the same data is the same chart."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.core.templatetags.portal.drawings import OUTCOMES
from apps.core.templatetags.portal.numbers import CANNOT_TELL, number

#: More than this is no chart that anybody reads; gather it by a longer step first.
MOST_POINTS, MOST_ROWS = 500, 40
#: Raised when the same data is drawn differently, so that old drawings are not taken for it.
VERSION = 2


@dataclass(frozen=True)
class Band:
    """What is usual at a moment."""

    at: datetime
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A title that says what it shows, a sentence for who cannot see it, the data, and the table."""

    kind: str  # line, bars, stacked, whiskers
    title: str
    summary: str
    data: Mapping[str, Any] = field(repr=False)
    head: Sequence[str]
    rows: Sequence[Sequence[str]] = field(repr=False)

    @property
    def asked(self) -> bytes:
        """All that a drawing depends on, as JSON."""
        whole = {
            "version": VERSION,
            "kind": self.kind,
            "title": self.title,
            "summary": self.summary,
            "data": self.data,
        }
        return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)

    @property
    def key(self) -> str:
        """The hash under which its drawing lies."""
        return hashlib.sha256(self.asked).hexdigest()

    @property
    def drawable(self) -> bool:
        """Whether there is something to draw, and not too much."""
        most = MOST_POINTS if self.kind in {"line", "stacked"} else MOST_ROWS
        return 0 < len(self.rows) <= most and len(self.asked) <= 128_000


def line(
    title: str,
    points: Sequence[tuple[datetime, float | None]],
    *,
    label: str,
    band: Sequence[Band] = (),
    window: tuple[datetime, datetime] | None = None,
    ticks: Sequence[datetime] = (),
    zero: bool = True,
    places: int = 0,
    share: bool = False,
    daily: bool = False,
) -> Chart:
    """Show a number over time, its usual range behind it and the incident shaded; None is a hole.

    `label` stands at the end of the line. `ticks` are the moments when we said something. `zero` is for numbers
    that are counted; without it the line may begin where the numbers do. `share`: 0..1, read as percent.
    `daily`: a point is a whole UTC day, named without a clock.
    """
    clock = _day if daily else _clock
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
        row = [clock(at), said(value)]
        if band:
            range_ = usual.get(at)
            row.append(f"{said(range_.low)} to {said(range_.high)}" if range_ else CANNOT_TELL)
        rows.append(row)
    return Chart(
        kind="line",
        title=title,
        summary=f"From {said(min(known))} to {said(max(known))} {label}, {_span([at for at, _ in points], clock)}."
        if known
        else f"{CANNOT_TELL.capitalize()} for any moment.",
        data={
            "points": [[_iso(at), value] for at, value in points],
            "band": [[_iso(one.at), one.low, one.high] for one in band],
            "window": [_iso(moment) for moment in window] if window else None,
            "ticks": [_iso(at) for at in ticks],
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


def stacked(
    title: str,
    steps: Sequence[tuple[datetime, Mapping[str, int]]],
    *,
    what: str = "attempts",
    window: tuple[datetime, datetime] | None = None,
    ticks: Sequence[datetime] = (),
) -> Chart:
    """Show what became of attempts over time; the keys are those of OUTCOMES, best at the bottom."""
    used = [(key, label) for key, label in OUTCOMES if any(counts.get(key) for _, counts in steps)]
    totals = {key: sum(counts.get(key, 0) for _, counts in steps) for key, _ in used}
    whole = sum(totals.values())
    said = ", ".join(f"{number(totals[key])} {label}" for key, label in used)
    return Chart(
        kind="stacked",
        title=title,
        summary=f"Of {number(whole)} {what}: {said}, {_span([at for at, _ in steps])}."
        if whole
        else f"No {what}.",
        data={
            "keys": [[key, label] for key, label in used],
            "steps": [[_iso(at), *(counts.get(key, 0) for key, _ in used)] for at, counts in steps],
            "window": [_iso(moment) for moment in window] if window else None,
            "ticks": [_iso(at) for at in ticks],
        },
        head=["Time (UTC)", *(label[:1].upper() + label[1:] for _, label in used)],
        rows=[
            [_clock(at), *(number(counts.get(key, 0)) for key, _ in used)] for at, counts in steps
        ]
        if whole
        else [],
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


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clock(at: datetime) -> str:
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%b, %H:%M}"


def _day(at: datetime) -> str:
    moment = at.astimezone(UTC)
    return f"{moment.day} {moment:%b}"


def _span(moments: Sequence[datetime], clock: Callable[[datetime], str] = _clock) -> str:
    return f"{clock(moments[0])} to {clock(moments[-1])} UTC" if moments else "at no time"
