"""Pictures of a kept snapshot: its numbers as charts. What an old snapshot does not hold has none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from apps.analytics import story
from apps.analytics.stats import wilson
from apps.core.charts import (
    Away,
    Chart,
    Dot,
    Worst,
    away,
    line,
    scatter,
    stacked,
    steps,
    worst_of,
)

Mark = tuple[datetime, str]
FEWEST_CUSTOMERS = 3


@dataclass(frozen=True)
class Bins:
    """A snapshot's bins: `moments` are when each begins, and when the last one ends."""

    moments: Sequence[datetime]
    window: tuple[int, int]
    known: int

    @classmethod
    def of(cls, series: Mapping[str, Any]) -> "Bins":
        """Read them from a snapshot's "series"."""
        first, last = (datetime.fromisoformat(series[name]) for name in ("from", "to"))
        width, total = (last - first) / series["bins"], series["bins"]
        moments = [(first + width * place).replace(microsecond=0) for place in range(total)]
        return cls([*moments, last], (series["window"][0], series["window"][1]), series["known"])

    @property
    def during(self) -> tuple[datetime, datetime]:
        """The window."""
        return self.moments[self.window[0]], self.moments[self.window[1]]

    @property
    def words(self) -> str:
        """How long one is: "minute by minute"."""
        width = (self.moments[-1] - self.moments[0]) / (len(self.moments) - 1)
        seconds = round(width.total_seconds(), 1)
        for long, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
            if seconds >= long and seconds % long == 0:
                n = round(seconds / long)
                return f"{name} by {name}" if n == 1 else f"in steps of {n} {name}s"
        minutes = seconds >= 600
        return f"in steps of about {round(seconds / (60 if minutes else 1))} {'minutes' if minutes else 'seconds'}"


def attempts_over_time(result: Mapping[str, Any], *, marks: Sequence[Mark] = ()) -> Chart | None:
    """Return what became of attempts bin by bin, with what is usual and what we did; None without a series."""
    series = result.get("series")
    if not series or not series["attempts"]:
        return None
    bins = Bins.of(series)
    first, last = bins.window
    known = min(bins.known, len(bins.moments) - 1)
    attempts: Mapping[str, Sequence[int]] = series["attempts"]
    # What began just now is not known to its end: it is counted, and not drawn.
    inside = range(first, min(last, known))
    if not inside:
        return None
    good, failed = series["requests"]["ok"], series["requests"]["failed"]
    usual = series["usual"]
    return stacked(
        f"What became of attempts, {bins.words}",
        [
            (
                bins.moments[place],
                {name: counts[place - first] for name, counts in attempts.items()},
            )
            for place in inside
        ],
        end=bins.moments[-1] if known > last else bins.moments[last],
        window=bins.during,
        marks=marks,
        usual=_usual(usual, bins) if usual else (),
        around=[
            (bins.moments[place], good[place], failed[place])
            for place in (*range(first), *range(last, known))
        ],
        known_to=bins.moments[known] if known < last else None,
    )


def _usual(usual: Mapping[str, Any], bins: Bins) -> list[tuple[datetime, float]]:
    """What is usual, per bin: steps of its own length, of which each says its rate."""
    start = datetime.fromisoformat(usual["from"])
    step = timedelta(seconds=usual["step_s"])
    width = (bins.moments[-1] - bins.moments[0]) / (len(bins.moments) - 1)
    points = [
        (start + step * place, round(mean * (width / step), 2))
        for place, mean in enumerate(usual["mean"])
    ]
    points.append((start + step * len(points), points[-1][1]))
    return [
        (max(bins.moments[0], at), value)
        for (at, value), (end, _) in pairwise([*points, (bins.during[1] + step, 0)])
        if end > bins.moments[0] and at <= bins.during[1] + step
    ]


def journey_steps(result: Mapping[str, Any]) -> Chart | None:
    """Return the journey that most was done to, step by step against what is usual; None where none has steps."""
    found = [one for one in result.get("journeys") or () if len(one.get("steps") or ()) > 1]
    if not found:
        return None
    worst = max(found, key=lambda one: (_harm(one["attempts"]), one["attempts"]["total"]))
    rows = [
        (
            step["name"],
            step["attempts"],
            tuple(step["usual"][name] for name in ("mean", "low", "high"))
            if step["usual"]
            else None,
        )
        for step in worst["steps"]
    ]
    if not any(step["attempts"]["total"] for step in worst["steps"]):
        return None
    return steps(f"{worst['name']}, step by step", rows)


