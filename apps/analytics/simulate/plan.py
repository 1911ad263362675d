"""What to simulate: how much, how long, which fault, how dirty."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True)
class Fault:
    """What is broken during the window of the plan.

    `fail` maps an operation's id to the share of its requests that fail; `share` is how many of the customers
    are hit (chosen by the seed). `silent`: requests do not reach us at all, so nothing is logged.
    """

    name: str
    fail: tuple[tuple[int, float], ...] = ()
    share: float = 1.0
    one_customer: bool = False
    latency_factor: float = 1.0
    silent: bool = False


_EVERYTHING = range(1, 8)

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("none"),
        Fault("total", fail=tuple((operation, 1.0) for operation in _EVERYTHING)),
        Fault(
            "partial",
            fail=((1, 0.5), (2, 0.5), (3, 0.75), (4, 0.9), (5, 0.5), (6, 0.75), (7, 0.5)),
            share=0.7,
        ),
        Fault(
            "latency",
            fail=tuple((operation, 0.02) for operation in _EVERYTHING),
            latency_factor=40.0,
        ),
        Fault(
            "customer",
            fail=tuple((operation, 0.95) for operation in _EVERYTHING),
            one_customer=True,
        ),
        Fault("journey", fail=((4, 0.9),)),
        Fault("silence", fail=tuple((operation, 1.0) for operation in _EVERYTHING), silent=True),
    )
}
"""By name: none, total, partial (half to nine tenths of the requests of 70 % of the customers), latency (40 times
slower), customer (one business), journey (paying), silence (nothing reaches us)."""

ESSAY: dict[str, Any] = {"events": 1_870_000, "customers": 45, "rush": 36.0}
"""What makes the plan of `Plan.essay`: 4 groups of consumers, forty businesses, our office."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides the traffic. Rates are per attempt or per person unless said otherwise.

    Raises ValueError for numbers that make no sense.
    """

    seed: int = 1
    events: int = 1_000_000  # about as many events in all (within a few percent)
    start: datetime = datetime(
        2026, 1, 5, tzinfo=UTC
    )  # best a Monday: the fault falls on day 1 of the last week
    weeks: int = 5  # in all; the last one holds the fault, those before it are usual
    fault: Fault = FAULTS["partial"]
    fault_at: timedelta = timedelta(days=1, hours=10, minutes=4)  # since the start of the last week
    fault_for: timedelta = timedelta(minutes=26)
    customers: int = 40

    # How people react
    human_gap_s: float = 12.0  # median pause before trying again
    human_retry: tuple[float, float] = (
        0.72,
        0.88,
    )  # P(retry after the k-th failure) = a · bᵏ, k from 0
    patience_s: float = 12.0  # median wait after which a person leaves
    comes_back: float = 0.35  # of those who gave up: tries the same thing again within a day
    churn_gave_up: float = 0.15  # of those who gave up and do not come back: is never seen again
    churn_recovered: float = 0.02
    churn_weekly: float = 0.01  # everybody, always
    never_tries: float = 0.15  # visits of hit people that do not begin during the fault …
    deferred: float = 0.30  # … of which this share begins later
    stays_after_giving_up: float = 0.30  # goes on with the visit after giving up one step

    # Demand
    base_failure: float = 0.003
    machine_share: float = 0.25  # of the events
    internal_share: float = 0.02
    bot_share: float = 0.01
    events_per_person_week: float = 20.0
    day_noise: float = 0.05
    half_hour_noise: float = 0.05
    rush: float = (
        1.0  # each week, the half hours that touch the fault's window have so much more demand
    )

    # Dirt
    duplicates: float = 0.005
    skewed_hosts: bool = True
    arrivals: bool = True  # whether events carry `arrived`
    shared_addresses: float = 0.15
    nameless: float = 0.01  # people whose requests carry nothing that could stand for them
    probes: int | None = (
        None  # a request every 60 s each; None = up to 5, as far as they are < 3 % of the events
    )

    chunk: int = (
        250_000  # about as many events in one chunk; part of the plan, since it steers the dice
    )

    def __post_init__(self) -> None:
        if self.events < 1 or self.weeks < 1 or self.chunk < 1:
            raise ValueError("events, weeks and chunk must be 1 or more")
        if self.customers < 8:
            raise ValueError("customers must be 8 or more, so that every kind has some")
        if self.start.tzinfo is None:
            raise ValueError("start needs a time zone")
        if not timedelta(0) <= self.fault_at < timedelta(weeks=1) or self.fault_for < timedelta(0):
            raise ValueError("the fault must begin within the last week")
        if self.rush <= 0:
            raise ValueError("rush must be more than 0")
        if self.seed < 0:
            raise ValueError("seed must be 0 or more")

    @classmethod
    def scenario(cls, name: str, **changes: Any) -> Self:
        """Return the plan with the fault of that name (see FAULTS). Raises ValueError for another name."""
        if name not in FAULTS:
            raise ValueError(f"There is no fault {name!r}. There is: {', '.join(FAULTS)}.")
        return replace(cls(), fault=FAULTS[name], **changes)

    @classmethod
    def essay(cls, **changes: Any) -> Self:
        """Return the plan of one well-known outage: 65,000 answers of HTTP 500 from 10:04 to 10:30 on a Tuesday.

        Consumers, forty businesses with customers of their own, and colleagues, over five weeks; what the
        platform sells goes on sale each Tuesday at ten, so that 26 minutes hold that many without the weeks
        holding more events than a small machine stores in seconds.
        """
        return replace(cls.scenario("total", seed=65, **ESSAY), **changes)

    @property
    def start_ms(self) -> int:
        """The first moment, epoch ms."""
        return int(self.start.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """The first moment after the last week, epoch ms. Events that would come later are not there."""
        return self.start_ms + self.weeks * WEEK_MS

    @property
    def window_ms(self) -> tuple[int, int]:
        """The fault's window [from, to), epoch ms (also of the fault "none": the placebo)."""
        begin = self.end_ms - WEEK_MS + self.fault_at // timedelta(milliseconds=1)
        return begin, begin + self.fault_for // timedelta(milliseconds=1)

    @property
    def probe_count(self) -> int:
        """How many rhythmic probes run."""
        if self.probes is not None:
            return self.probes
        each = self.weeks * WEEK_MS // 60_000
        return min(5, int(0.03 * self.events / each))
