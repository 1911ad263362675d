"""A chart of how bad it was at its worst, for a minute and for longer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.core.charts.data import Chart, clock
from apps.core.templatetags.portal.numbers import number


@dataclass(frozen=True)
class Worst:
    """Of all windows of so many minutes, the worst: a share (0..1), and when it begins."""

    minutes: int
    share: float
    at: datetime


def worst_of(
    title: str, windows: Sequence[Worst], *, target: tuple[float, str] | None = None
) -> Chart:
    """Show the worst window of each length, the shortest first; `target` is a level and its name."""

    def percent(share: float) -> str:
        return f"{number(share * 100, 1)} %"

    kept = next((one for one in windows if target and one.share >= target[0]), None)
    said = [
        f"At the worst {percent(one.share)} of people’s time in {long(one.minutes)} was up"
        for one in windows[:1]
    ]
    said += [f"{percent(one.share)} in {long(one.minutes)}" for one in windows[1:][-1:]]
    if target and windows:
        said.append(
            f"{target[0] * 100:.4g} % was kept in every {long(kept.minutes)}"
            if kept
            else f"{target[0] * 100:.4g} % was kept over no length of time looked at"
        )
    return Chart(
        kind="worst",
        title=title,
        summary=f"{'; '.join(said)}." if said else "Nothing was told.",
        data={
            "windows": [[long(one.minutes), one.share] for one in windows],
            "target": list(target) if target else None,
        },
        head=["In the worst", "Of people’s time was up", "Beginning (UTC)"],
        rows=[[long(one.minutes), percent(one.share), clock(one.at)] for one in windows],
    )


def long(minutes: int) -> str:
    """Return a length of time in its largest whole unit: "5 min", "3 h", "10 days"."""
    if minutes % 1440 == 0:
        days = minutes // 1440
        return "1 day" if days == 1 else f"{days} days"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
