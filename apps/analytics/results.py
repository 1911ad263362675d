"""What an impact computation answers: frozen, complete, and written as JSON in one fixed form."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from apps.analytics.attempts import Conduct
from apps.analytics.measures import (
    CannotTell,
    NotReturned,
    Outage,
    Series,
    TraitImpact,
    UserUptime,
    Usual,
    WindowedUptime,
)
from apps.analytics.names import HIT_GRADES
from apps.analytics.reasons import reason_from, told_as
from apps.analytics.stats import Interval, Lost, NetLost

METHOD = "attempt chains 1"
CLASSES = ("first_try", "slow", "retried", "gave_up", "came_back", "open", "cannot_tell")


def rfc3339(ms: int | None) -> str | None:
    """Epoch milliseconds as RFC 3339 UTC, with milliseconds only where there are any."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{ms % 1000:03d}Z" if ms % 1000 else f"{moment}Z"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares (0..1) of the window's customer requests with a named customer, an actor, a key."""

    named_customer: float | None
    actor: float | None
    key: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in the window. `total` is customers' own; bots, probes, duplicates are apart.

    `doubted` are reported as failed by a meter that is taken for broken: they are no part of `failed`.
    """

    total: int = 0
    failed: int = 0
    client_aborts: int = 0
    bots: int = 0
    probes: int = 0
    duplicates: int = 0
    doubted: int = 0

    def as_json(self) -> dict[str, int]:
        """All but the doubted, which "broken_meters" tells."""
        return {name: n for name, n in asdict(self).items() if name != "doubted"}


@dataclass(frozen=True, slots=True)
class Actors:
    """Distinct actors; None where too few requests say who made them. `at_least_*` always holds."""

    total: int | None
    hit: int | None
    at_least_total: int
    at_least_hit: int
    by_kind: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts that started in the window, by how they ended. The classes sum to `total`."""

    first_try: int = 0
    slow: int = 0
    retried: int = 0
    gave_up: int = 0
    came_back: int = 0
    open: int = 0
    cannot_tell: int = 0

    @property
    def total(self) -> int:
        """All attempts."""
        return sum(getattr(self, name) for name in CLASSES)

    @property
    def failed(self) -> int:
        """Attempts that did not get through in their chain: gave up, came back later, still open."""
        return self.gave_up + self.came_back + self.open

    @property
    def through(self) -> int:
        """Attempts that got through."""
        return self.first_try + self.slow + self.retried

    def as_json(self) -> dict[str, int]:
        """In the order of the classes, the total first."""
        return {"total": self.total, **{name: getattr(self, name) for name in CLASSES}}


@dataclass(frozen=True, slots=True)
class ExtraWait:
    """Seconds waited beyond the usual by those who got through only after a failure.

    `paused` is the part of `sum` that stands for people who paused for longer than W before they tried
    again (`attempts.pauses`): an estimate, where all the rest was seen. It is in no quantile and not in `n`.
    """

    sum: float = 0.0
    p50: float | None = None
    p95: float | None = None
    n: int = 0
    paused: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The measures that every scope has: everybody, a journey, an operation, a customer.

    `people` counts distinct actors per class of attempt (somebody may be in several).
    """

    coverage: Coverage
    requests: Requests
    actors: Actors
    attempts: Attempts
    people: Attempts
    extra_wait: ExtraWait
    user_uptime: UserUptime
    lost: Lost | CannotTell
    not_returned: NotReturned | CannotTell
    net_lost: NetLost | CannotTell = field(
        default_factory=lambda: CannotTell("it was not computed")
    )

    def as_json(self) -> dict[str, Any]:
        """The keys that every scope shares."""
        return {
            "coverage": {
                "named_customer": _rounded(self.coverage.named_customer),
                "actor": _rounded(self.coverage.actor),
                "key": _rounded(self.coverage.key),
            },
            "requests": self.requests.as_json(),
            "actors": {
                "total": self.actors.total,
                "hit": self.actors.hit,
                "at_least": {
                    "total": self.actors.at_least_total,
                    "hit": self.actors.at_least_hit,
                },
                "by_kind": dict(self.actors.by_kind),
            },
            "attempts": self.attempts.as_json(),
            "people": {name: getattr(self.people, name) for name in CLASSES},
            "extra_wait_s": {
                "sum": _rounded(self.extra_wait.sum, 3),
                "p50": _rounded(self.extra_wait.p50, 3),
                "p95": _rounded(self.extra_wait.p95, 3),
                "paused": _rounded(self.extra_wait.paused, 3),
            },
            "user_uptime": {
                "before": _rounded(self.user_uptime.before, 6),
                "during": _rounded(self.user_uptime.during, 6),
                "after": _rounded(self.user_uptime.after, 6),
            },
            "lost_attempts": lost_json(self.lost),
            "net_lost_attempts": net_lost_json(self.net_lost),
            "not_returned": not_returned_json(self.not_returned),
        }


@dataclass(frozen=True, slots=True)
class Blocked:
    """Actors who failed at an earlier step and got no further: the step, and how many."""

    step: str
    operation: int
    actors: int


@dataclass(frozen=True, slots=True)
class Step:
    """Attempts at one step of a journey, and how many began in the same window of each earlier week."""

    name: str
    attempts: Attempts
    usual: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Counts; "usual" is null where earlier weeks are not known."""
        usual = None
        if self.usual:
            usual = {
                "mean": round(sum(self.usual) / len(self.usual), 1),
                "low": min(self.usual),
                "high": max(self.usual),
                "weeks": len(self.usual),
            }
        return {"name": self.name, "attempts": self.attempts.as_json(), "usual": usual}


