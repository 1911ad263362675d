"""The run: visits slice by slice, their attempts, the log that they leave, and the truth about them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from apps.analytics.events import EVENT_SCHEMA, Traffic
from apps.analytics.simulate.behaviour import (
    MEDIAN_MS,
    PROMISED_MS,
    TRY_COLUMNS,
    Behaviour,
    Columns,
    Tries,
    join,
)
from apps.analytics.simulate.plan import DAY_MS, Plan
from apps.analytics.simulate.world import (
    BOTS,
    CART,
    CHECKOUT,
    GROUPS,
    OPERATIONS,
    ORDER,
    PRODUCT,
    REPORT,
    SEARCH,
    STOCK,
    Bools,
    Floats,
    Generator,
    Ints,
    Pool,
    World,
    build_world,
    mix,
)

HORIZON_MS = DAY_MS
HALF_HOUR_MS = 1_800_000
MAX_STEPS = 14
SERVICE = np.array([0, *(operation.service for operation in OPERATIONS)])
THINGS = np.array([0, *(operation.things for operation in OPERATIONS)])

CLASSES = ("first_try", "slow", "retried", "came_back", "gave_up")
FIRST_TRY, SLOW, RETRIED, CAME_BACK, GAVE_UP = range(5)
ABSENT = ("never_tried", "deferred", "cut_short", "unseen", "not_returned")
NEVER_TRIED, DEFERRED, CUT_SHORT, UNSEEN, NOT_RETURNED = range(5)
CAUSES = ("fault", "gave_up", "recovered", "usual")

_WORD = pa.dictionary(pa.int8(), pa.string())

ATTEMPT_SCHEMA: pa.Schema = pa.schema(
    [
        pa.field(
            "request", pa.int64()
        ),  # of its first event in the log; null: no event of it is there
        pa.field("class", _WORD),  # first_try, slow, retried, came_back, gave_up
        pa.field("group", _WORD),  # people, by_address, nameless, keyed, unkeyed, internal
        pa.field("person", pa.int64()),  # who truly did it
        pa.field("actor", pa.int64()),  # as the log shows them, null: not at all
        pa.field("customer", pa.int32()),
        pa.field("operation", pa.int32()),
        pa.field("target", pa.int64()),
        pa.field("start", pa.int64()),  # true epoch ms, without the host's skew
        pa.field("end", pa.int64()),  # of the last try
        pa.field("tries", pa.int16()),
        pa.field("failed", pa.int16()),  # tries that failed
        pa.field("aborted", pa.bool_()),  # the caller left while waiting, at least once
        pa.field(
            "extra_ms", pa.int64()
        ),  # retried: success end − start − the operation's median latency
        pa.field(
            "provisional", pa.bool_()
        ),  # gave up so late that the run ends before the return horizon
    ]
)
"""One row per attempt of a customer's person or program (bots and probes have none)."""

ABSENCE_SCHEMA: pa.Schema = pa.schema(
    [
        # never_tried: a visit's attempt that was not made because of the fault (deferred: made later instead)
        # cut_short: what would have followed an attempt that was given up · unseen: made, but nothing was logged
        # not_returned: the person never does anything after ts
        pa.field("kind", _WORD),
        pa.field("cause", _WORD),  # fault, gave_up, recovered, usual
        pa.field("ts", pa.int64()),
        pa.field("person", pa.int64()),
        pa.field("actor", pa.int64()),
        pa.field("customer", pa.int32()),
        pa.field("operation", pa.int32()),  # null for not_returned
    ]
)
"""What did not happen, one row per attempt or person."""

ATTEMPT_COLUMNS = (
    "id",
    "person",
    "operation",
    "target",
    "start",
    "end",
    "tries",
    "failed",
    "aborted",
    "ok",
    "request",
)
ABSENCE_COLUMNS = ("kind", "cause", "ts", "person", "operation")


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


