"""The run, slice by slice: what is carried from one to the next, and when a class is certain."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from apps.analytics.simulate.behaviour import (
    PROMISED_MS,
    TRY_COLUMNS,
    Behaviour,
    Columns,
    Tries,
    join,
    rows_of,
)
from apps.analytics.simulate.plan import Plan
from apps.analytics.simulate.tables import (
    ABSENCE_COLUMNS,
    ATTEMPT_COLUMNS,
    CAME_BACK,
    CAUSES,
    CUT_SHORT,
    FIRST_TRY,
    GAVE_UP,
    HORIZON_MS,
    NOT_RETURNED,
    RETRIED,
    SLOW,
    UNSEEN,
    absence_table,
    attempt_table,
    event_table,
)
from apps.analytics.simulate.visits import HALF_HOUR_MS, Walk
from apps.analytics.simulate.world import BOTS, Bools, Generator, Ints, World, build_world, mix


@dataclass(frozen=True)
class Chunk:
    """The part of the run in [begin, end), epoch ms by true time.

    `events` are sorted by reported time, which a host's skew moves by up to 2 s; duplicates are in. `attempts`
    come in the chunk in which their class is certain: failed ones up to a day after they ended.
    """

    begin: int
    end: int
    events: pa.Table
    attempts: pa.Table
    absences: pa.Table


def simulate(plan: Plan) -> Iterator[Chunk]:
    """Yield the whole run in order of time; the same plan gives the same chunks."""
    return _Run(plan).chunks()


class _Run:
    """What is carried from slice to slice: later events, attempts whose class is open, who has left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world: World = build_world(plan)
        self.walk = Walk(plan, self.world, Behaviour(plan, self.world))
        people = len(self.world.customer)
        self.left = self.world.lifetime_end.copy()
        self.left_by = np.full(people, CAUSES.index("usual"))
        self.events = join([], TRY_COLUMNS)
        self.attempts = join([], ATTEMPT_COLUMNS)
        self.open = join([], ATTEMPT_COLUMNS)

    def chunks(self) -> Iterator[Chunk]:
        bounds = self._bounds()
        for number, (first, last) in enumerate(pairwise(bounds)):
            yield self._chunk(
                np.random.default_rng([self.plan.seed, 1, number]),
                first,
                last,
                final=last == bounds[-1],
            )

    def _bounds(self) -> list[int]:
        """Return the half hours at which slices begin, so that each holds about `plan.chunk` events."""
        expected = np.cumsum(self.world.demand) * self.plan.events / self.plan.chunk
        starts = np.flatnonzero(np.diff(np.floor(expected), prepend=0) > 0)
        last = len(self.world.demand)
        return sorted({0, *(int(one) for one in starts if one < last), last})

    def _chunk(self, rng: Generator, first: int, last: int, *, final: bool) -> Chunk:
        begin = self.plan.start_ms + first * HALF_HOUR_MS
        end = self.plan.start_ms + last * HALF_HOUR_MS
        tries, absences = Tries(), [join([], ABSENCE_COLUMNS)]
        attempts = self.walk.visits(rng, first, last, tries, absences)
        again, put_off = self.walk.come_backs(rng, attempts, tries)
        attempts += again
        self.walk.probe(rng, begin, end, tries)
        self._leave(rng, attempts, put_off)
        events = self._due(join([self.events, tries.columns()], TRY_COLUMNS), end)
        planned = join([self.attempts, *attempts], ATTEMPT_COLUMNS)
        dropped = self._dropped(planned)
        done = self._settle(planned, end, final=final)
        missing = join(absences, ABSENCE_COLUMNS)
        # Who left for good because of it would have gone on with the visit that they were in.
        here = missing["visit"] <= self.left[missing["person"]]
        missing = rows_of(missing, here & (self.world.group[missing["person"]] < BOTS))
        parts = [missing, dropped, self._unseen(done), self._gone(final=final)]
        return Chunk(
            begin,
            end,
            event_table(self.plan, self.world, rng, events),
            attempt_table(self.plan, self.world, done),
            absence_table(self.world, join(parts, ABSENCE_COLUMNS)),
        )

    def _leave(self, rng: Generator, made: list[Columns], put_off: Ints) -> None:
        """Let some people leave for good after what happened to them; who will come back stays."""
        rows = join(made, ATTEMPT_COLUMNS)
        rows = rows_of(
            rows, (rows["failed"] + rows["aborted"] > 0) & self.world.is_human(rows["person"])
        )
        gave_up = (rows["ok"] == 0) & ~np.isin(rows["id"], put_off)
        chance = np.where(
            gave_up,
            self.plan.churn_gave_up,
            np.where(rows["ok"] == 1, self.plan.churn_recovered, 0.0),
        )
        going = rng.random(len(chance)) < chance
        order = np.argsort(rows["end"][going], kind="stable")[::-1]
        for person, when, quit_it in zip(
            rows["person"][going][order],
            rows["end"][going][order],
            gave_up[going][order],
            strict=True,
        ):
            if when < self.left[person]:
                self.left[person] = when
                self.left_by[person] = CAUSES.index("gave_up" if quit_it else "recovered")

    def _due(self, events: Columns, end: int) -> Columns:
        """Return the events before `end` of those still there; keep the later ones for the next slice."""
        here = events["began"] <= self.left[events["person"]]
        due = events["ts"] < end
        self.events = rows_of(events, here & ~due)
        now = rows_of(events, here & due)
        return rows_of(now, np.argsort(now["ts"], kind="stable"))

    def _settle(self, attempts: Columns, end: int, *, final: bool) -> Columns:
        """Return the attempts whose class is certain at `end`, with the column `class`; keep the others."""
        group = self.world.group[attempts["person"]]
        attempts = rows_of(
            attempts, (attempts["start"] <= self.left[attempts["person"]]) & (group < BOTS)
        )
        begun = attempts["start"] < end
        self.attempts = rows_of(attempts, ~begun)
        now = rows_of(attempts, begun)
        failed = now["ok"] == 0
        waiting = join([self.open, rows_of(now, failed)], ATTEMPT_COLUMNS)
        back = _next_success(waiting, now)
        over = (waiting["end"] + HORIZON_MS < end) | final
        settled = rows_of(waiting, back | over)
        settled["class"] = np.where(back[back | over], CAME_BACK, GAVE_UP)
        self.open = rows_of(waiting, ~(back | over))
        good = rows_of(now, ~failed)
        late = good["end"] - good["start"] > PROMISED_MS[good["operation"]]
        good["class"] = np.where(good["tries"] > 1, RETRIED, np.where(late, SLOW, FIRST_TRY))
        return join([good, settled], (*ATTEMPT_COLUMNS, "class"))

    def _dropped(self, planned: Columns) -> Columns:
        """Return what those would still have tried in the window who left for good in it."""
        begin, finish = self.plan.window_ms
        left, at = self.left[planned["person"]], planned["start"]
        cut = (at > left) & (left >= begin) & (at < finish)
        return _absent(rows_of(planned, cut), CUT_SHORT, "gave_up")

    def _unseen(self, done: Columns) -> Columns:
        return _absent(rows_of(done, done["request"] == 0), UNSEEN, "fault")

    def _gone(self, *, final: bool) -> Columns:
        """Return those who left, once, at the end: a later slice may still find an earlier reason."""
        gone = np.flatnonzero(self.left < self.plan.end_ms) if final else np.zeros(0, np.int64)
        return {
            "kind": np.full(len(gone), NOT_RETURNED),
            "cause": self.left_by[gone],
            "ts": self.left[gone].astype(np.int64),
            "person": gone,
            "operation": np.zeros(len(gone), np.int64),
            "visit": self.left[gone].astype(np.int64),
        }