@dataclass(frozen=True, slots=True)
class ValueAtRisk:
    """What given-up and lost attempts would have been worth, with the interval of the lost."""

    currency: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class JourneyImpact:
    """What happened to attempts at one journey (its completing operation)."""

    id: int
    name: str
    declared: bool
    done: int
    operations: tuple[int, ...]
    figures: Figures
    blocked_at: tuple[Blocked, ...] = ()
    value: ValueAtRisk | None = None
    verb: str = ""
    steps: tuple[Step, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Name, shared keys, and where people were blocked before the last step."""
        return {
            "id": self.id,
            "name": self.name,
            "declared": self.declared,
            "done": self.done,
            "verb": self.verb,
            **self.figures.as_json(),
            "blocked_at": [{"step": b.step, "actors": b.actors} for b in self.blocked_at],
            "steps": [step.as_json() for step in self.steps],
            "value_at_risk": None if self.value is None else asdict(self.value),
        }


@dataclass(frozen=True, slots=True)
class OperationImpact:
    """What happened to attempts at one operation."""

    id: int
    name: str
    service: int
    figures: Figures

    def as_json(self) -> dict[str, Any]:
        """Name and shared keys."""
        return {"id": self.id, "name": self.name, **self.figures.as_json()}


@dataclass(frozen=True, slots=True)
class CustomerJourney:
    """One customer at one journey: counts of attempts, of the actors behind each class, requests."""

    name: str
    attempts: Attempts
    people: Attempts
    requests: int
    failed_requests: int
    actors: int
    actors_hit: int
    verb: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain counts."""
        return {
            "name": self.name,
            "attempts": self.attempts.as_json(),
            "requests": {"total": self.requests, "failed": self.failed_requests},
            "actors": {"total": self.actors, "hit": self.actors_hit},
        }


@dataclass(frozen=True, slots=True)
class CustomerImpact:
    """What happened to one customer. `grade` is explained in `impact.grade`."""

    id: int
    name: str
    kind: str
    grade: str
    figures: Figures
    outage: Outage | None = None
    journeys: tuple[CustomerJourney, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Name, grade, shared keys, own outage."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "grade": self.grade,
            **self.figures.as_json(),
            "outage": outage_json(self.outage),
            "journeys": [journey.as_json() for journey in self.journeys],
        }


@dataclass(frozen=True, slots=True)
class MeterImpact:
    """A meter that reports calls as failed while callers carry on: where, how many, and how we know."""

    services: tuple[str, ...]
    operations: tuple[str, ...]
    calls: int
    after: Conduct
    usual: Conduct | None

    def as_json(self) -> dict[str, Any]:
        """Shares of calls that the same person made again, or went on after; `usual` null where unknown."""
        return {
            "services": list(self.services),
            "operations": list(self.operations),
            "calls": self.calls,
            "after_failure": _conduct_json(self.after),
            "usual": None if self.usual is None else _conduct_json(self.usual),
        }


def _conduct_json(one: Conduct) -> dict[str, Any]:
    return {
        "people": one.actors,
        "again": round(one.again, 4),
        "onward": round(one.onward, 4),
    }


@dataclass(frozen=True, slots=True)
class Gap:
    """A question that this data cannot answer: why, and what would close it.

    `code` is stable ("actor", "retried", "weeks", ...), so that a gap can close itself when the next
    run does not report it any more. `customers` are the ids it blinds us to; empty means all.
    `journey` is the id of the only journey of which it cannot be told; None means all.
    """

    code: str
    question: str
    why: str
    closes_by: str
    customers: tuple[int, ...] = ()
    journey: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What stands in the words, so that `story.gap_words` can say them in other languages; times are RFC 3339."""

    def as_json(self) -> dict[str, Any]:
        """Question, reason, remedy."""
        return {
            "code": self.code,
            "question": self.question,
            "why": self.why,
            "closes_by": self.closes_by,
            "customers": list(self.customers),
            "journey": self.journey,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the story, with the key of the figure it rests on and its rank."""

    text: str
    basis: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a story can tell: data, not words, so that it can be told to anybody.

    `kind` says which sentence tells it, `basis` which figure of the JSON it rests on, `who` of whom
    it is (a journey, a customer; empty: everybody). `value` lies between `low` and `high`, which are
    the same for what was counted; `usual` is what an ordinary window has, where that is known.
    `score` is harm times certainty: the lower bound of the excess over the usual counts. `public`
    says that everybody may read it: nobody, and no customer, can be made out in it or by taking
    their own numbers from it. `detail` holds what else its words need; times are RFC 3339 UTC.
    """

    kind: str
    basis: str
    who: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    usual: float | None = None
    score: float = 0.0
    public: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it, numbers rounded as elsewhere in the JSON."""
        return {
            "kind": self.kind,
            "basis": self.basis,
            "who": self.who,
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "usual": _rounded(self.usual),
            "score": round(self.score, 3),
            "public": self.public,
            "detail": dict(self.detail),
        }

    @classmethod
    def from_json(cls, one: Mapping[str, Any]) -> "Fact":
        """Read a kept fact; keys that a later version adds are left alone."""
        names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in one.items() if name in names})


