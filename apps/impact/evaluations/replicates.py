"""Measures tried on many draws whose truth is known, without the whole of a simulated product."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from apps.analytics.events import EVENT_SCHEMA
from apps.analytics.impact import compute, connect
from apps.analytics.names import Catalogue
from apps.analytics.stats import Lost, Stratum, excess_gone, lost_attempts
from apps.core.figures import EvaluationRow, at_least, at_most, between
from apps.impact.evaluations.planted import write_segments

HOUR_MS = 3_600_000
START_MS = 1_795_000_000_000 // HOUR_MS * HOUR_MS
BINS_A_WEEK, WINDOW, CONTROL = 2016, 6, 36
LOST_SHARE = 0.2


def lost_rows(replicates: int, *, seed: int, goals: bool) -> Iterator[EvaluationRow]:
    """Take a fifth of the attempts out of a half hour whose days and half hours wander; visits come in bundles."""
    dice = np.random.default_rng([seed, 1])
    inside, errors, widths = [], [], []
    hour = np.arange(BINS_A_WEEK) / 12
    shape = 1 + 0.6 * np.sin((hour % 24 - 8) / 24 * 2 * np.pi)
    for _ in range(replicates):
        day = np.repeat(dice.lognormal(0, 0.05, size=(5, 7)), BINS_A_WEEK // 7, axis=1)
        half_hour = np.repeat(dice.lognormal(0, 0.05, size=(5, BINS_A_WEEK // 6)), 6, axis=1)
        visits = dice.poisson(8 * shape * day * half_hour)
        starts = visits + dice.poisson(3 * visits)
        zero = BINS_A_WEEK - WINDOW
        gone = dice.binomial(starts[0, zero:], LOST_SHARE)
        starts[0, zero:] -= gone
        found = lost_attempts(starts, zero=zero, length=WINDOW, control=CONTROL, step=6)
        if isinstance(found, Lost):
            truth = int(gone.sum())
            inside.append(found.interval.low <= truth <= found.interval.high)
            errors.append((found.interval.estimate - truth) / found.expected)
            widths.append((found.interval.high - found.interval.low) / found.expected)
    yield EvaluationRow(
        f"lost attempts: {len(inside)} draws, true number within the interval",
        float(np.mean(inside)),
        between(0.93, 0.97) if goals else None,
        f"mean width {np.mean(widths):.2f} of the expected",
    )
    yield EvaluationRow(
        "lost attempts: mean error, of the expected",
        float(abs(np.mean(errors))),
        at_most(0.03) if goals else None,
    )


def churn_rows(replicates: int, *, seed: int, goals: bool) -> Iterator[EvaluationRow]:
    """Let 8 % more of the exposed leave than of people like them, in strata that differ in how often they come."""
    dice = np.random.default_rng([seed, 2])
    usual = np.array([0.75, 0.55, 0.4, 0.25, 0.12, 0.05])
    exposed, compared = np.array([20, 40, 60, 80, 60, 40]), np.array([400, 500, 450, 300, 150, 60])
    inside, errors = [], []
    for _ in range(replicates):
        anyway = dice.binomial(exposed, usual)
        because = dice.binomial(exposed - anyway, 0.08)
        compared_gone = dice.binomial(compared, usual)
        interval = excess_gone(
            [
                Stratum(int(n), int(gone), int(m), int(like))
                for n, gone, m, like in zip(
                    exposed, anyway + because, compared, compared_gone, strict=True
                )
            ]
        )
        truth = int(because.sum())
        inside.append(interval.low <= truth <= interval.high)
        errors.append(interval.estimate - truth)
    yield EvaluationRow(
        f"not returned: {len(inside)} draws, true number within the interval",
        float(np.mean(inside)),
        at_least(0.93) if goals else None,
        f"mean error {np.mean(errors):+.2f} people",
    )


def uptime_rows(*, seed: int) -> Iterator[EvaluationRow]:
    """An hour with a quarter of an hour in which everything fails: three quarters of people's time were up."""
    for name, again_s in (("who do not retry", 0), ("who retry every 5 s", 5)):
        dice = np.random.default_rng([seed, 3])
        times, actors, outcomes = [], [], []
        for actor in range(1, 401):
            at = -HOUR_MS / 1000
            while at < 2 * HOUR_MS / 1000:
                at += dice.exponential(240)
                fails = 1200 <= at < 2100
                times.append(at)
                actors.append(actor)
                outcomes.append(int(fails))
                while fails and again_s:
                    at += again_s * dice.uniform(0.8, 1.2)
                    fails = 1200 <= at < 2100
                    times.append(at)
                    actors.append(actor)
                    outcomes.append(int(fails))
        uptime = _uptime(np.array(times), np.array(actors), np.array(outcomes))
        yield EvaluationRow(
            f"user-uptime of people {name}: off the true 0.75 by",
            None if uptime is None else abs(uptime - 0.75),
            at_most(0.01),
        )


def _uptime(seconds: np.ndarray, actors: np.ndarray, outcomes: np.ndarray) -> float | None:
    order = np.argsort(seconds)
    count = len(order)
    same = {
        "customer": 1, "actor_kind": 1, "service": 1, "operation": 1, "traffic": 0, "latency_ms": 50,
    }  # fmt: skip
    given = {
        "ts": START_MS + (seconds[order] * 1000).astype(np.int64),
        "actor": actors[order],
        "outcome": outcomes[order],
    }
    columns = [
        pa.array(given[one.name]).cast(one.type)
        if one.name in given
        else pa.repeat(pa.scalar(same[one.name], one.type), count)
        if one.name in same
        else pa.nulls(count, one.type)
        for one in EVENT_SCHEMA
    ]
    table = pa.Table.from_arrays(columns, schema=EVENT_SCHEMA)
    with TemporaryDirectory(prefix="portal-evaluate-") as folder, connect() as con:
        result = compute(
            con,
            files=write_segments(table, 1, Path(folder)),
            start_ms=START_MS,
            end_ms=START_MS + HOUR_MS,
            as_of_ms=START_MS + 2 * HOUR_MS,
            data_end_ms=START_MS + 2 * HOUR_MS,
            names=Catalogue(),
        )
    return result.figures.user_uptime.during