def _absent(attempts: Columns, kind: int, cause: str) -> Columns:
    return {
        "kind": np.full(len(attempts["id"]), kind),
        "cause": np.full(len(attempts["id"]), CAUSES.index(cause)),
        "ts": attempts["start"],
        "person": attempts["person"],
        "operation": attempts["operation"],
        "visit": attempts["start"],
    }


def _next_success(waiting: Columns, later: Columns) -> Bools:
    """Return for each failed attempt whether the same person succeeded at the same thing afterwards, in time."""
    if not len(waiting["id"]):
        return np.zeros(0, bool)
    things = [mix(part["person"], part["operation"], part["target"]) for part in (waiting, later)]
    good = (later["ok"] == 1) & np.isin(things[1], things[0])
    thing = np.concatenate([things[0], things[1][good]])
    start = np.concatenate([waiting["start"], later["start"][good]])
    end = np.concatenate([waiting["end"], later["end"][good]])
    ok = np.concatenate([np.zeros(len(waiting["id"]), bool), np.ones(int(good.sum()), bool)])
    order = np.lexsort((start, thing))
    wins = np.flatnonzero(ok[order])
    if not wins.size:
        return np.zeros(len(waiting["id"]), bool)
    place = np.searchsorted(wins, np.arange(len(order)), "right")
    following = order[wins[np.minimum(place, len(wins) - 1)]]
    back = (
        (place < len(wins))
        & (thing[following] == thing[order])
        & (end[following] <= end[order] + HORIZON_MS)
    )
    found = np.zeros(len(order), bool)
    found[order] = back
    return found[: len(waiting["id"])]
