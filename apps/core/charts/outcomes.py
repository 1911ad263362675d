"""Charts of what became of attempts: over time, and step by step of a journey. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from apps.core.charts.data import Chart, clock, iso, span
from apps.core.templatetags.portal.drawings import OUTCOMES
from apps.core.templatetags.portal.numbers import number

#: What lies around a window is counted in requests and not judged: key, words.
AROUND = (("around", "got through, not judged"), ("around_failed", "failed, not judged"))
NOT_JUDGED = "not judged"


def stacked(
    title: str,
    steps: Sequence[tuple[datetime, Mapping[str, int]]],
    *,
    what: str = "attempts",
    end: datetime | None = None,
    window: tuple[datetime, datetime] | None = None,
    marks: Sequence[tuple[datetime, str]] = (),
    usual: Sequence[tuple[datetime, float]] = (),
    around: Sequence[tuple[datetime, int, int]] = (),
    known_to: datetime | None = None,
) -> Chart:
    """Show what became of attempts over time; the keys are those of OUTCOMES, best at the bottom.

    `end` is when the last step ends. `around` are the steps before and after the window: requests that went
    well and that failed, which nobody judged. `usual` is how many begin otherwise, from each moment to the
    next; the last one only ends it. `marks` are what we did, and when. From `known_to` on nothing is known.
    """
    used = [(key, label) for key, label in OUTCOMES if any(counts.get(key) for _, counts in steps)]
    totals = {key: sum(counts.get(key, 0) for _, counts in steps) for key, _ in used}
    whole = sum(totals.values())
    said = ", ".join(f"{number(totals[key])} {label}" for key, label in used)
    beside = [
        one
        for place, one in enumerate(AROUND)
        if any((ok, failed)[place] for _, ok, failed in around)
    ]
    names = [*used, *beside]
    everything = sorted(
        [
            *((at, dict(counts)) for at, counts in steps),
            *((at, {"around": ok, "around_failed": failed}) for at, ok, failed in around),
        ],
        key=lambda one: one[0],
    )
    judged = {at for at, _ in steps}
    first, last = (everything[0][0], end or everything[-1][0]) if everything else (None, None)
    return Chart(
        kind="stacked",
        title=title,
        summary=f"Of {number(whole)} {what}: {said}, {span([steps[0][0], steps[-1][0]])}."
        if whole
        else f"No {what}.",
        data={
            "keys": [[key, label] for key, label in names],
            "steps": [
                [iso(at), *(counts.get(key, 0) for key, _ in names)] for at, counts in everything
            ],
            "end": iso(end) if end else None,
            "window": [iso(moment) for moment in window] if window else None,
            "marks": [
                [iso(at), label] for at, label in marks if first and last and first <= at <= last
            ],
            "usual": [[iso(at), value] for at, value in usual],
            "known": iso(known_to) if known_to else None,
        },
        head=["Time (UTC)", *(label[:1].upper() + label[1:] for _, label in names)],
        rows=[
            [
                clock(at),
                *(
                    number(counts.get(key, 0))
                    if (at in judged) == (key not in dict(AROUND))
                    else NOT_JUDGED
                    if key not in dict(AROUND)
                    else "–"
                    for key, _ in names
                ),
            ]
            for at, counts in everything
        ]
        if whole
        else [],
    )


def steps(
    title: str,
    rows: Sequence[tuple[str, Mapping[str, int], tuple[float, float, float] | None]],
    *,
    what: str = "attempts",
) -> Chart:
    """Show what became of attempts at each step of a journey, against how many there usually are.

    A row: the step's name, counts by the keys of OUTCOMES, and the usual number (mean, lowest, highest), None
    where it is not known.
    """
    used = [
        (key, label) for key, label in OUTCOMES if any(counts.get(key) for _, counts, _ in rows)
    ]

    def through(counts: Mapping[str, int]) -> tuple[int, int]:
        whole = sum(counts.get(key, 0) for key, _ in used)
        return sum(counts.get(key, 0) for key in ("first_try", "slow", "retried")), whole

    data: list[dict[str, Any]] = []
    for name, counts, usual in rows:
        good, whole = through(counts)
        data.append(
            {
                "name": name,
                "counts": [counts.get(key, 0) for key, _ in used],
                "usual": list(usual) if usual else None,
                "said": f"{number(good)} of {number(whole)} got through",
                "usually": f"usually about {number(usual[0])} tried" if usual else "",
            }
        )
    last = data[-1] if data else None
    return Chart(
        kind="steps",
        title=title,
        summary=f"At the last step, {last['name']}: {last['said']}"
        + (f"; {last['usually']}." if last["usually"] else ".")
        if last
        else f"No {what}.",
        data={"keys": [[key, label] for key, label in used], "rows": data},
        head=[
            "Step",
            "Tried",
            *(label[:1].upper() + label[1:] for _, label in used),
            "Usually tried",
        ],
        rows=[
            [
                name,
                number(through(counts)[1]),
                *(number(counts.get(key, 0)) for key, _ in used),
                f"{number(usual[0])} ({number(usual[1])} to {number(usual[2])})"
                if usual
                else "cannot tell",
            ]
            for name, counts, usual in rows
        ],
    )