@dataclass(frozen=True)
class Visits:
    """Who visits, from when (epoch ms), for how many steps; a buyer's last two are cart and checkout."""

    person: Ints
    start: Ints
    length: Ints
    buyer: Bools

    def pick(self, which: Ints) -> "Visits":
        """Return the visits at these indices."""
        return Visits(self.person[which], self.start[which], self.length[which], self.buyer[which])


class _Run:
    """What is carried from slice to slice: later events, attempts whose class is open, who has left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world: World = build_world(plan)
        self.behaviour = Behaviour(plan, self.world)
        people = len(self.world.customer)
        self.left = self.world.lifetime_end.copy()
        self.left_by = np.full(people, CAUSES.index("usual"))
        self.events = join([], TRY_COLUMNS)
        self.attempts = join([], ATTEMPT_COLUMNS)
        self.open = join([], ATTEMPT_COLUMNS)
        self._returning: set[int] = set()

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
        attempts = self._visits(rng, first, last, tries, absences)
        attempts += self._come_backs(rng, attempts, tries)
        self._probe(rng, begin, end, tries)
        self._leave(rng, attempts)
        events = self._due(join([self.events, tries.columns()], TRY_COLUMNS), end)
        done = self._settle(join([self.attempts, *attempts], ATTEMPT_COLUMNS), end, final=final)
        missing = join(absences, ABSENCE_COLUMNS)
        missing = _rows(missing, missing["ts"] <= self.left[missing["person"]])
        parts = [missing, self._unseen(done), self._gone(final=final)]
        return Chunk(
            begin,
            end,
            self._event_table(rng, events),
            self._attempt_table(done),
            self._absence_table(join(parts, ABSENCE_COLUMNS)),
        )

    # Visits

    def _visits(
        self, rng: Generator, first: int, last: int, tries: Tries, absences: list[Columns]
    ) -> list[Columns]:
        """Walk all visits that begin in these half hours, step by step; return the attempts of each step."""
        visits = self._shy(rng, self._begin(rng, first, last), absences)
        person, length = visits.person, visits.length
        made: list[Columns] = []
        previous = np.zeros(len(person), np.int64)
        now = visits.start.copy()
        live = np.arange(len(person))
        for step in range(MAX_STEPS):
            operation = self._operation(rng, visits.pick(live), step)
            target = self._target(rng, operation, previous[live])
            previous[live] = np.where(target != 0, target, previous[live])
            result = self.behaviour.attempt(
                rng, tries, person=person[live], operation=operation, target=target, start=now[live]
            )
            made.append(result)
            goes_on = (result["ok"] == 1) | (
                rng.random(len(live)) < self.plan.stays_after_giving_up
            )
            now[live] = result["end"] + self._think(rng, len(live))
            more = step + 1 < length[live]
            cut = live[~goes_on & more]
            missed = replace(visits.pick(cut), start=now[cut])
            absences.append(self._would(rng, missed, step + 1, kind=CUT_SHORT, cause="gave_up"))
            live = live[goes_on & more]
            if not live.size:
                break
        return made

    def _begin(self, rng: Generator, first: int, last: int) -> Visits:
        """Draw who visits when, for how many steps, and whether to buy."""
        world = self.world
        people, starts, lengths = [], [], []
        for pool in (world.people, world.office, world.machines, world.bots):
            counts = rng.poisson(pool.visits * self._shape(pool, first, last))
            count = int(counts.sum())
            bins = np.repeat(np.arange(first, last), counts)
            people.append(pool.draw(rng, count))
            starts.append(
                self.plan.start_ms + ((bins + rng.random(count)) * HALF_HOUR_MS).astype(np.int64)
            )
            lengths.append(np.minimum(1 + rng.poisson(pool.steps, count), MAX_STEPS))
        person, length = np.concatenate(people), np.concatenate(lengths)
        buyer = (rng.random(len(person)) < 0.25) & self._shopper(person)
        return Visits(person, np.concatenate(starts), np.maximum(length, 1 + buyer), buyer)

    def _shape(self, pool: Pool, first: int, last: int) -> Floats:
        demand = self.world.demand
        if pool is self.world.people or pool is self.world.office:
            return demand[first:last]
        # Programs sleep less than people.
        return 0.5 * demand[first:last] + 0.5 / len(demand)

    def _shopper(self, person: Ints) -> Bools:
        return np.asarray(person < self.world.office.first)

    def _think(self, rng: Generator, count: int) -> Ints:
        """Return the pauses between two steps of a visit, ms."""
        return np.asarray((25_000 * np.exp(rng.normal(0, 1.0, count))).astype(np.int64))

    def _shy(self, rng: Generator, visits: Visits, absences: list[Columns]) -> Visits:
        """Keep some hit people from beginning during the fault; return the visits that begin, maybe later."""
        begin, finish = self.plan.window_ms
        person, start = visits.person, visits.start
        shy = (start >= begin) & (start < finish) & self._shopper(person)
        shy &= self.world.hit[self.world.customer[person]]
        shy &= rng.random(len(person)) < self.plan.never_tries
        later = shy & (rng.random(len(person)) < self.plan.deferred)
        for kind, of in ((NEVER_TRIED, shy & ~later), (DEFERRED, later)):
            absences.append(
                self._would(rng, visits.pick(np.flatnonzero(of)), 0, kind=kind, cause="fault")
            )
        moved = finish + (rng.random(len(person)) * 6 * 3_600_000).astype(np.int64)
        begins = np.flatnonzero(~shy | later)
        return replace(visits, start=np.where(later, moved, start)).pick(begins)

    def _would(
        self, rng: Generator, visits: Visits, step: int, *, kind: int, cause: str
    ) -> Columns:
        """Return the attempts from `step` on that these visits would have made."""
        times = visits.length - step
        visit = np.repeat(np.arange(len(times)), times)
        first = np.repeat(np.cumsum(times) - times, times)
        think = self._think(rng, len(visit))
        passed = np.cumsum(think)
        each = visits.pick(visit)
        return {
            "kind": np.full(len(visit), kind),
            "cause": np.full(len(visit), CAUSES.index(cause)),
            "ts": each.start + passed - passed[first],
            "person": each.person,
            "operation": self._operation(rng, each, np.arange(len(visit)) - first + step),
        }

    def _operation(self, rng: Generator, visits: Visits, step: int | Ints) -> Ints:
        """Return what each visit asks for at its step `step`."""
        world, person, left = self.world, visits.person, visits.length - step
        dice = rng.random(len(person))
        operation = np.where(dice < 0.6, PRODUCT, SEARCH)
        operation = np.where(visits.buyer & (left == 2), CART, operation)
        operation = np.where(visits.buyer & (left == 1), CHECKOUT, operation)
        office = (person >= world.office.first) & (person < world.machines.first)
        machine = (person >= world.machines.first) & (person < world.bots.first)
        operation = np.where(office, REPORT, operation)
        return np.where(machine, np.where(dice < 0.7, STOCK, ORDER), operation)

    def _target(self, rng: Generator, operation: Ints, previous: Ints) -> Ints:
        """Return the hash of the product asked for, 0 for an operation without; three in ten look again."""
        things = THINGS[operation]
        thing = (rng.random(len(operation)) * things).astype(np.int64)
        again = (operation == PRODUCT) & (previous != 0) & (rng.random(len(operation)) < 0.3)
        return np.where(again, previous, np.where(things > 0, mix(3, operation, thing), 0))

    def _come_backs(self, rng: Generator, made: list[Columns], tries: Tries) -> list[Columns]:
        """Let some of those who gave up try the same thing again within a day, and again."""
        found: list[Columns] = []
        given_up = _rows(join(made, ATTEMPT_COLUMNS), None)
        for _ in range(3):
            lost = given_up["ok"] == 0
            back = (
                lost
                & self._human(given_up["person"])
                & (rng.random(len(lost)) < self.plan.comes_back)
            )
            if not back.any():
                break
            rows = _rows(given_up, back)
            # Those who will come back do not leave for good.
            self._returning.update(rows["id"].tolist())
            delay = np.minimum(
                7_200_000 * np.exp(rng.normal(0, 1.2, len(rows["id"]))), 20 * 3_600_000
            )
            given_up = self.behaviour.attempt(
                rng,
                tries,
                person=rows["person"],
                operation=rows["operation"],
                target=rows["target"],
                start=rows["end"] + 60_000 + delay.astype(np.int64),
            )
            found.append(given_up)
        return found

    def _human(self, person: Ints) -> Bools:
        return np.asarray(person < self.world.machines.first)

    def _probe(self, rng: Generator, begin: int, end: int, tries: Tries) -> None:
        """Add the rhythmic checks that nobody flagged."""
        for person, phase in zip(self.world.probes, self.world.probe_phase, strict=True):
            beat = np.arange(begin + int(phase), end, 60_000)
            beat = beat + rng.normal(0, 300, len(beat)).astype(np.int64)
            same = np.full(len(beat), person)
            self.behaviour.attempt(
                rng,
                tries,
                person=same,
                operation=np.full(len(beat), SEARCH),
                target=np.zeros(len(beat), np.int64),
                start=beat,
            )

    # Who leaves, and what is left of the rest

    def _leave(self, rng: Generator, made: list[Columns]) -> None:
        """Let some people leave for good after what happened to them."""
        rows = join(made, ATTEMPT_COLUMNS)
        rows = _rows(rows, (rows["failed"] + rows["aborted"] > 0) & self._human(rows["person"]))
        gave_up = (rows["ok"] == 0) & ~np.isin(rows["id"], list(self._returning))
        self._returning.clear()
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
        self.events = _rows(events, here & ~due)
        now = _rows(events, here & due)
        return _rows(now, np.argsort(now["ts"], kind="stable"))

    def _settle(self, attempts: Columns, end: int, *, final: bool) -> Columns:
        """Return the attempts whose class is certain at `end`, with the column `class`; keep the others."""
        group = self.world.group[attempts["person"]]
        attempts = _rows(
            attempts, (attempts["start"] <= self.left[attempts["person"]]) & (group < BOTS)
        )
        begun = attempts["start"] < end
        self.attempts = _rows(attempts, ~begun)
        now = _rows(attempts, begun)
        failed = now["ok"] == 0
        waiting = join([self.open, _rows(now, failed)], ATTEMPT_COLUMNS)
        back = _next_success(waiting, now)
        over = (waiting["end"] + HORIZON_MS < end) | final
        settled = _rows(waiting, back | over)
        settled["class"] = np.where(back[back | over], CAME_BACK, GAVE_UP)
        self.open = _rows(waiting, ~(back | over))
        good = _rows(now, ~failed)
        late = good["end"] - good["start"] > PROMISED_MS[good["operation"]]
        good["class"] = np.where(good["failed"] > 0, RETRIED, np.where(late, SLOW, FIRST_TRY))
        return join([good, settled], (*ATTEMPT_COLUMNS, "class"))

    def _unseen(self, done: Columns) -> Columns:
        rows = _rows(done, done["request"] == 0)
        return {
            "kind": np.full(len(rows["id"]), UNSEEN),
            "cause": np.full(len(rows["id"]), CAUSES.index("fault")),
            "ts": rows["start"],
            "person": rows["person"],
            "operation": rows["operation"],
        }

    def _gone(self, *, final: bool) -> Columns:
        """Return those who left, once, at the end: a later slice may still find an earlier reason."""
        gone = np.flatnonzero(self.left < self.plan.end_ms) if final else np.zeros(0, np.int64)
        return {
            "kind": np.full(len(gone), NOT_RETURNED),
            "cause": self.left_by[gone],
            "ts": self.left[gone].astype(np.int64),
            "person": gone,
            "operation": np.zeros(len(gone), np.int64),
        }

    # Tables

    def _event_table(self, rng: Generator, events: Columns) -> pa.Table:
        """Return the log of these events: by host, with skew, delivery and duplicates."""
        world, plan = self.world, self.plan
        count = len(events["ts"])
        person = events["person"]
        host = rng.integers(0, len(world.host_skew), count)
        end = events["ts"] + events["latency"]
        arrived = end + (200 * np.exp(rng.normal(0, 0.6, count))).astype(np.int64)
        again = np.flatnonzero(rng.random(count) < plan.duplicates)
        rows = np.concatenate([np.arange(count), again])
        late = np.concatenate([np.zeros(count, np.int64), rng.integers(1000, 60_000, len(again))])
        reported = events["ts"] + world.host_skew[host]
        rows, late = (one[np.argsort(reported[rows], kind="stable")] for one in (rows, late))
        person = person[rows]
        operation = events["operation"][rows]
        traffic = np.where(world.group[person] == BOTS, Traffic.BOT, Traffic.CUSTOMERS)
        columns = {
            "ts": reported[rows],
            "latency_ms": events["latency"][rows],
            "customer": world.customer[person],
            "actor": _nullable(world.actor[person]),
            "actor_kind": world.actor_kind[person],
            "addr": _nullable(np.where(world.actor[person] == 0, 0, world.address[person])),
            "service": SERVICE[operation],
            "operation": operation,
            "target": _nullable(events["target"][rows]),
            "outcome": events["outcome"][rows],
            "status": events["status"][rows],
            "key": _nullable(events["key"][rows]),
            "request": events["request"][rows],
            "host": 1 + host[rows],
            "traffic": traffic,
            "arrived": arrived[rows] + late if plan.arrivals else pa.nulls(len(rows), pa.int64()),
        }
        return _table(columns, EVENT_SCHEMA)

    def _attempt_table(self, done: Columns) -> pa.Table:
        world = self.world
        person = done["person"]
        extra = done["end"] - done["start"] - MEDIAN_MS[done["operation"]].astype(np.int64)
        columns = {
            "request": _nullable(done["request"]),
            "class": _words(done["class"], CLASSES),
            "group": _words(world.group[person], GROUPS),
            "person": person,
            "actor": _nullable(world.actor[person]),
            "customer": world.customer[person],
            "operation": done["operation"],
            "target": _nullable(done["target"]),
            "start": done["start"],
            "end": done["end"],
            "tries": done["tries"],
            "failed": done["failed"],
            "aborted": done["aborted"].astype(bool),
            "extra_ms": np.where(done["class"] == RETRIED, np.maximum(0, extra), 0),
            "provisional": (done["class"] == GAVE_UP)
            & (done["end"] + HORIZON_MS >= self.plan.end_ms),
        }
        return _table(columns, ATTEMPT_SCHEMA)

    def _absence_table(self, absences: Columns) -> pa.Table:
        person = absences["person"]
        columns = {
            "kind": _words(absences["kind"], ABSENT),
            "cause": _words(absences["cause"], CAUSES),
            "ts": absences["ts"],
            "person": person,
            "actor": _nullable(self.world.actor[person]),
            "customer": self.world.customer[person],
            "operation": _nullable(absences["operation"]),
        }
        return _table(columns, ABSENCE_SCHEMA)


def _rows(columns: Columns, which: Bools | Ints | None) -> Columns:
    return dict(columns) if which is None else {name: one[which] for name, one in columns.items()}


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


def _nullable(values: Ints) -> pa.Array:
    """Return the values as an Arrow array in which 0 is null."""
    return pa.array(values, pa.int64(), mask=values == 0)


def _words(codes: Ints, words: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int8)), pa.array(words))


def _table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    arrays = [
        column.cast(field.type)
        if isinstance(column, pa.Array)
        else pa.array(column).cast(field.type)
        for field, column in zip(schema, columns.values(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
