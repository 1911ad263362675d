"""Reads of snapshots and gaps. Nothing here writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, IntegerField, OrderBy, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Lower

from apps.accounts.models import User
from apps.analytics.names import HIT_GRADES
from apps.analytics.story import MAX_FACTS, READERS, STAFF
from apps.customers.models import Customer
from apps.impact import pictures
from apps.impact.models import CustomerImpact, Gap, ImpactRun, ImpactSnapshot
from apps.impact.telling import Told, to_us

__all__ = [
    "HIT_GRADES",
    "READERS",
    "STAFF",
    "CustomerRow",
    "Impact",
    "JourneyRow",
    "customer_rows",
    "impact_of",
    "open_gaps",
    "ranked_customers",
]

#: ?sort= of a table of customers -> what it orders by.
SORTS: dict[str, Any] = {
    "name": Lower("customer__name"),
    "requests": F("failed"),
    "tried": Cast(KT("result__attempts__total"), IntegerField()),
    "retried": Cast(KT("result__attempts__retried"), IntegerField()),
    "gave_up": Cast(KT("result__attempts__gave_up"), IntegerField()),
}
MOST_TOLD = 1 + MAX_FACTS  # an opening and the facts
MOST_TRAITS = 8

_PARTS = (
    "story", "story_basis", "window", "coverage", "requests", "actors", "attempts", "people", "journeys",
    "gaps", "lost_attempts", "not_returned", "extra_wait_s", "traits",
    "facts", "series", "tenets", "carried", "windowed_user_uptime",
    "net_lost_attempts",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class JourneyRow:
    """What happened to attempts at one journey."""

    name: str
    done: (
        int | None
    )  # the operation that completes it: attempts at it are the journey's; older answers do not say
    attempts: Mapping[str, Any]
    people: Mapping[str, Any]
    blocked: int  # people who failed before its last step and got no further
    harm: int

    @property
    def through(self) -> int:
        """Attempts that got through, at once or on another try."""
        return sum(self.attempts.get(name) or 0 for name in ("first_try", "slow", "retried"))


@dataclass(frozen=True, kw_only=True)
class Impact:
    """A snapshot as a page shows it."""

    snapshot_id: int
    as_of: datetime
    watermark: datetime | None
    provisional: bool
    window_from: datetime
    window_to: datetime
    story: Sequence[Told]
    more: Sequence[Told]  # what else is known, by what matters to the reader
    journeys: Sequence[JourneyRow]  # the worst first; those that nothing happened to are left out
    untouched: int  # journeys that nothing happened to
    result: Mapping[str, Any]

    @property
    def sentences(self) -> Sequence[Told]:
        """The story and what else is known."""
        return [*self.story, *self.more]

    @property
    def attempts(self) -> Mapping[str, Any]:
        """How all attempts ended."""
        return self.result.get("attempts") or {}

    @property
    def coverage(self) -> Mapping[str, Any]:
        """Shares of requests with a named customer, an actor, a key; None where it cannot be told."""
        return self.result.get("coverage") or {}

    @property
    def worse(self) -> Sequence[Mapping[str, Any]]:
        """Values of traits (a region, an app version) where it was worse than at the others, the worst first."""
        standing = [one for one in self.result.get("traits") or [] if one["stands_out"]]
        return sorted(standing, key=lambda one: -one["times"]["low"])[:MOST_TRAITS]

    @property
    def traits_seen(self) -> Sequence[str]:
        """What requests say of where they came from or which version it was, in words."""
        return sorted({one["name"].replace("_", " ") for one in self.result.get("traits") or []})

    @property
    def elsewhere(self) -> int:
        """Attempts at what completes no journey of the table."""
        shown = sum(one.attempts.get("total") or 0 for one in self.journeys)
        return max(0, (self.attempts.get("total") or 0) - shown)

    @property
    def carried_from(self) -> datetime | None:
        """When what it says of earlier weeks was computed, where that is not when the rest was."""
        carried = self.result.get("carried")
        return datetime.fromisoformat(carried["as_of"]) if carried else None

    @property
    def gaps(self) -> Sequence[Mapping[str, Any]]:
        """What this snapshot could not tell."""
        return self.result.get("gaps") or []


@dataclass(frozen=True, kw_only=True)
class CustomerRow:
    """One customer in a table of impact."""

    slug: str
    name: str
    kind: str
    manager: str  # who looks after them; empty when nobody does
    grade: str
    tried: int | None
    retried: int | None
    gave_up: int | None
    failed: int | None
    requests: int | None
    dark: bool  # an outage of their own
    dark_for: timedelta | None  # None while it goes on
    attempts: Mapping[str, Any]


def impact_of(snapshots: QuerySet[Any], *, names_all: bool, reader: str = STAFF) -> Impact | None:
    """Return the first of `snapshots` for a page, its story ranked for `reader` (of `READERS`).

    `names_all` is False for people who may not see every customer: sentences that name one are left out.
    """
    row: Any = snapshots.values(
        "pk", "as_of", "watermark", "provisional", "run__window_from", "run__window_to",
        "overall",
    ).first()  # fmt: skip
    if row is None:
        return None
    result = {name: row["overall"].get(name) for name in _PARTS}
    journeys = [_journey(one) for one in result["journeys"] or []]
    struck = sorted((one for one in journeys if one.harm), key=lambda one: -one.harm)
    told = to_us(result, reader=reader, names_all=names_all)
    return Impact(
        snapshot_id=row["pk"],
        as_of=row["as_of"],
        watermark=row["watermark"],
        provisional=row["provisional"],
        window_from=row["run__window_from"],
        window_to=row["run__window_to"],
        story=told[:MOST_TOLD],
        more=told[MOST_TOLD:],
        journeys=struck,
        untouched=len(journeys) - len(struck),
        result=result,
    )


def _journey(one: Mapping[str, Any]) -> JourneyRow:
    attempts = one.get("attempts") or {}
    blocked = sum(step.get("actors") or 0 for step in one.get("blocked_at") or [])
    return JourneyRow(
        name=str(one.get("name", "")),
        done=one.get("done"),
        attempts=attempts,
        people=one.get("people") or {},
        blocked=blocked,
        harm=blocked
        + sum(attempts.get(name) or 0 for name in ("gave_up", "came_back", "open", "retried")),
    )


def ranked_customers(rows: QuerySet[Any], *, sort: str) -> QuerySet[Any]:
    """Return impacts of customers ordered by `sort`, a key of SORTS, "-key" for the largest first."""
    key = sort.removeprefix("-")
    if key not in SORTS:
        key, sort = "gave_up", "-gave_up"
    order = OrderBy(SORTS[key], descending=sort.startswith("-"), nulls_last=True)
    # The parts of a table only: a customer's whole result may be long.
    ranked: QuerySet[Any] = (
        rows.annotate(**{f"{name}_": F(f"result__{name}") for name in ("attempts", "requests", "outage")})
        .select_related("customer__account_manager")
        .defer("result", "story")
        .order_by(order, Lower("customer__name"), "pk")
    )  # fmt: skip
    return ranked


def customer_rows(rows: Iterable[Any]) -> list[CustomerRow]:
    """Return ranked impacts of customers as rows of a table."""
    return [_customer(row) for row in rows]


def _customer(row: Any) -> CustomerRow:
    attempts, requests = row.attempts_ or {}, row.requests_ or {}
    total, blind = attempts.get("total"), attempts.get("cannot_tell") or 0
    # When no attempt can be told apart, a zero would be a lie.
    told = bool(attempts) and (not total or blind < total)
    return CustomerRow(
        slug=row.customer.slug,
        name=row.customer.name,
        kind=row.customer.get_kind_display(),
        manager=row.customer.account_manager.name if row.customer.account_manager else "",
        grade=row.grade,
        tried=total,
        retried=attempts.get("retried") if told else None,
        gave_up=attempts.get("gave_up") if told else None,
        failed=requests.get("failed"),
        requests=requests.get("total"),
        dark=bool(row.outage_),
        dark_for=_lasted(row.outage_),
        attempts=attempts,
    )


def _lasted(outage: Mapping[str, Any] | None) -> timedelta | None:
    if not outage or not outage.get("to"):
        return None
    return datetime.fromisoformat(outage["to"]) - datetime.fromisoformat(outage["from"])


MOST_DOTS = 100


def hardest_hit(rows: QuerySet[Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return name, grade and attempts of those of the rows to whom most happened, by failed requests."""
    return list(
        rows.filter(grade__in=HIT_GRADES)
        .order_by(F("failed").desc(nulls_last=True), "pk")
        .values_list("customer__name", "grade", "result__attempts")[:MOST_DOTS]
    )


