"""What an operation is called, and who gives it its number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

UNNAMED = "(not named)"


class Registry(Protocol):
    """Where services and operations get their numbers."""

    def service(self, slug: str) -> int:
        """Return the number of the service that a sender names, which may be new to us."""
        ...

    def operations(self, service: int, wanted: Sequence["Wanted"]) -> list[int]:
        """Return the numbers of operations, which may be new to us."""
        ...

    def routed(self, service: int, wanted: "Wanted") -> bool:
        """Whether an operation that has a number goes by another's, which takes in many paths."""
        ...

    def traits(self, wanted: Sequence["Traits"]) -> list[int]:
        """Return the numbers of sets of traits, which may be new to us; 0 for none."""
        ...


Traits = tuple[tuple[str, str], ...]
"""The traits that a request carries, by name: (("region", "eu-west"), ...)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An operation as traffic shows it."""

    name: str
    method: str = ""
    pattern: str = ""
    declared: bool = False  # by a rules file or by the sender, not derived from a path
