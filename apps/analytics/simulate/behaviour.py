"""How the service answers a try, and what the one who tried does next."""

from dataclasses import dataclass, field

import numpy as np

from apps.analytics.events import Outcome
from apps.analytics.simulate.plan import Plan
from apps.analytics.simulate.world import (
    APP,
    BOTS,
    CART,
    CHECKOUT,
    CRON,
    EXPO,
    FIXED,
    HUMAN,
    IMMEDIATE,
    JITTER,
    OPERATIONS,
    PROBES,
    Bools,
    Floats,
    Generator,
    Ints,
    World,
    mix,
)

MAX_TRIES = 14
TIMEOUT_MS = 30_000.0

MEDIAN_MS = np.array([0.0, *(operation.median_ms for operation in OPERATIONS)])
PROMISED_MS = np.array([0.0, *(operation.promised_ms for operation in OPERATIONS)])

Columns = dict[str, Ints]


@dataclass
class Tries:
    """The tries made so far, as lists of columns that are joined once."""

    parts: list[Columns] = field(default_factory=list)

    def columns(self) -> Columns:
        """Return all tries, in the order they were made up."""
        return join(self.parts, TRY_COLUMNS)


TRY_COLUMNS = (
    *("attempt", "began", "ts", "latency", "outcome", "status", "key", "request", "person"),
    *("operation", "target"),
)


def join(parts: list[Columns], names: tuple[str, ...]) -> Columns:
    """Return the rows of all parts in one set of columns."""
    if not parts:
        return {name: np.zeros(0, np.int64) for name in names}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def rows_of(columns: Columns, which: Bools | Ints) -> Columns:
    """Return the rows that a mask or indices name."""
    return {name: one[which] for name, one in columns.items()}