@dataclass(frozen=True, slots=True)
class Carried:
    """What an earlier whole computation of the same beginning found in earlier weeks.

    It holds for the window that ended at `end_ms`, as seen at `as_of_ms`: whoever reads it is told so.
    """

    as_of_ms: int
    end_ms: int
    lost: Mapping[tuple[str, int], Lost | CannotTell] = field(default_factory=dict)
    """By scope, as `measures.lost` returns them."""
    usual: Usual | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it, exactly: `from_json` reads the same from it."""
        return {
            "as_of_ms": self.as_of_ms,
            "end_ms": self.end_ms,
            "lost": [
                [
                    *scope,
                    {"why": one.why, "reason": told_as(one.why)}
                    if isinstance(one, CannotTell)
                    else asdict(one),
                ]
                for scope, one in self.lost.items()
            ],
            "usual": None if self.usual is None else asdict(self.usual),
        }

    @classmethod
    def from_json(cls, one: Mapping[str, Any]) -> "Carried":
        """Read what `as_json` wrote."""
        usual = one["usual"] and {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in one["usual"].items()
        }
        return cls(
            as_of_ms=one["as_of_ms"],
            end_ms=one["end_ms"],
            lost={(kind, ident): _lost_from(found) for kind, ident, found in one["lost"]},
            usual=Usual(**usual) if usual else None,
        )


def _lost_from(found: Mapping[str, Any]) -> Lost | CannotTell:
    if "why" in found:
        reason = found.get("reason")
        return CannotTell(reason_from(reason) if reason else found["why"])
    return Lost(**{**found, "interval": Interval(**found["interval"])})


@dataclass(frozen=True, slots=True)
class ImpactResult:
    """Everything one impact computation can say, and what it cannot."""

    start_ms: int
    end_ms: int
    as_of_ms: int
    watermark_ms: int
    horizon_ms: int
    provisional: bool
    figures: Figures
    journeys: tuple[JourneyImpact, ...]
    operations: tuple[OperationImpact, ...]
    customers: tuple[CustomerImpact, ...]
    gaps: tuple[Gap, ...]
    tenets: tuple[Mapping[str, Any], ...] = ()
    windows: Mapping[str, Any] = field(default_factory=dict)
    basis: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    """Everything that its story may tell: what it opens with first, what is not known last."""
    story: tuple[Sentence, ...] = ()
    """The same told to staff in English."""
    traits: tuple[TraitImpact, ...] = ()
    meters: tuple[MeterImpact, ...] = ()
    series: Series | None = None
    windowed_uptime: WindowedUptime | CannotTell = field(
        default_factory=lambda: CannotTell("it was not computed")
    )
    silent: tuple[tuple[str, int], ...] = ()
    """Services that send nothing any more, and when each was last heard."""
    history: Carried | None = None
    """What was found in earlier weeks, for later computations to carry; None where there was nothing to find."""
    carried: bool = False
    """Whether `history` is an earlier computation's."""

    def customer(self, customer_id: int) -> CustomerImpact | None:
        """The row of one customer, or None when they made no request in the window."""
        return next((c for c in self.customers if c.id == customer_id), None)

    def as_json(self) -> dict[str, Any]:
        """The whole answer, ready for a snapshot. All times RFC 3339 UTC."""
        return {
            "window": {"from": rfc3339(self.start_ms), "to": rfc3339(self.end_ms)},
            "as_of": rfc3339(self.as_of_ms),
            "watermark": rfc3339(self.watermark_ms),
            "provisional": self.provisional,
            **self.figures.as_json(),
            "journeys": [journey.as_json() for journey in self.journeys],
            "operations": [operation.as_json() for operation in self.operations],
            "customers": [customer.as_json() for customer in self.customers],
            "kinds": kinds_json(self.customers),
            "stopped": [{"service": name, "last": rfc3339(last)} for name, last in self.silent],
            "broken_meters": [one.as_json() for one in self.meters],
            "traits": [trait_json(one) for one in self.traits],
            "series": None if self.series is None else series_json(self.series),
            "windowed_user_uptime": windowed_json(self.windowed_uptime),
            "tenets": [dict(tenet) for tenet in self.tenets],
            "gaps": [gap.as_json() for gap in self.gaps],
            "story": [sentence.text for sentence in self.story],
            "story_basis": [sentence.basis for sentence in self.story],
            "facts": [fact.as_json() for fact in self.facts],
            "method": METHOD,
            "windows": dict(self.windows),
            "basis": dict(self.basis),
            "carried": self._carried_json(),
        }

    def _carried_json(self) -> dict[str, Any] | None:
        """What of this is an earlier computation's, and which one's; null for a whole computation."""
        if not self.carried or self.history is None:
            return None
        return {
            "as_of": rfc3339(self.history.as_of_ms),
            "window_to": rfc3339(self.history.end_ms),
            "keys": ["lost_attempts", "series.usual"],
        }


