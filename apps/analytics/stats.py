"""Intervals by formula: Wilson, Newcombe's method 10 (MOVER), Student's t, conformal ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from apps.analytics.reasons import Why

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval at `level`, in the unit of the estimate."""

    estimate: float
    low: float
    high: float
    level: float = 0.95


def wilson(hits: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share. With no observation: (0, 1)."""
    if n <= 0:
        return 0.0, 1.0
    p = hits / n
    centre = p + z * z / (2 * n)
    spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Stratum:
    """Exposed and compared people with the same earlier activity: counts, and how many are gone."""

    exposed: int
    exposed_gone: int
    compared: int
    compared_gone: int


def excess_gone(strata: Sequence[Stratum]) -> Interval:
    """How many more exposed people are gone than people like them usually are.

    excess = sum over strata of n1 (p1 - p0); the interval is MOVER: the Wilson limits of each share
    combined as in Newcombe's method 10 (1998), summed over the strata.
    """
    estimate = down = up = 0.0
    for s in strata:
        if s.exposed == 0:
            continue
        p1, p0 = s.exposed_gone / s.exposed, s.compared_gone / max(1, s.compared)
        l1, u1 = wilson(s.exposed_gone, s.exposed)
        l0, u0 = wilson(s.compared_gone, s.compared)
        estimate += s.exposed * (p1 - p0)
        down += s.exposed**2 * ((p1 - l1) ** 2 + (u0 - p0) ** 2)
        up += s.exposed**2 * ((u1 - p1) ** 2 + (p0 - l0) ** 2)
    return Interval(estimate, estimate - sqrt(down), estimate + sqrt(up))


@dataclass(frozen=True, slots=True)
class LogRank:
    """Stratified log-rank test: above 0 the exposed come back later than those like them. `p` is two-sided."""

    z: float
    p: float


def log_rank(strata: Sequence[tuple[Mapping[int, int], Mapping[int, int]]]) -> LogRank | None:
    """Whether the exposed come back as soon as people like them (Mantel 1966; Peto and Peto 1972).

    Each stratum: (exposed, compared), people by the day of their return; `NEVER` for those not seen in the
    time in which all were followed, who are at risk to its end. On each day the returns of the exposed
    are hypergeometric among all who were still away if nothing sets them apart; z = Σ (expected - observed)
    / √(Σ variance) over days and strata. None where nobody returned or nobody was compared.
    """
    behind = variance = 0.0
    for exposed, compared in strata:
        ours, theirs = sum(exposed.values()), sum(compared.values())
        for day in sorted({*exposed, *compared} - {NEVER}):
            back = exposed.get(day, 0) + compared.get(day, 0)
            if ours and theirs and back:
                away = ours + theirs
                behind += back * ours / away - exposed.get(day, 0)
                variance += back * ours * theirs * (away - back) / (away * away * (away - 1))
            ours -= exposed.get(day, 0)
            theirs -= compared.get(day, 0)
    if variance <= 0:
        return None
    z = behind / sqrt(variance)
    return LogRank(z, erfc(abs(z) / sqrt(2)))


NEVER = -1
"""In place of the day of a return: not seen again while people were followed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Attempts that usually come and did not: expected - observed, with its interval."""

    expected: float
    observed: int
    interval: Interval
    method: str
    weeks: int
    placebos: int


@dataclass(frozen=True, slots=True)
class NetLost:
    """Lost attempts less those that came later: `made_up` began after the window beyond what usually does.

    `returned` attempts after it, by which somebody got through who had failed, are no part of `made_up`.
    """

    interval: Interval
    made_up: Interval
    returned: int


PLACEBOS_NEEDED = 40
WEEKS_NEEDED = 3
EXPECTED_NEEDED = 30.0
NEAREST = 200


def lost_attempts(
    starts: NDArray[np.int64], *, zero: int, length: int, control: int, step: int, gap: int = 0
) -> Lost | str:
    """Attempts never made, from counts of attempt starts; or why that cannot be told.

    `starts[k, i]` counts starts in bin i of week k; row 0 is the week of the window, row k the week
    k weeks earlier; the window is bins `zero` to `zero + length`, its control period the `control`
    bins before, or those that end `gap` bins before it. expected
    E = e0 sum(y) / sum(e) with y in the window and e in the control period of
    the earlier weeks. The interval comes from placebo windows: every (earlier week, offset by
    `step` bins) plays the incident against the other weeks, and the split-conformal quantiles of
    z = (y - mu) / sqrt(mu (1 + mu/sum y + mu/e)) say how far counts wander on ordinary days. Only
    those count whose mu is like the window's own (the nearest quarter, 200 at least): demand wanders
    by a share of itself, so at the busiest hour z spreads wider than at night. With
    fewer than 40 placebo windows: quasi-Poisson t with K - 1 degrees of freedom.
    Refuses below 3 weeks or 30 expected.
    """
    sums = np.concatenate(
        [np.zeros((len(starts), 1), dtype=np.int64), np.cumsum(starts, axis=1)], axis=1
    )
    offsets = np.arange(zero % step, starts.shape[1] - length + 1, step)
    offsets = offsets[offsets >= control + gap]
    y = (sums[:, offsets + length] - sums[:, offsets]).astype(float)
    e = (sums[:, offsets - gap] - sums[:, offsets - gap - control]).astype(float)
    at = int(np.flatnonzero(offsets == zero)[0])
    used = [k for k in range(1, len(starts)) if e[k, at] > 0]
    if len(used) < WEEKS_NEEDED:
        return Why("only {n} earlier weeks to compare with; three are needed", n=len(used))
    mu, spread = _expect(float(e[0, at]), y[used, at], e[used, at])
    if mu < EXPECTED_NEEDED:
        return Why("only {n} attempts were to be expected; 30 are needed", n=round(mu))
    observed = int(y[0, at])
    z = _placebo_z(y[used], e[used], like=mu)
    if len(z) >= PLACEBOS_NEEDED:
        low_z, high_z = _conformal(z)
        method = "ratio to the same window of earlier weeks, placebo windows"
    else:
        expected = e[used, at] * float(y[used, at].sum()) / float(e[used, at].sum())
        chi = float((((y[used, at] - expected) ** 2) / np.maximum(expected, 1.0)).sum())
        from scipy.stats import t  # noqa: PLC0415  (takes a second to import, and few windows need it)

        wide = sqrt(max(1.0, chi / (len(used) - 1))) * float(t.ppf(0.975, len(used) - 1))
        low_z, high_z, method = -wide, wide, "ratio to earlier weeks, quasi-Poisson t"
    interval = Interval(
        mu - observed, mu + low_z * spread - observed, mu + high_z * spread - observed
    )
    return Lost(mu, observed, interval, method, len(used), len(z))


def net_lost(gross: Lost, after: Lost, *, returned: int) -> NetLost | str:
    """Attempts never made and not made later either: net = gross - made up; or why that cannot be told.

    `after` is `lost_attempts` of the time after the window: made up = observed - returned - expected. The
    interval of the difference adds variances: each side is the root of the sum of both squared sides.
    Refuses where that is wider, to either side, than all that was expected in the window, for then it does
    not tell whether anything was made up; and where fewer than usual began after it too, beyond what
    wanders: it was not over, or they stayed away, and nothing can be said of having been put off.
    """
    less = after.interval
    late = Interval(
        -less.estimate - returned, -less.high - returned, -less.low - returned, less.level
    )
    if late.high < 0:
        return "after the window fewer than usual began too"
    one, other = gross.interval, late
    estimate = one.estimate - other.estimate
    low = estimate - sqrt((one.estimate - one.low) ** 2 + (other.high - other.estimate) ** 2)
    high = estimate + sqrt((one.high - one.estimate) ** 2 + (other.estimate - other.low) ** 2)
    if max(estimate - low, high - estimate) > gross.expected:
        return (
            f"how many begin in the hours after wanders by {(high - low) / 2:,.0f} by itself,"
            f" and only {gross.expected:,.0f} were to be expected in the window"
        )
    return NetLost(Interval(estimate, low, high), late, returned)


def _expect(e0: float, y: NDArray[np.float64], e: NDArray[np.float64]) -> tuple[float, float]:
    total_y, total_e = float(y.sum()), float(e.sum())
    mu = e0 * total_y / total_e
    return mu, sqrt(mu * (1 + mu / max(total_y, 1.0) + mu / max(e0, 1.0)))


def _placebo_z(
    y: NDArray[np.float64], e: NDArray[np.float64], *, like: float
) -> NDArray[np.float64]:
    """z of the (week, offset) where the other weeks make at least 10 expected, and about as many as `like`."""
    other_y, other_e = y.sum(axis=0) - y, e.sum(axis=0) - e
    with np.errstate(divide="ignore", invalid="ignore"):
        mu = e * other_y / other_e
        z = (y - mu) / np.sqrt(mu * (1 + mu / other_y + mu / e))
    good = (e > 0) & (other_e > 0) & (other_y > 0) & (mu >= 10) & np.isfinite(z)
    near = np.argsort(np.abs(np.log(mu[good] / like)), kind="stable")
    return np.asarray(z[good][near[: max(NEAREST, len(near) // 4)]])


def _conformal(z: NDArray[np.float64]) -> tuple[float, float]:
    ordered, n = np.sort(z), len(z)
    rank = max(0, int(np.floor(0.025 * (n + 1))) - 1)
    return float(ordered[rank]), float(ordered[n - 1 - rank])
