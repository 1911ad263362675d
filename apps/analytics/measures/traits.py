"""Whom it hit: attempts by region, app version or any other trait, and which value of it stands out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, log, sqrt

import numpy as np

from apps.analytics.attempts import Frame, list_attempts
from apps.analytics.sql import Runner, fill, rows_of, traits_from
from apps.analytics.stats import Z95

CLOCK_MS = 10 * 60_000
"""Clocks are set right by less than this; a file's rows are looked at so far around the window."""
ENOUGH = 20
"""People at a value, and people at the other values, below which they are not compared."""
HARMED = 5
"""People who did not get through, below which a value does not stand out."""
FALSE_DISCOVERIES = 0.1
MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class TimesAsMany:
    """By what factor the share that did not get through is larger here than elsewhere, 95 %."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TraitImpact:
    """What happened to attempts that carry one value of a trait.

    `attempts` counts those that can be told; `failed` of them did not get through. `actors` are the
    distinct people or programs behind them, `actors_failed` those with an attempt that did not get
    through. `times` is None where too few are there to compare.
    """

    name: str
    value: str
    attempts: int
    failed: int
    actors: int
    actors_failed: int
    times: TimesAsMany | None = None
    stands_out: bool = False


def by_traits(
    run: Runner, frame: Frame, traits: Mapping[int, Mapping[str, str]]
) -> tuple[TraitImpact, ...]:
    """Break attempts down by the traits of their first request; `traits` says what each set holds.

    Compared are people, not attempts: those of one person are not independent. For each value
    ratio = (a / n1) / (b / n0), where a of n1 people at the value and b of n0 people at the trait's
    other values had an attempt that did not get through; interval by Katz's logarithm (1978) with
    half a person added to each count. A value stands out when it is worse than the others with at
    most one false discovery in ten (Benjamini-Hochberg 1995) and five people were harmed.

    Assumes that a person stays at one value during the window; who changes counts at each.
    Refuses (`times` None) below 20 people on either side. At most 50 values of a trait, the busiest.
    """
    carried = traits_from(run.con, frame.files) if traits else None
    if carried is None:
        return ()
    names = sorted({name for one in traits.values() for name in one})
    values = sorted({(name, value) for one in traits.values() for name, value in one.items()})
    number = {pair: at for at, pair in enumerate(values)}
    pairs = [
        (pk, names.index(name), number[name, value])
        for pk, one in sorted(traits.items())
        for name, value in sorted(one.items())
    ]
    if not pairs:
        return ()
    list_attempts(run, frame)
    rows = run.rows(
        fill(
            _BY_VALUE,
            carried=carried,
            start=frame.start_ms - CLOCK_MS,
            end=frame.end_ms + CLOCK_MS,
            pairs=rows_of(pairs, "(set, trait, value)"),
        )
    )
    people = {row[0]: (row[1], row[2]) for row in rows if row[3] is None}
    found = []
    for trait, actors, hit, value, attempts, failed in rows:
        if value is not None:
            others = people[trait][0] - actors, people[trait][1] - hit
            times, z = _times(hit, actors, others[1], others[0])
            one = TraitImpact(names[trait], values[value][1], attempts, failed, actors, hit, times)
            found.append((one, z))
    return _busiest(_marked(found))


# Of whoever is at several values of a trait each counts, so "elsewhere" is the sum of the other values.
_BY_VALUE = """
WITH told AS (
    SELECT l.actor, l.class IN ('gave_up', 'came_back', 'open') AS failed, c.traits AS set
    FROM listed l JOIN ($carried AND ts >= $start AND ts < $end) c USING (loc)
    WHERE l.class <> 'cannot_tell'),
each AS (
    SELECT p.trait, p.value, count(*) AS attempts, count_if(failed) AS failed,
           count(DISTINCT actor) AS actors, count(DISTINCT actor) FILTER (failed) AS hit
    FROM told JOIN (SELECT * FROM $pairs) p USING (set) GROUP BY p.trait, p.value)
SELECT trait, sum(actors)::BIGINT, sum(hit)::BIGINT, value,
       sum(attempts)::BIGINT, sum(failed)::BIGINT
FROM each GROUP BY GROUPING SETS ((trait), (trait, value))
ORDER BY trait, sum(attempts) DESC, value
"""


def _times(
    hit: int, n: int, hit_elsewhere: int, n_elsewhere: int
) -> tuple[TimesAsMany | None, float]:
    """The ratio with its interval, and by how many standard errors its logarithm is above 0."""
    if n < ENOUGH or n_elsewhere < ENOUGH:
        return None, 0.0
    middle, spread = _log_ratio(hit, n, hit_elsewhere, n_elsewhere)
    times = TimesAsMany(exp(middle), exp(middle - Z95 * spread), exp(middle + Z95 * spread))
    return times, middle / spread


def _log_ratio(a: int, n1: int, b: int, n0: int) -> tuple[float, float]:
    a1, m1, b1, m0 = a + 0.5, n1 + 0.5, b + 0.5, n0 + 0.5
    return log(a1 / m1) - log(b1 / m0), sqrt(1 / a1 - 1 / m1 + 1 / b1 - 1 / m0)


def _marked(found: list[tuple[TraitImpact, float]]) -> list[TraitImpact]:
    """Mark what stands out among the values that could be compared."""
    compared = [z for one, z in found if one.times is not None]
    if not compared:
        return [one for one, _ in found]
    from scipy import stats  # noqa: PLC0415  (0.8 s, and rarely needed)

    chances = iter(
        stats.false_discovery_control(np.clip(stats.norm.sf(compared), 1e-300, 1.0)).tolist()
    )
    return [
        replace(one, stands_out=next(chances) <= FALSE_DISCOVERIES and one.actors_failed >= HARMED)
        if one.times is not None
        else one
        for one, _ in found
    ]


def _busiest(found: list[TraitImpact]) -> tuple[TraitImpact, ...]:
    """Keep the busiest values of each trait, which come first, and those that stand out."""
    seen: Counter[str] = Counter()
    kept = []
    for one in found:
        seen[one.name] += 1
        if seen[one.name] <= MOST_VALUES or one.stands_out:
            kept.append(one)
    return tuple(kept)