def open_gaps(now: datetime) -> QuerySet[Gap]:
    """Return the questions that cannot be answered, those without an owner and the oldest first.

    Those that somebody has accepted are left out until their day.
    """
    return _listed(Gap.objects.open(now)).order_by(
        F("owner").asc(nulls_first=True), "opened_at", "pk"
    )


def accepted_gaps(now: datetime) -> QuerySet[Gap]:
    """Return the questions that somebody has accepted not to answer, the next to open again first."""
    return _listed(Gap.objects.accepted(now)).order_by("accepted_until", "pk")


def closed_gaps() -> QuerySet[Gap]:
    """Return the questions that can be answered again, the latest first."""
    return _listed(Gap.objects.exclude(closed_at=None)).order_by("-closed_at", "-pk")


def _listed(gaps: QuerySet[Gap]) -> QuerySet[Gap]:
    return gaps.select_related(
        "service", "journey", "owner", "accepted_by", "latest_snapshot__run"
    ).defer("latest_snapshot__result", "latest_snapshot__overall")


MOST_NAMES = 12


def blinded(gap: Gap, user: User) -> tuple[list[Customer], int]:
    """Return the first of the customers that `user` may see whom a gap blinds us to, and how many there are."""
    customers = (
        Customer.objects.visible_to(user).filter(pk__in=gap.customers).order_by(Lower("name"), "pk")
    )
    return list(customers[:MOST_NAMES]), customers.count()


