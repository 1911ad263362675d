"""The largest groups of a stream in bounded memory (Misra-Gries, the lower side of Space-Saving).

A sketch keeps at most K counters. Of every group it knows a lower bound, the counter, and an upper
bound, the counter plus `missed`; a group without a counter has at most `missed`. `missed` is never more
than total / (K + 1). Sketches of parts merge into a sketch of the whole that keeps both promises
(Agarwal et al., Mergeable Summaries, 2012).
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

K = 256
"""Groups that are kept for each attribute and day: one that makes 1 in 257 of the requests is never lost."""

Group = TypeVar("Group", bound=Hashable)


@dataclass
class Sketch(Generic[Group]):
    """The largest groups, how many requests there were in all, and what a counter may lack."""

    counts: dict[Group, int] = field(default_factory=dict)
    total: int = 0
    missed: int = 0

    def merge(self, other: "Sketch[Group]") -> None:
        """Take in what another sketch saw."""
        self.total += other.total
        self.missed += other.missed
        for group, count in other.counts.items():
            self.counts[group] = self.counts.get(group, 0) + count
        if len(self.counts) > K:
            cut = sorted(self.counts.values(), reverse=True)[K]
            self.missed += cut
            self.counts = {g: n - cut for g, n in self.counts.items() if n > cut}

    def largest(self, most: int) -> list[tuple[Group, int]]:
        """Return the largest groups with their lower bounds."""
        return sorted(self.counts.items(), key=lambda one: (-one[1], str(one[0])))[:most]


def cut_to_largest(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return which of exact counts a sketch keeps, what its counters say, and what they lack."""
    kept = np.flatnonzero(counts)
    values = counts[kept]
    if len(kept) <= K:
        return kept, values, 0
    cut = int(np.partition(values, len(values) - K - 1)[len(values) - K - 1])
    above = values > cut
    return kept[above], values[above] - cut, cut


def merged(parts: "Iterable[Sketch[Group]]") -> "Sketch[Group]":
    """Return a sketch of all parts together."""
    whole: Sketch[Group] = Sketch()
    for part in parts:
        whole.merge(part)
    return whole