def series_json(series: Series) -> dict[str, Any]:
    """Counts by bin: up to 150 bins, 50 of them in the window; at most 8 KB, whoever was hit.

    "window" holds the numbers of its first bin and of the first after it; "known": so many bins lie before
    the end of what is known; "attempts" has the bins of the window alone, the other lists have all.
    """
    bins = series.bins
    answer: dict[str, Any] = {
        "from": rfc3339(bins.edge(0)),
        "to": rfc3339(bins.edge(bins.total)),
        "bins": bins.total,
        "window": [bins.before, bins.before + bins.inside],
        "known": series.known,
        "attempts": {name: list(series.attempts.get(name, ())) for name in CLASSES},
        "requests": {"ok": list(series.ok), "failed": list(series.failed)},
        "user_uptime": [_rounded(share) for share in series.uptime],
        "usual": None,
    }
    answer["attempts"] = {name: counts for name, counts in answer["attempts"].items() if counts}
    if usual := series.usual:
        answer["usual"] = {
            "from": rfc3339(usual.from_ms),
            "step_s": usual.step_ms / 1000,
            "weeks": usual.weeks,
            **{
                name: [round(n, 1) for n in getattr(usual, name)]
                for name in ("low", "mean", "high")
            },
        }
    return answer


def windowed_json(windowed: WindowedUptime | CannotTell) -> dict[str, Any]:
    """The worst window of each length, and from how many of the minutes that is told; or why not."""
    if isinstance(windowed, CannotTell):
        return {"cannot_tell": windowed.why}
    return {
        "from": rfc3339(windowed.start_ms),
        "to": rfc3339(windowed.end_ms),
        "minutes": windowed.minutes,
        "counted": windowed.counted,
        "worst": [
            {
                "minutes": one.minutes,
                "user_uptime": round(one.share, 6),
                "from": rfc3339(one.start_ms),
            }
            for one in windowed.worst
        ],
    }