def runs_apart() -> QuerySet[ImpactRun]:
    """Return the windows that were asked for by themselves, the latest first, with their first sentence."""
    first = ImpactSnapshot.objects.filter(run=OuterRef("pk")).values(text=KT("overall__story__0"))
    return (
        ImpactRun.objects.filter(apart=True)
        .select_related("service", "requested_by")
        .annotate(sentence=Subquery(first[:1]))
        .order_by("-pk")
    )


def snapshots_of(run: ImpactRun) -> QuerySet[ImpactSnapshot]:
    """Return all answers to the question that `run` asked: the same window by itself, the newest first."""
    return (
        ImpactSnapshot.objects.filter(
            run__apart=True,
            run__window_from=run.window_from,
            run__window_to=run.window_to,
            run__service=run.service,
        )
        .defer("result", "overall")
        .select_related("run__service")
        .order_by("-pk")
    )


def impact_of_run(run: ImpactRun, user: User) -> Impact | None:
    """Return what a run found, as this person may read it; None while there is nothing."""
    return impact_of(ImpactSnapshot.objects.filter(run=run), names_all=user.is_staff)


def details_of(
    impact: Impact | None, user: User, *, sort: str, most: int
) -> tuple[list[CustomerRow], int, list[Any]]:
    """Return the customers of a snapshot that `user` may see, how many there are, and its charts."""
    if impact is None:
        return [], 0, []
    rows = CustomerImpact.objects.filter(snapshot=impact.snapshot_id).visible_to(user)
    ranked = ranked_customers(rows, sort=sort)
    charts = [
        pictures.attempts_over_time(impact.result, marks=[]),
        pictures.journey_steps(impact.result),
        pictures.uptime_over_time(impact.result, marks=[]),
        pictures.worst_windows(impact.result),
        pictures.customers_by_harm(hardest_hit(rows)),
        pictures.came_back(impact.result),
    ]
    return customer_rows(ranked[:most]), rows.count(), charts
