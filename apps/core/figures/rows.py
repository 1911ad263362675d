"""What a figure says: one frozen row for each, with its goal and whether the goal is met."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


class Row(Protocol):
    """One line of a bench, drill or evaluation."""

    @property
    def ok(self) -> bool | None:
        """True: met, False: missed, None: a figure without a goal."""
        ...

    def as_json(self) -> Json:
        """Return the row as it is printed with --json, without the name of its entry."""
        ...

    def cells(self) -> tuple[str, ...]:
        """Return the row as words for the table, without the verdict."""
        ...


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: `low` ≤ figure ≤ `high`; None leaves that side open."""

    low: float | None = None
    high: float | None = None

    def met_by(self, value: float | None) -> bool:
        """Return whether `value` reaches the goal; what cannot be told (None, NaN) never does."""
        if value is None or math.isnan(value):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def as_json(self) -> float | list[float] | None:
        """Return the bound, or both of them as [low, high]."""
        if self.low is not None and self.high is not None:
            return [self.low, self.high]
        return self.high if self.low is None else self.low

    @property
    def sense(self) -> str:
        """Which side the bound is on."""
        if self.low is not None and self.high is not None:
            return "between"
        return "at most" if self.low is None else "at least"

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{amount(self.low)} to {amount(self.high)}"
        sign, bound = ("≤", self.high) if self.low is None else ("≥", self.low)
        return f"{sign} {amount(bound)}"


def at_most(high: float) -> Goal:
    """Return the goal that a figure is `high` or less."""
    return Goal(high=high)


def at_least(low: float) -> Goal:
    """Return the goal that a figure is `low` or more."""
    return Goal(low=low)


def between(low: float, high: float) -> Goal:
    """Return the goal that a figure lies in [`low`, `high`]."""
    return Goal(low=low, high=high)


@dataclass(frozen=True)
class BenchRow:
    """A speed or a size: ours, and the baseline measured in the same run.

    The goal is on ours ÷ baseline; without a baseline, or with `absolute`, on ours itself.
    """

    row: str
    ours: float
    baseline: float | None = None
    goal: Goal | None = None
    unit: str = "s"
    baseline_name: str = ""
    note: str = ""
    absolute: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours ÷ baseline; None without a baseline."""
        return self.ours / self.baseline if self.baseline else None

    @property
    def ok(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.goal.met_by(self.ours if self.absolute or self.baseline is None else self.ratio)

    def as_json(self) -> Json:
        """Return row, ours, baseline, ratio, goal, ok and what explains them."""
        return {
            "row": self.row,
            "ours": self.ours,
            "baseline": self.baseline,
            "ratio": self.ratio,
            **_goal(self.goal),
            "ok": self.ok,
            "unit": self.unit,
            "baseline_name": self.baseline_name,
            "note": self.note,
        }

    def cells(self) -> tuple[str, ...]:
        """Return row, ours, baseline, ratio, goal, note."""
        baseline = "" if self.baseline is None else f"{amount(self.baseline)} {self.unit}"
        note = ", ".join(
            filter(None, (self.baseline_name and f"baseline: {self.baseline_name}", self.note))
        )
        return (
            self.row,
            f"{amount(self.ours)} {self.unit}",
            baseline,
            amount(self.ratio),
            str(self.goal or ""),
            note,
        )


@dataclass(frozen=True)
class DrillStep:
    """Something broken on purpose: how often it was tried, and how often what must hold did not.

    A step that tried nothing proves nothing: it is not ok.
    """

    step: str
    tried: int
    violations: int
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was tried and held every time."""
        return self.tried > 0 and self.violations == 0

    def as_json(self) -> Json:
        """Return step, tried, violations, ok, note."""
        return {
            "step": self.step,
            "tried": self.tried,
            "violations": self.violations,
            "ok": self.ok,
            "note": self.note,
        }

    def cells(self) -> tuple[str, ...]:
        """Return step, tried, violations, note."""
        return (self.step, f"{self.tried:,}", f"{self.violations:,}", self.note)


@dataclass(frozen=True)
class EvaluationRow:
    """A measure scored against planted truth. `value` is None where it cannot be told."""

    measure: str
    value: float | None
    goal: Goal | None = None
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.goal.met_by(self.value)

    def as_json(self) -> Json:
        """Return measure, value, goal, ok, note."""
        return {
            "measure": self.measure,
            "value": self.value,
            **_goal(self.goal),
            "ok": self.ok,
            "note": self.note,
        }

    def cells(self) -> tuple[str, ...]:
        """Return measure, value, goal, note."""
        value = "cannot tell" if self.value is None else amount(self.value)
        return (self.measure, value, str(self.goal or ""), self.note)


def amount(value: float | None) -> str:
    """Return a number in few digits: 1,234,567 · 12.3 · 0.0421; nothing for None."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _goal(goal: Goal | None) -> Json:
    return {"goal": goal and goal.as_json(), "sense": goal.sense if goal else None}
