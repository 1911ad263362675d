"""Charts of who was hit and who came back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.charts.data import Chart
from apps.core.templatetags.portal.numbers import CANNOT_TELL, number

#: Grades of those to whom something happened: key, words.
GRADES = (("hit", "hit"), ("partly_hit", "partly hit"), ("slowed", "slowed"))


@dataclass(frozen=True)
class Dot:
    """One of many: how much of theirs went wrong, of how much, and the grade that it was given."""

    name: str
    grade: str
    tried: int
    failed: int


@dataclass(frozen=True)
class Away:
    """Shares (0..1) not seen again by the end of a day; low and high are None where they are not known."""

    day: int
    share: float
    low: float | None
    high: float | None
    usual: float
    usual_low: float | None = None
    usual_high: float | None = None


def scatter(title: str, dots: Sequence[Dot]) -> Chart:
    """Show customers by how much they tried and which share of it did not get through, the hardest hit named."""
    known = [one for one in dots if one.tried > 0]
    worst = sorted(known, key=lambda one: (-one.failed, -one.failed / one.tried, one.name))
    return Chart(
        kind="scatter",
        title=title,
        summary="; ".join(
            f"{one.name}: {number(one.failed)} of {number(one.tried)} attempts did not get through"
            for one in worst[:3]
        )
        + ("." if worst else "Nobody."),
        data={
            "dots": [
                [one.name, one.grade, one.tried, round(one.failed / one.tried, 4)] for one in worst
            ],
            "keys": [list(one) for one in GRADES if any(dot.grade == one[0] for dot in worst)],
        },
        head=["", "How hard", "Tried", "Did not get through", "Share"],
        rows=[
            [
                one.name,
                dict(GRADES).get(one.grade, one.grade),
                number(one.tried),
                number(one.failed),
                f"{number(one.failed / one.tried * 100, 1)} %",
            ]
            for one in worst
        ],
    )


def away(title: str, days: Sequence[Away], *, label: str, usual: str) -> Chart:
    """Show which share was not seen again, day by day: theirs with its interval, against the usual share."""

    def percent(value: float | None) -> str:
        return CANNOT_TELL if value is None else f"{number(value * 100, 1)} %"

    def between(low: float | None, high: float | None) -> str:
        return CANNOT_TELL if low is None else f"{percent(low)} to {percent(high)}"

    last = days[-1] if days else None
    sure = any(one.usual_low is not None for one in days)
    return Chart(
        kind="away",
        title=title,
        summary=f"After {last.day} days {percent(last.share)} of {label} had not been seen again, "
        f"{percent(last.usual)} of {usual}."
        if last
        else "Nobody.",
        data={
            "days": [
                [one.day, one.share, one.low, one.high, one.usual, one.usual_low, one.usual_high]
                for one in days
            ],
            "label": label,
            "usual": usual,
        },
        head=[
            "Days after",
            label[:1].upper() + label[1:],
            "Between",
            usual[:1].upper() + usual[1:],
            *(["Between"] if sure else []),
        ],
        rows=[
            [
                str(one.day),
                percent(one.share),
                between(one.low, one.high),
                percent(one.usual),
                *([between(one.usual_low, one.usual_high)] if sure else []),
            ]
            for one in days
        ],
    )
