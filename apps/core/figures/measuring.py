"""Seconds and peak memory of a call, in this process or in a fresh one."""

import gc
import multiprocessing
import os
import pickle
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """What a call took. `peak_rss_bytes` is the whole process at its largest during the call."""

    seconds: float
    peak_rss_bytes: int

    @property
    def peak_rss_mb(self) -> float:
        """The peak in megabytes (10⁶ bytes)."""
        return self.peak_rss_bytes / 1e6


def measure(function: Callable[[], object]) -> Measured:
    """Call `function` here once and return what it took.

    The peak counts what the process held before; for the call's own memory use `measure_apart`.
    """
    gc.collect()
    _reset_peak()
    started = time.perf_counter()
    function()
    seconds = time.perf_counter() - started
    return Measured(seconds, _peak())


def measure_apart(function: Callable[..., object], *args: Any) -> Measured:
    """Call `function(*args)` once in a fresh process with Django set up; return what it took.

    `function` must be importable (module level) and the arguments picklable. Raises what it
    raises, and RuntimeError when the process dies.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # Pickled here and not by the process: it must set Django up before it imports the function.
    process = context.Process(target=_apart, args=(theirs, pickle.dumps((function, args))))
    process.start()
    theirs.close()
    try:
        answer = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"the measured process ended with {process.exitcode}") from None
    process.join()
    if not isinstance(answer, Measured):
        raise answer
    return answer


def compare(
    ours: Callable[[], object],
    baseline: Callable[[], object],
    *,
    repeats: int = 3,
    apart: bool = False,
) -> tuple[Measured, Measured]:
    """Measure both in turns, `repeats` times: median of the seconds, largest of the peaks.

    With `apart` each call gets a fresh process (functions importable; `functools.partial` will do).
    """
    how = measure_apart if apart else measure
    first: list[Measured] = []
    second: list[Measured] = []
    for turn in range(repeats):
        # Whoever goes first warms the page cache: take turns at that too.
        order = [(ours, first), (baseline, second)]
        for function, found in order if turn % 2 == 0 else reversed(order):
            found.append(how(function))
    return _summary(first), _summary(second)


def _summary(found: list[Measured]) -> Measured:
    return Measured(
        statistics.median(one.seconds for one in found), max(one.peak_rss_bytes for one in found)
    )


def _apart(answers: Any, pickled: bytes) -> None:
    try:
        if os.environ.get("DJANGO_SETTINGS_MODULE"):
            django.setup()
        function, args = pickle.loads(pickled)  # noqa: S301  (written by the parent)
        answers.send(measure(lambda: function(*args)))
    except Exception as error:  # noqa: BLE001  (raised again where it was asked for)
        answers.send(error)
    finally:
        answers.close()


def _reset_peak() -> None:
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return  # no such file, or not allowed: the peak is then the process's own since its start


def _peak() -> int:
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
