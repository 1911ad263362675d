"""How right the attempts are that were made out of events, against planted truth. Strict on purpose.

A found attempt is right only if it starts with the first request of a true attempt and has its class.
A piece split off a true attempt is found in vain, an attempt swallowed by another one is missed.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

REFUSED = "cannot_tell"
OPEN = "open"
UNKNOWN_GROUP = "unknown"

Ints = NDArray[np.int64]
Words = NDArray[np.object_]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """Counts of attempts: `right` are both among the `found` and the `planted`."""

    right: int
    found: int
    planted: int

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.right + other.right, self.found + other.found, self.planted + other.planted
        )

    @property
    def precision(self) -> float | None:
        """Share of the found that is right; None when nothing was found."""
        return self.right / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the planted that was found; None when nothing was planted."""
        return self.right / self.planted if self.planted else None

    @property
    def f1(self) -> float | None:
        """2 · right / (found + planted), over all classes together this is micro-F1; None without any."""
        return 2 * self.right / (self.found + self.planted) if self.found + self.planted else None


@dataclass(frozen=True)
class Scores:
    """Scores of all attempts told apart, and of parts of them. `refused` counts the true attempts set aside."""

    overall: Score
    by_class: dict[str, Score]
    by_group: dict[str, Score]
    by_group_and_class: dict[tuple[str, str], Score]
    refused: dict[str, int]

    def refused_share(self, group: str) -> float | None:
        """Share of a group's true attempts for which the answer was "cannot tell"; None without any."""
        planted = self.by_group[group].planted if group in self.by_group else 0
        refused = self.refused.get(group, 0)
        return refused / (refused + planted) if refused + planted else None


def score(found: pa.Table, truth: pa.Table) -> Scores:
    """Compare found attempts with true ones; both hold only what starts in the window that is scored.

    `found` needs request (of the first event), class, actor and operation; `truth` besides these group
    (simulate.ATTEMPT_SCHEMA has them). Set aside on both sides: every actor and operation that was refused
    (class "cannot_tell"), attempts said to be still open, and true attempts that left no trace in the log.
    """
    there, given = _Side(found), _Side(truth)
    groups = _words(truth, "group")

    refused = there.label == REFUSED
    blind = _isin(given, there, refused)
    still_open = (there.label == OPEN) & (there.request != 0)
    counted = (given.request != 0) & ~blind & ~np.isin(given.request, there.request[still_open])
    kept = ~refused & (there.label != OPEN) & ~_isin(there, there, refused)

    place, hit = _match(there.request, np.where(counted, given.request, 0))
    right = kept & hit
    right[hit] &= there.label[hit] == given.label[place[hit]]
    # An attempt found in vain belongs to the group of its actor.
    group = _group_of(there.actor, given.actor, groups)
    group[hit] = groups[place[hit]]

    def of(mine: Bools, theirs: Bools) -> Score:
        return Score(
            int((right & mine).sum()), int((kept & mine).sum()), int((counted & theirs).sum())
        )

    everywhere = (np.ones(len(there.label), bool), np.ones(len(given.label), bool))
    labels = sorted({*there.label[kept], *given.label[counted]})
    names = sorted({*group[kept], *groups[counted]})
    return Scores(
        overall=of(*everywhere),
        by_class={one: of(there.label == one, given.label == one) for one in labels},
        by_group={one: of(group == one, groups == one) for one in names},
        by_group_and_class={
            (name, one): of(
                (group == name) & (there.label == one), (groups == name) & (given.label == one)
            )
            for name in names
            for one in labels
        },
        refused={
            str(one): int((blind & (groups == one)).sum()) for one in sorted(set(groups[blind]))
        },
    )


def micro_f1(found: pa.Table, truth: pa.Table) -> float | None:
    """Return micro-F1 over all classes; see `score`."""
    return score(found, truth).overall.f1


class _Side:
    """The columns that both sides have; 0 stands for null."""

    def __init__(self, table: pa.Table) -> None:
        self.request = _ints(table, "request")
        self.actor = _ints(table, "actor")
        self.operation = _ints(table, "operation")
        self.label = _words(table, "class")


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].cast(pa.int64()).fill_null(0).to_numpy(), np.int64)


def _words(table: pa.Table, name: str) -> Words:
    return np.asarray(table[name].cast(pa.string()).to_pylist(), object)


def _pairs(side: _Side) -> NDArray[np.void]:
    pairs = np.empty(len(side.actor), [("actor", np.int64), ("operation", np.int64)])
    pairs["actor"], pairs["operation"] = side.actor, side.operation
    return pairs


def _isin(side: _Side, there: _Side, refused: Bools) -> Bools:
    """Return which rows of `side` are of an actor and operation that was refused."""
    return np.asarray(np.isin(_pairs(side), _pairs(there)[refused]), bool)


def _match(wanted: Ints, known: Ints) -> tuple[Ints, Bools]:
    """Return where in `known` each of `wanted` is, and whether it is there (0 never is).

    Of equal ones among `wanted` only the first is a match: an attempt cannot be found twice.
    """
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    order = np.argsort(known, kind="stable")
    spot = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    place = order[spot]
    hit = (known[place] == wanted) & (wanted != 0)
    first = np.zeros(len(wanted), bool)
    first[np.unique(wanted, return_index=True)[1]] = True
    return place, hit & first


def _group_of(actors: Ints, known: Ints, groups: Words) -> Words:
    found = np.full(len(actors), UNKNOWN_GROUP, object)
    if len(known):
        order = np.argsort(known, kind="stable")
        spot = np.minimum(np.searchsorted(known[order], actors), len(known) - 1)
        place = order[spot]
        same = known[place] == actors
        found[same] = groups[place[same]]
    return found