class Behaviour:
    """Dice, world and counters of one run; requests and attempts are numbered through."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.requests = 0
        self.attempts = 0
        self.fails = np.full(len(OPERATIONS) + 1, -1.0)
        for operation, share in plan.fault.fail:
            self.fails[operation] = share

    def attempt(
        self,
        rng: Generator,
        tries: Tries,
        *,
        person: Ints,
        operation: Ints,
        target: Ints,
        start: Ints,
    ) -> Columns:
        """Make one attempt each, with the retries that follow; add its tries, return its outcome.

        Columns: id, person, operation, target, start, end, tries, failed, aborted, ok, request (of the first try
        that reached us, 0: none did).
        """
        count = len(person)
        number = self.attempts + np.arange(count)
        self.attempts += count
        now, end = start.astype(np.int64), np.zeros(count, np.int64)
        done, failed, aborted, ok, first = (np.zeros(count, np.int64) for _ in range(5))
        key = self._keys(person, operation, number, np.zeros(count, np.int64))
        live = np.arange(count)
        for turn in range(MAX_TRIES):
            who, what, when = person[live], operation[live], now[live]
            latency, outcome, status, seen = self._serve(rng, who, what, when)
            request = mix(self.plan.seed, 1, self.requests + np.arange(len(live)))
            self.requests += len(live)
            part = {
                "attempt": number[live],
                "began": start[live],
                "ts": when,
                "latency": latency,
                "outcome": outcome,
                "status": status,
                "key": key[live],
                "request": request,
                "person": who,
                "operation": what,
                "target": target[live],
            }
            tries.parts.append(
                part if seen.all() else {name: one[seen] for name, one in part.items()}
            )
            end[live] = when + latency
            done[live] += 1
            failed[live] += outcome == Outcome.FAILED
            aborted[live] |= outcome == Outcome.CLIENT_ABORT
            ok[live] = outcome == Outcome.OK
            first[live] = np.where((first[live] == 0) & seen, request, first[live])
            live = live[outcome != Outcome.OK]
            if not live.size:
                break
            again, gap, anew = self._react(rng, person[live], turn, end[live])
            live, gap, anew = live[again], gap[again], anew[again]
            now[live] = end[live] + gap
            clicked = live[anew]
            key[clicked] = self._keys(
                person[clicked],
                operation[clicked],
                number[clicked],
                np.full(len(clicked), turn + 1),
            )
            if not live.size:
                break
        return {
            "id": number,
            "person": person,
            "operation": operation,
            "target": target,
            "start": start,
            "end": end,
            "tries": done,
            "failed": failed,
            "aborted": aborted,
            "ok": ok,
            "request": first,
        }

    def _serve(
        self, rng: Generator, person: Ints, operation: Ints, when: Ints
    ) -> tuple[Ints, Ints, Ints, Bools]:
        """Return latency in ms, outcome, status, and whether the request reached us."""
        plan, count = self.plan, len(person)
        begin, finish = plan.window_ms
        share = self.fails[operation]
        broken = (
            (when >= begin)
            & (when < finish)
            & self.world.hit[self.world.customer[person]]
            & (share >= 0)
        )
        fails = rng.random(count) < np.where(broken, share, plan.base_failure)
        latency = MEDIAN_MS[operation] * np.exp(rng.normal(0, 0.55, count))
        latency *= np.where(rng.random(count) < 0.01, 8.0, 1.0)
        latency *= np.where(broken, plan.fault.latency_factor, 1.0)
        # One failure in five is a gateway that waited ten seconds, the others are refused at once.
        waited = rng.random(count) < 0.2
        timeout = latency > TIMEOUT_MS
        status = np.where(fails, np.where(waited, 504, 500), 200)
        latency = np.where(fails, np.where(waited, 10_000.0, 30 + 0.2 * latency), latency)
        latency, status, fails = (
            np.where(timeout, TIMEOUT_MS, latency),
            np.where(timeout, 504, status),
            fails | timeout,
        )
        patience = plan.patience_s * 1000 * np.exp(rng.normal(0, 0.6, count))
        policy = self.world.policy[person]
        leaves = (latency > patience) & ((policy == HUMAN) | (policy == APP))
        latency = np.where(leaves, patience, latency)
        outcome = np.where(
            leaves, Outcome.CLIENT_ABORT, np.where(fails, Outcome.FAILED, Outcome.OK)
        )
        seen = ~broken if plan.fault.silent else np.ones(count, bool)
        return (
            np.maximum(1, latency).astype(np.int64),
            outcome.astype(np.int64),
            np.where(leaves, 499, status),
            seen,
        )

    def _react(
        self, rng: Generator, person: Ints, turn: int, end: Ints
    ) -> tuple[Bools, Ints, Bools]:
        """Return who tries again after the failure number `turn` (from 0), after how long (ms), and as a new click."""
        count = len(person)
        policy, base = self.world.policy[person], self.world.base_ms[person]
        dice, spread = rng.random(count), rng.random(count)
        a, b = self.plan.human_retry
        again = np.zeros(count, bool)
        gap = np.zeros(count)
        anew = np.zeros(count, bool)

        def pause(of: Bools) -> Floats:
            return np.asarray(base[of] * np.exp(rng.normal(0, 0.9, int(of.sum()))))

        # An app's SDK repeats a call twice by itself; then its user may press again.
        pressed = turn // 3 if turn % 3 == 2 else -1
        human, app = policy == HUMAN, policy == APP
        again[human] = dice[human] < a * b**turn
        gap[human] = pause(human)
        anew[human] = True
        if pressed >= 0:
            again[app] = dice[app] < a * b**pressed
            gap[app] = pause(app)
            anew[app] = True
        else:
            again[app] = True
            gap[app] = spread[app] * 500 * 2 ** (turn % 3) + 20
        few, some = turn < 3, turn < 5
        grown = np.minimum(base * 2.0**turn, 60_000)
        steady = 1 + 0.02 * (spread - 0.5)
        for code, may, wait in (
            (IMMEDIATE, few, 50 + 250 * spread),
            (FIXED, some, base * steady),
            (EXPO, some, grown * steady),
            (JITTER, some, grown * spread + 5),
            (CRON, some, base - (end + 500) % base + 500 + 400 * spread),
        ):
            mine = policy == code
            again[mine] = may
            gap[mine] = wait[mine]
        return again, np.maximum(1, gap).astype(np.int64), anew

    def _keys(self, person: Ints, operation: Ints, number: Ints, click: Ints) -> Ints:
        """Return the idempotency key of each call, 0 where none is sent.

        Programs with keys keep theirs through all tries; people's pages make one for each click on cart and
        checkout.
        """
        group = self.world.group[person]
        page = ((operation == CART) | (operation == CHECKOUT)) & (group != BOTS) & (group != PROBES)
        sent = self.world.keyed[person] | page
        return np.where(sent, mix(self.plan.seed, 2, number, click), 0)
