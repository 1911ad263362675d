"""Why something cannot be told: English words that remember the message and the numbers in it."""

from typing import Any


class Why(str):
    """A reason with numbers: `message` with its places filled, for whoever reads English.

    `told_as` has the parts again, for other languages. A reason without numbers needs no Why: a plain str is
    its own message.
    """

    __slots__ = ("message", "numbers")
    message: str
    numbers: dict[str, int]

    def __new__(cls, message: str, **numbers: int) -> "Why":
        """Fill the message."""
        made = super().__new__(cls, message.format(**numbers))
        made.message, made.numbers = message, numbers
        return made


def told_as(why: str) -> dict[str, Any]:
    """Return a reason as data: {"message", "numbers"}."""
    if isinstance(why, Why):
        return {"message": why.message, "numbers": dict(why.numbers)}
    return {"message": why, "numbers": {}}


def reason_from(found: dict[str, Any]) -> str:
    """Read what `told_as` wrote."""
    numbers = found["numbers"]
    return Why(found["message"], **numbers) if numbers else str(found["message"])
