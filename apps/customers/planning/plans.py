"""A plan: its lines, the outcome of each, and the rows that it would write."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from apps.customers.models import Contact, Customer, CustomerJourney, IdentificationRule

NEW, CHANGED, SAME, BAD = "new", "changed", "same", "bad"
OUTCOMES = (NEW, CHANGED, SAME, BAD)
Model = Customer | Contact | IdentificationRule | CustomerJourney


@dataclass
class Line:
    """What becomes of one line."""

    number: int
    record: str
    who: str
    outcome: str = ""
    fields: list[str] = field(default_factory=list)
    column: str = ""
    reason: str = ""
    hint: str = ""

    def refuse(self, column: str, reason: str, hint: str) -> None:
        """Name the line as bad; the first reason stands."""
        if self.outcome != BAD:
            self.outcome, self.column, self.reason, self.hint = BAD, column, reason, hint
            self.fields = []

    def as_json(self) -> dict[str, Any]:
        """Return the line as the API and the command tell it."""
        told: dict[str, Any] = {
            "line": self.number,
            "record": self.record,
            "id": self.who,
            "outcome": self.outcome,
        }
        if self.outcome == BAD:
            return told | {"column": self.column, "reason": self.reason, "hint": self.hint}
        return told | ({"fields": self.fields} if self.fields else {})


@dataclass(eq=False)
class Account:
    """A customer that lines are about: one that is there, or one that the file brings."""

    row: Customer
    new: bool = False
    line: Line | None = None
    values: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it is there, or will be."""
        return not self.new or (self.line is not None and self.line.outcome != BAD)


@dataclass(eq=False)
class Change:
    """A contact, rule or journey that a line makes or changes."""

    line: Line
    account: Account
    row: Contact | IdentificationRule | CustomerJourney
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass
class Plan:
    """All lines, and what they would write."""

    lines: list[Line] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines there are of each outcome."""
        found = Counter(line.outcome for line in self.lines)
        return {outcome: found[outcome] for outcome in OUTCOMES}