def lost_json(lost: Lost | CannotTell) -> dict[str, Any]:
    """Expected, observed, estimate with interval; or why not."""
    if isinstance(lost, CannotTell):
        return {"cannot_tell": lost.why}
    return {
        "expected": round(lost.expected, 1),
        "observed": lost.observed,
        "estimate": round(lost.interval.estimate, 1),
        "low": round(lost.interval.low, 1),
        "high": round(lost.interval.high, 1),
        "level": lost.interval.level,
        "weeks": lost.weeks,
        "placebos": lost.placebos,
        "method": lost.method,
    }


def net_lost_json(net: NetLost | CannotTell) -> dict[str, Any]:
    """What was lost and not made up for in the six hours after, with its interval; or why not."""
    if isinstance(net, CannotTell):
        return {"cannot_tell": net.why}
    return {
        "estimate": round(net.interval.estimate, 1),
        "low": round(net.interval.low, 1),
        "high": round(net.interval.high, 1),
        "level": net.interval.level,
        "made_up": {
            name: round(getattr(net.made_up, name), 1) for name in ("estimate", "low", "high")
        },
        "returned": net.returned,
    }


def not_returned_json(gone: NotReturned | CannotTell) -> dict[str, Any]:
    """Exposed, missing, excess with interval; or why not."""
    if isinstance(gone, CannotTell):
        return {"cannot_tell": gone.why}
    return {
        "exposed": gone.exposed,
        "missing": gone.missing,
        "estimate": round(gone.interval.estimate, 1),
        "low": round(gone.interval.low, 1),
        "high": round(gone.interval.high, 1),
        "level": gone.interval.level,
        "compared_with": gone.compared,
        "within_s": gone.within_ms // 1000,
        "still_away": [
            {
                "day": one.day,
                "exposed": round(one.exposed, 4),
                "usual": round(one.usual, 4),
                "usual_low": round(one.usual_low, 4),
                "usual_high": round(one.usual_high, 4),
            }
            for one in gone.curve
        ],
        "log_rank": None
        if gone.log_rank is None
        else {"z": round(gone.log_rank.z, 3), "p": float(f"{gone.log_rank.p:.3g}")},
        "by_dose": [
            {
                "dose": one.name,
                "people": one.people,
                "missing": one.missing,
                "estimate": round(one.interval.estimate, 1),
                "low": round(one.interval.low, 1),
                "high": round(one.interval.high, 1),
            }
            for one in gone.doses
        ],
    }


def kinds_json(customers: Sequence[CustomerImpact]) -> list[dict[str, Any]]:
    """What happened to each kind of customer: the sums of its customers' figures.

    Actors are told apart within a customer, so their sums count nobody twice.
    """
    by_kind: dict[str, list[CustomerImpact]] = {}
    for customer in customers:
        by_kind.setdefault(customer.kind, []).append(customer)
    return [
        {
            "kind": kind,
            "customers": {
                "total": len(found),
                "hit": sum(one.grade in HIT_GRADES for one in found),
            },
            "requests": {
                "total": sum(one.figures.requests.total for one in found),
                "failed": sum(one.figures.requests.failed for one in found),
            },
            "attempts": _summed([one.figures.attempts for one in found]).as_json(),
            "actors": {
                "at_least": {
                    "total": sum(one.figures.actors.at_least_total for one in found),
                    "hit": sum(one.figures.actors.at_least_hit for one in found),
                }
            },
        }
        for kind, found in sorted(by_kind.items())
    ]


def _summed(each: Sequence[Attempts]) -> Attempts:
    return Attempts(**{name: sum(getattr(one, name) for one in each) for name in CLASSES})


def trait_json(one: TraitImpact) -> dict[str, Any]:
    """One value of a trait, and how much worse it was than the others; null where too few are there."""
    return {
        "name": one.name,
        "value": one.value,
        "attempts": {"total": one.attempts, "failed": one.failed},
        "actors": {"total": one.actors, "failed": one.actors_failed},
        "times": None
        if one.times is None
        else {
            "estimate": round(one.times.estimate, 2),
            "low": round(one.times.low, 2),
            "high": round(one.times.high, 2),
            "level": 0.95,
        },
        "stands_out": one.stands_out,
    }


def outage_json(outage: Outage | None) -> dict[str, Any] | None:
    """From the first failure to the next success, which may not have been seen yet (null)."""
    if outage is None:
        return None
    return {
        "from": rfc3339(outage.from_ms),
        "to": rfc3339(outage.to_ms),
        "failures": outage.failures,
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def only(names: Sequence[str], counts: Mapping[str, int]) -> Attempts:
    """Attempts from a mapping of class to count."""
    return Attempts(**{name: int(counts.get(name, 0)) for name in names})
