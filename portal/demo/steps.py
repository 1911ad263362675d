"""Run a story step by step: each says what it did, and is true only if it happened."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TextIO


class NotTrue(Exception):
    """A step did not come true; the message says what was seen instead."""


@dataclass
class Steps:
    """Runs steps in order, prints the state of each, and remembers whether all came true."""

    out: TextIO
    colour: bool = False
    failed: list[str] = field(default_factory=list)

    def run(self, label: str, step: Callable[[], str]) -> bool:
        """Run one step. Once one has failed, those after it are not tried: they would stand on nothing."""
        if self.failed:
            self._print("·", label, "not tried", "2")
            return False
        began = time.monotonic()
        try:
            detail = step()
        except Exception as error:  # noqa: BLE001  (whatever went wrong is the step's answer)
            self.failed.append(label)
            self._print("✗", label, f"{type(error).__name__}: {error}", "31")
            return False
        self._print("✓", label, f"{detail} ({time.monotonic() - began:.1f} s)", "32")
        return True

    def _print(self, mark: str, label: str, detail: str, colour: str) -> None:
        if self.colour:
            mark = f"\033[{colour}m{mark}\033[0m"
        self.out.write(f"{mark} {label:24} {detail}\n")
        self.out.flush()


def wait_for(
    what: str, found: Callable[[], Any], *, seconds: float = 60, every: float = 0.1
) -> Any:
    """Return the first truthy answer of `found()`; raise NotTrue when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        if answer := found():
            return answer
        if time.monotonic() > end:
            raise NotTrue(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