def uptime_over_time(result: Mapping[str, Any], *, marks: Sequence[Mark] = ()) -> Chart | None:
    """Return user-uptime bin by bin, with the strictest tenet that the snapshot was judged by."""
    series = result.get("series")
    if not series or not any(share is not None for share in series["user_uptime"]):
        return None
    bins = Bins.of(series)
    return line(
        f"User-uptime, {bins.words}",
        list(zip(bins.moments[: bins.known], series["user_uptime"][: bins.known], strict=True)),
        label="of people’s time was up",
        window=bins.during,
        marks=marks,
        target=_strictest(result),
        share=True,
        zero=False,
    )


def worst_windows(result: Mapping[str, Any]) -> Chart | None:
    """Return the worst user-uptime for a minute, for an hour, for a day, against the strictest tenet."""
    worst = (result.get("windowed_user_uptime") or {}).get("worst") or []
    if len(worst) < 2 or worst[0]["user_uptime"] == 1:
        return None
    return worst_of(
        "User-uptime at its worst, by how long one looks",
        [
            Worst(one["minutes"], one["user_uptime"], datetime.fromisoformat(one["from"]))
            for one in worst
        ],
        target=_strictest(result),
    )


def _strictest(result: Mapping[str, Any]) -> tuple[float, str] | None:
    targets = [one["target"] for one in result.get("tenets") or () if one.get("target")]
    return (max(targets), f"tenet: {100 * max(targets):.4g} %") if targets else None


def came_back(result: Mapping[str, Any]) -> Chart | None:
    """Return which share of the exposed was not seen again, day by day, against people like them."""
    gone = result.get("not_returned") or {}
    days = gone.get("still_away") or ()
    if len(days) < 2:
        return None
    rows = []
    for one in days:
        low, high = wilson(one["exposed"] * gone["exposed"], gone["exposed"])
        rows.append(
            Away(
                one["day"], one["exposed"], round(low, 4), round(high, 4), one["usual"],
                one.get("usual_low"), one.get("usual_high"),
            )
        )  # fmt: skip
    return away(
        "Who had not been seen again",
        rows,
        label="people whose attempt failed",
        usual="people like them in earlier weeks",
    )


def customers_by_harm(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Chart | None:
    """Return customers by size and harm; rows: name, grade, counts of attempts. None for fewer than three."""
    dots = [
        Dot(
            name,
            grade,
            attempts["total"] - (attempts.get("cannot_tell") or 0),
            sum(attempts.get(key) or 0 for key in ("gave_up", "came_back", "open")),
        )
        for name, grade, attempts in rows
        if attempts and attempts.get("total")
    ]
    dots = [one for one in dots if one.tried > 0]
    if len(dots) < FEWEST_CUSTOMERS:
        return None
    return scatter("Customers by how much they tried, and how much of it did not get through", dots)


def attempts_of_theirs(
    facts: Iterable[Mapping[str, Any]] | None, *, language: str, zone: str
) -> Chart | None:
    """Return how a customer's own attempts ended, for a mail to them; None where it may not be told.

    A snapshot keeps no series of single customers, and five people in each of its steps there seldom are. So
    the picture shows what the story tells them, and no more: the journeys whose attempts `disclosure` lets
    them read by how they ended, which takes five people behind every part. What met no failure is one part.
    """
    voice = story.Voice.of(language, zone)
    words = story.outcome_words(voice)
    found = []
    for fact in story.kept(facts or ()):
        if fact.kind != "theirs_ended" or fact.detail.get("consumers"):
            continue
        ended = {key: int(fact.detail[key]) for key in words if key != "first_try"}
        total = int(fact.detail["attempts"])
        found.append((fact.who, {"first_try": total - sum(ended.values()), **ended}, total))
    used = [key for key in words if any(counts[key] for _, counts, _ in found)]
    if not used or any(counts["first_try"] < 0 for _, counts, _ in found):
        return None
    rows = [
        {
            "name": name,
            "counts": [counts[key] for key in used],
            "usual": None,
            "said": story.got_through(voice, counts["first_try"] + counts["retried"], total),
            "usually": "",
        }
        for name, counts, total in found
    ]
    told = [
        f"{name}: "
        + ", ".join(f"{words[key]} {voice.number(counts[key])}" for key in used if counts[key])
        for name, counts, _ in found
    ]
    return Chart(
        kind="steps",
        title=story.title_of_outcomes(voice),
        summary="; ".join(told) + ".",
        data={"keys": [[key, words[key]] for key in used], "rows": rows},
        head=["", *(words[key] for key in used)],
        rows=[[name, *(voice.number(counts[key]) for key in used)] for name, counts, _ in found],
        for_mail=True,
    )


def _harm(attempts: Mapping[str, Any]) -> int:
    return sum(attempts.get(name) or 0 for name in ("gave_up", "came_back", "open", "retried"))
