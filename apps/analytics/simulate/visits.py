"""Who visits and what they try, step by step, as far as it begins in one slice of time."""

from dataclasses import dataclass, replace

import numpy as np

from apps.analytics.simulate.behaviour import Behaviour, Columns, Tries, join, rows_of
from apps.analytics.simulate.plan import Plan
from apps.analytics.simulate.tables import (
    ATTEMPT_COLUMNS,
    CAUSES,
    CUT_SHORT,
    DEFERRED,
    NEVER_TRIED,
)
from apps.analytics.simulate.world import (
    CART,
    CHECKOUT,
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
    mix,
)

HALF_HOUR_MS = 1_800_000
MAX_STEPS = 14
THINGS = np.array([0, *(operation.things for operation in OPERATIONS)])


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


class Walk:
    """Draws visits and walks them."""

    def __init__(self, plan: Plan, world: World, behaviour: Behaviour) -> None:
        self.plan = plan
        self.world = world
        self.behaviour = behaviour

    def visits(
        self, rng: Generator, first: int, last: int, tries: Tries, absences: list[Columns]
    ) -> list[Columns]:
        """Walk all visits that begin in these half hours, step by step; return the attempts of each step."""
        visits = self._shy(rng, self._begin(rng, first, last), absences)
        person, length = visits.person, visits.length
        made: list[Columns] = []
        previous = np.zeros(len(person), np.int64)
        now = visits.start.copy()
        due = now.copy()  # when each would have begun its next step, had all worked at once
        live = np.arange(len(person))
        for step in range(MAX_STEPS):
            operation = self._operation(rng, visits.pick(live), step)
            target = self._target(rng, operation, previous[live])
            previous[live] = np.where(target != 0, target, previous[live])
            result = self.behaviour.attempt(
                rng, tries, person=person[live], operation=operation, target=target, start=now[live]
            )
            made.append(result)
            absences.append(self._late(visits.pick(live), operation, due[live], now[live]))
            goes_on = (result["ok"] == 1) | (
                rng.random(len(live)) < self.plan.stays_after_giving_up
            )
            think = self._think(rng, len(live))
            at_once = (result["ok"] == 1) & (result["tries"] == 1)
            due[live] += np.where(at_once, result["end"] - now[live], 0) + think
            now[live] = result["end"] + think
            more = step + 1 < length[live]
            stops = ~goes_on & more
            missed = visits.pick(live[stops])
            rest = replace(missed, start=due[live[stops]])
            cut = self._would(rng, rest, step + 1, kind=CUT_SHORT, cause="gave_up")
            absences.append(cut | {"visit": np.repeat(missed.start, missed.length - step - 1)})
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

    def _late(self, visits: Visits, operation: Ints, due: Ints, now: Ints) -> Columns:
        """Return the attempts that retries before them have put off until after the fault."""
        begin, finish = self.plan.window_ms
        late = (due >= begin) & (due < finish) & (now >= finish)
        count = int(late.sum())
        return {
            "kind": np.full(count, DEFERRED),
            "cause": np.full(count, CAUSES.index("fault")),
            "ts": due[late],
            "person": visits.person[late],
            "operation": operation[late],
            "visit": visits.start[late],
        }

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
            "visit": each.start,
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

    def come_backs(
        self, rng: Generator, made: list[Columns], tries: Tries
    ) -> tuple[list[Columns], Ints]:
        """Let some of those who gave up try the same thing again within a day, and again.

        Returns the new attempts, and the ids of the attempts that were given up only until later.
        """
        found: list[Columns] = []
        put_off = [np.zeros(0, np.int64)]
        given_up = join(made, ATTEMPT_COLUMNS)
        for _ in range(3):
            lost = given_up["ok"] == 0
            back = (
                lost
                & self.world.is_human(given_up["person"])
                & (rng.random(len(lost)) < self.plan.comes_back)
            )
            if not back.any():
                break
            rows = rows_of(given_up, back)
            put_off.append(rows["id"])
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
        return found, np.concatenate(put_off)

    def probe(self, rng: Generator, begin: int, end: int, tries: Tries) -> None:
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
