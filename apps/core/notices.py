"""What the apps above Today want said on it: each registers a question, and Today asks them all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Notice:
    """One thing that waits for a person: a count in words, where to go, and what the link there says."""

    text: str
    href: str
    action: str = "Look at it"


#: Given a user, returns what waits for them, or None. One query each at most.
Ask = Callable[[Any], Notice | None]
_asked: list[Ask] = []


def on_today(ask: Ask) -> None:
    """Have Today ask this for whoever reads it. Called as an app gets ready, once for each."""
    if ask not in _asked:
        _asked.append(ask)


def notices(user: Any) -> list[Notice]:
    """Return what waits for `user`."""
    return [found for ask in _asked if (found := ask(user))]
