"""Who and what there is: customers of each kind, their people and programs, services and operations."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.analytics.events import ActorKind
from apps.analytics.simulate.lines import Names
from apps.analytics.simulate.plan import WEEK_MS, Plan

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Generator = np.random.Generator

# Policies: what follows a failed try
NONE, IMMEDIATE, FIXED, EXPO, JITTER, CRON, HUMAN, APP = range(8)
POLICIES = ("none", "immediate", "fixed", "expo", "jitter", "cron", "human", "app")
# Groups: who is scored together
PEOPLE, BY_ADDRESS, NAMELESS, KEYED, UNKEYED, INTERNAL, BOTS, PROBES = range(8)
GROUPS = ("people", "by_address", "nameless", "keyed", "unkeyed", "internal", "bots", "probes")


@dataclass(frozen=True)
class Operation:
    """Something that can be asked of a service. `things`: how many different ids its path can carry."""

    id: int
    service: int
    name: str
    median_ms: float
    promised_ms: float
    things: int = 0


SERVICES: dict[int, str] = {1: "shop", 2: "payments", 3: "api", 4: "office"}
OPERATIONS: tuple[Operation, ...] = (
    Operation(1, 1, "GET /search", 120, 1000),
    Operation(2, 1, "GET /products/{id}", 80, 1000, things=5000),
    Operation(3, 1, "POST /cart", 60, 1000),
    Operation(4, 2, "POST /checkout", 350, 3000),
    Operation(5, 3, "GET /api/stock/{id}", 40, 500, things=1000),
    Operation(6, 3, "POST /api/orders", 150, 2000),
    Operation(7, 4, "GET /reports/{id}", 400, 4000, things=40),
)
JOURNEYS: dict[str, tuple[int, ...]] = {"buy": (1, 2, 3, 4), "order by API": (5, 6), "report": (7,)}
SEARCH, PRODUCT, CART, CHECKOUT, STOCK, ORDER, REPORT = range(1, 8)


@dataclass(frozen=True)
class Customer:
    """`kind`: consumer, business or internal. `uses`: web, app or api."""

    id: int
    name: str
    kind: str
    uses: str

    @property
    def slug(self) -> str:
        """The name as logs carry it."""
        return self.name.lower().replace(" ", "-")


@dataclass(frozen=True)
class Pool:
    """Actors whose visits come from one stream of demand; `cumulative` are their activities, summed up."""

    first: int
    cumulative: Floats
    visits: float  # expected in all
    steps: float  # mean attempts per visit beyond the first

    def draw(self, rng: Generator, count: int) -> Ints:
        """Return `count` actors, each as often as it is active."""
        dice = rng.random(count) * self.cumulative[-1]
        return np.asarray(self.first + np.searchsorted(self.cumulative, dice, "right"))


@dataclass(frozen=True)
class World:
    """Arrays over actors (`person` is the index); `actor` is the identity that a log would show, 0 = none."""

    customers: tuple[Customer, ...]
    people: Pool
    office: Pool
    machines: Pool
    bots: Pool
    probes: range
    probe_phase: Ints
    customer: Ints
    actor: Ints
    actor_kind: Ints
    address: Ints
    agent: Ints
    group: Ints
    policy: Ints
    base_ms: Floats
    keyed: Bools
    lifetime_end: Floats  # epoch ms of the usual churn
    hit: Bools  # by customer id
    demand: Floats  # by half hour, sums to 1
    host_skew: Ints

    def is_human(self, person: Ints) -> Bools:
        """Return which of these are people, at customers or in our office."""
        return np.asarray(person < self.machines.first)

    @property
    def names(self) -> Names:
        """What the integers of the events are called in lines."""
        return Names(
            customers={customer.id: customer.slug for customer in self.customers},
            services=SERVICES,
            operations={operation.id: operation.name for operation in OPERATIONS},
        )

    @property
    def hit_customers(self) -> list[int]:
        """Ids of the customers that the fault hits."""
        return [int(one) for one in np.flatnonzero(self.hit)]


def mix(*parts: Any) -> Ints:
    """Return a 64-bit hash of each row of `parts` (splitmix64), never 0."""
    state = np.zeros(1, np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            state = state + np.asarray(part).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return np.where(state == 0, np.uint64(1), state).view(np.int64)


def build_world(plan: Plan) -> World:
    """Return the world of the plan; the same plan gives the same world."""
    rng = np.random.default_rng([plan.seed, 0])
    customers = _customers(plan)
    uses = np.array([customer.uses for customer in customers])
    kinds = np.array([customer.kind for customer in customers])
    size = _sizes(rng, customers)

    probe_events = plan.probe_count * plan.weeks * WEEK_MS / 60_000
    rest = max(0.0, plan.events - probe_events) / (1 + plan.duplicates)
    # Those who leave over the weeks are not replaced: begin with as many more.
    stay = 1 - plan.churn_weekly * plan.weeks / 2
    share = 1 - plan.machine_share - plan.internal_share - plan.bot_share
    crowd = max(20, int(rest * share / (plan.weeks * plan.events_per_person_week)))

    visitors = np.flatnonzero(np.isin(uses, ["web", "app"]) & (kinds != "internal"))
    office = np.flatnonzero(kinds == "internal")
    programs = np.flatnonzero(uses == "api")
    shares = crowd * size[visitors] / size[visitors].sum()
    owners = [
        np.repeat(visitors, np.maximum(1, shares.astype(int))),
        np.repeat(office, max(5, crowd // 100)),
        np.repeat(programs, 2),
        np.zeros(20, int),  # bots, on the consumers' pages
        np.zeros(plan.probe_count, int),
    ]
    owner = np.concatenate(owners)
    edges = np.concatenate([[0], np.cumsum([len(part) for part in owners])])
    total = len(owner)
    activity = rng.gamma(0.8, size=total) + 0.02
    activity[edges[2] : edges[3]] = size[owner[edges[2] : edges[3]]] * rng.uniform(
        0.5, 1.5, len(owners[2])
    )
    pools = [
        Pool(
            int(edges[i]),
            np.cumsum(activity[edges[i] : edges[i + 1]]),
            rest * part / (1 + steps) / (stay if steps else 1),
            steps,
        )
        for i, (part, steps) in enumerate(
            (
                (share, 3.0),
                (plan.internal_share, 1.0),
                (plan.machine_share, 0.0),
                (plan.bot_share, 0.0),
            )
        )
    ]
    person = np.arange(total)
    group = _groups(rng, plan, customers, owner, edges)
    policy, base_ms = _policies(rng, plan, customers, owner, group)
    address, agent = _addresses(rng, plan, owner, edges)
    actor, actor_kind = _identities(plan, rng, owner, person, group, address, agent, kinds)
    churn_ms = -np.log1p(-plan.churn_weekly) / WEEK_MS if plan.churn_weekly else 1e-300
    lifetime = plan.start_ms + rng.exponential(1 / churn_ms, total)
    lifetime[edges[2] :] = np.inf

    return World(
        customers=customers,
        people=pools[0],
        office=pools[1],
        machines=pools[2],
        bots=pools[3],
        probes=range(int(edges[4]), total),
        probe_phase=rng.integers(0, 60_000, plan.probe_count),
        customer=owner + 1,
        actor=actor,
        actor_kind=actor_kind,
        address=address,
        agent=agent,
        group=group,
        policy=policy,
        base_ms=base_ms,
        keyed=group == KEYED,
        lifetime_end=lifetime,
        hit=_hit(rng, plan, customers, size),
        demand=_demand(rng, plan),
        host_skew=np.array([-300, 0, 0, 120, 700, 2010])
        if plan.skewed_hosts
        else np.zeros(6, np.int64),
    )


def _customers(plan: Plan) -> tuple[Customer, ...]:
    consumers = max(1, plan.customers // 10)
    api = max(2, plan.customers // 5)
    app = max(2, plan.customers // 6)
    web = plan.customers - consumers - api - app - 1
    made = [("consumer", "web", f"Consumers {number + 1}") for number in range(consumers)]
    made += [("business", "web", f"Business {number + 1}") for number in range(web)]
    made += [("business", "app", f"App {number + 1}") for number in range(app)]
    made += [("business", "api", f"Integrator {number + 1}") for number in range(api)]
    made += [("internal", "web", "Our office")]
    return tuple(Customer(at + 1, name, kind, uses) for at, (kind, uses, name) in enumerate(made))


def _sizes(rng: Generator, customers: tuple[Customer, ...]) -> Floats:
    """Return the relative size of each: Zipf within its kind, consumers about half of all people."""
    size = np.zeros(len(customers))
    for kind, uses, weight in (
        ("consumer", "web", 5.0),
        ("business", "web", 3.5),
        ("business", "app", 1.5),
        ("business", "api", 1.0),
    ):
        among = [
            at
            for at, customer in enumerate(customers)
            if (customer.kind, customer.uses) == (kind, uses)
        ]
        ranks = 1.0 / np.arange(1, len(among) + 1) ** (1.6 if uses == "api" else 0.8)
        size[among] = weight * ranks / ranks.sum() * rng.uniform(0.9, 1.1, len(among))
    return size


def _groups(
    rng: Generator, plan: Plan, customers: tuple[Customer, ...], owner: Ints, edges: Ints
) -> Ints:
    group = np.full(len(owner), PEOPLE)
    web = [
        at
        for at, customer in enumerate(customers)
        if (customer.kind, customer.uses) == ("business", "web")
    ]
    apps = [at for at, customer in enumerate(customers) if customer.uses == "app"]
    api = [at for at, customer in enumerate(customers) if customer.uses == "api"]
    # Three businesses send no ids, spread over the sizes; one app forgets them for a third of its people.
    group[np.isin(owner, web[1 :: max(1, len(web) // 3)][:3])] = BY_ADDRESS
    nameless = rng.random(len(owner)) < np.where(owner == apps[0], 0.31, plan.nameless)
    group[nameless & (group == PEOPLE)] = NAMELESS
    group[edges[1] : edges[2]] = INTERNAL
    group[edges[2] : edges[3]] = np.where(
        np.isin(owner[edges[2] : edges[3]], api[::2]), KEYED, UNKEYED
    )
    group[edges[3] : edges[4]] = BOTS
    group[edges[4] :] = PROBES
    return group


def _policies(
    rng: Generator, plan: Plan, customers: tuple[Customer, ...], owner: Ints, group: Ints
) -> tuple[Ints, Floats]:
    machine = {
        NONE: 1000.0,
        IMMEDIATE: 100.0,
        FIXED: 5000.0,
        EXPO: 1000.0,
        JITTER: 2000.0,
        CRON: 60_000.0,
    }
    order = (EXPO, FIXED, JITTER, IMMEDIATE, CRON, EXPO, NONE, JITTER)
    policy = np.full(len(customers), HUMAN)
    base = plan.human_gap_s * 1000 * np.exp(rng.normal(0, 0.15, len(customers)))
    programs = 0
    for at, customer in enumerate(customers):
        if customer.uses == "app":
            policy[at] = APP
        elif customer.uses == "api":
            policy[at] = order[programs % len(order)]
            base[at] = machine[int(policy[at])]
            programs += 1
    by_actor = policy[owner]
    by_actor[np.isin(group, [BOTS, PROBES])] = NONE
    return by_actor, base[owner]


def _addresses(rng: Generator, plan: Plan, owner: Ints, edges: Ints) -> tuple[Ints, Ints]:
    """Return address and user agent of each actor: some people of a customer sit behind one address."""
    total = len(owner)
    person = np.arange(total)
    behind = rng.random(total) < plan.shared_addresses
    behind[edges[2] :] = False
    doors = np.maximum(1, np.bincount(owner, minlength=owner.max() + 1)[owner] // 100)
    door = (rng.random(total) * doors).astype(np.int64)
    address = np.where(behind, mix(plan.seed, 11, owner, door), mix(plan.seed, 12, person))
    return address, rng.integers(0, 12, total)


def _identities(
    plan: Plan,
    rng: Generator,
    owner: Ints,
    person: Ints,
    group: Ints,
    address: Ints,
    agent: Ints,
    kinds: Any,
) -> tuple[Ints, Ints]:
    kind = np.full(len(owner), int(ActorKind.END_USER))
    cookies = (kinds[owner] == "consumer") & (rng.random(len(owner)) < 0.4)
    kind[cookies & (group == PEOPLE)] = ActorKind.SESSION
    kind[np.isin(group, [BY_ADDRESS, BOTS, PROBES])] = ActorKind.ADDRESS
    kind[group == NAMELESS] = ActorKind.NONE
    actor = np.where(
        kind == ActorKind.ADDRESS,
        mix(plan.seed, 13, owner, address, agent),
        mix(plan.seed, 14, owner, person),
    )
    return np.where(kind == ActorKind.NONE, 0, actor), kind


def _hit(rng: Generator, plan: Plan, customers: tuple[Customer, ...], size: Floats) -> Bools:
    hit = np.zeros(len(customers) + 1, bool)
    if plan.fault.one_customer:
        business = [
            at for at, one in enumerate(customers) if (one.kind, one.uses) == ("business", "web")
        ]
        hit[max(business, key=lambda at: size[at]) + 1] = True
    elif plan.fault.fail:
        count = round(plan.fault.share * len(customers))
        hit[1 + rng.permutation(len(customers))[:count]] = True
    return hit


def _demand(rng: Generator, plan: Plan) -> Floats:
    """Return the share of all demand in each half hour: two peaks a day, quieter week-ends, noise."""
    hour = (np.arange(plan.weeks * 336) % 48) / 2
    day = np.arange(plan.weeks * 336) // 48
    shape = 0.12 + np.exp(-(((hour - 11) / 3.2) ** 2)) + 0.9 * np.exp(-(((hour - 20) / 2.4) ** 2))
    weekday = (day + plan.start.weekday()) % 7
    shape = shape * np.where(weekday >= 5, 0.75, 1.0)
    shape = shape * np.exp(rng.normal(0, plan.day_noise, plan.weeks * 7))[day]
    shape = shape * np.exp(rng.normal(0, plan.half_hour_noise, len(shape)))
    # The plan may begin at any hour.
    offset = int((plan.start.hour * 60 + plan.start.minute) // 30)
    shape = np.roll(shape, -offset)
    if plan.rush != 1.0:
        half_hour = 1_800_000
        begin, end = (ms - plan.start_ms for ms in plan.window_ms)
        rushed = np.arange(begin // half_hour, -(-end // half_hour)) % 336
        shape = np.where(np.isin(np.arange(len(shape)) % 336, rushed), plan.rush * shape, shape)
    return np.asarray(shape / shape.sum())
