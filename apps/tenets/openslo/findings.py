"""What a file holds, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from apps.tenets.models import Audience
from apps.tenets.openslo.reading import At, Problem


@dataclass(kw_only=True)
class WantedTenet:
    """A tenet that a file describes."""

    line: int
    slug: str
    name: str
    service: str
    service_name: str
    kind: str  # "" when the file does not say
    promise: str
    rationale: str = ""
    audience: str = Audience.CLASS
    customers: Sequence[str] = ()
    review_by: date | None = None
    review_every_months: int | None = None
    clauses: list[dict[str, Any]] = field(default_factory=list)  # ClauseDraft, names for rows
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """What a file holds, and what is wrong with it."""

    tenets: list[WantedTenet] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    secret: bool = False  # then nothing of the file is shown again

    @property
    def refused(self) -> bool:
        """Whether anything keeps the file from being imported."""
        return any(one.error for one in self.problems)


@dataclass(frozen=True)
class Findings:
    """Takes down what is found while a file is walked."""

    report: Report
    said: set[Problem] = field(default_factory=set)

    def text(self, at: At | None, name: str) -> str:
        """Return what stands under a key as text, "" where nothing does."""
        held = at.get(name) if at else None
        if held is None:
            return ""
        if held.kind in {"map", "list"}:
            self.error(held, f"{name} is text.")
            return ""
        return str(held.raw or held.value).strip()

    def error(self, at: At, text: str) -> None:
        """Say once what is wrong at a value."""
        self._say(Problem(at.line, text))

    def note(self, at: At, text: str) -> None:
        """Say what is worth knowing at a value."""
        self._say(Problem(at.line, text, error=False))

    def _say(self, problem: Problem) -> None:
        if problem not in self.said:
            self.said.add(problem)
            self.report.problems.append(problem)


def quoted(text: str) -> str:
    """Return text for a sentence, cut short."""
    return f"“{text[:60]}”" if text else "(none)"


def under(indicator: At, name: str) -> At | None:
    """Return what stands under a key of an indicator's spec."""
    spec = indicator.get("spec")
    return spec.get(name) if spec and spec.kind == "map" else None
