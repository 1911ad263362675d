"""Which questions of the story can be answered now, for each service and journey.

Read from what was computed lately: a question that no computation asked is "not asked", not answered.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet

from apps.analytics.actors import ACTOR_SHARE_NEEDED
from apps.catalog.models import Journey, Operation, Service
from apps.impact.models import Gap, ImpactSnapshot

LATELY = timedelta(days=14)
MOST_SNAPSHOTS = 20
"""The latest of so many windows are looked at: each is a few hundred kilobytes at most."""

TELL, PART, CANNOT, UNASKED = "tell", "part", "cannot", "unasked"
TOGETHER_ONLY = "asked of a whole window only"


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the story, its head in a table, and the codes of the gaps that leave it open."""

    name: str
    head: str
    asks: str
    codes: tuple[str, ...]


QUESTIONS = (
    Question("whose", "Whose", "Whose traffic is it?", ("customer",)),
    Question(
        "people", "People hit", "How many people were hit?", ("actor", "proxy", "address", "meter")
    ),
    Question(
        "retries", "Retries", "Who tried again, who gave up?", ("attempts", "open", "meter", "sampled", "ingest_time")
    ),
    Question("wait", "Extra wait", "How much longer did they wait?", ("extra_wait", "server_time")),
    Question(
        "lost", "Never tried", "How many never even tried?", ("lost_attempts", "sender", "put_off", "net_lost")
    ),
    Question(
        "uptime", "Uptime", "For which share of their time could people use it?", ("user_uptime",)
    ),
    Question("gone", "Not back", "Who has not come back?", ("not_returned", "provisional", "too_few")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """Whether one question can be answered in one place.

    `state` is tell, part, cannot or unasked; `why` says what is behind it; `gap` is the open gap's key.
    """

    question: Question
    state: str
    why: str = ""
    gap: int | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of the requests (0..1) that name a customer, an actor, a key; None of nothing."""

    customer: float | None = None
    actor: float | None = None
    key: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """All questions of one service or journey. `snapshot` is the latest that asked, None if none did."""

    key: str
    name: str
    kind: str  # "all", "service" or "journey"
    cells: tuple[Cell, ...]
    shares: Shares = field(default_factory=Shares)
    requests: int = 0
    asked_at: datetime | None = None


@dataclass(slots=True)
class _Seen:
    """Sums over the windows in which a place was seen, and its figures in the latest of them."""

    latest: Mapping[str, Any]
    asked_at: datetime
    requests: int = 0
    customer: float = 0.0
    actor: float = 0.0
    key: float = 0.0

    def add(self, figures: Mapping[str, Any]) -> None:
        n = _total(figures)
        shares = figures.get("coverage") or {}
        self.requests += n
        self.customer += n * (shares.get("named_customer") or 0.0)
        self.actor += n * (shares.get("actor") or 0.0)
        self.key += n * (shares.get("key") or 0.0)

    @property
    def shares(self) -> Shares:
        if not self.requests:
            return Shares()
        return Shares(*(part / self.requests for part in (self.customer, self.actor, self.key)))


def matrix(now: datetime) -> list[Row]:
    """Return a row for all services together, where they were asked so, and for each service, its journeys after it.

    Five queries however many there are. Everything of the last `LATELY`.
    """
    seen = _seen(now)
    gaps = _gaps()
    services = list(Service.objects.order_by("name", "pk"))
    journeys: dict[int, list[Journey]] = {}
    for journey in Journey.objects.order_by("name", "pk"):
        journeys.setdefault(journey.service_id, []).append(journey)
    rows = []
    if "all" in seen:
        rows.append(_row("all", "All services together", "all", seen, gaps, None))
    for service in services:
        rows.append(_row(f"service-{service.pk}", service.name, "service", seen, gaps, service.pk))
        rows += [
            _row(f"journey-{one.pk}", one.name, "journey", seen, gaps, service.pk, one.pk)
            for one in journeys.get(service.pk, ())
        ]
    return rows


def places_of(gap: Gap, rows: Iterable[Row]) -> list[tuple[Row, Cell]]:
    """Return the cells that a gap leaves open."""
    return [(row, cell) for row in rows for cell in row.cells if cell.gap == gap.pk]


_Gaps = Mapping[tuple[str, int | None], int]


def _gaps() -> _Gaps:
    """Return the open gaps by code and service; without a service for one of all together."""
    rows = Gap.objects.filter(closed_at=None).values_list("code", "service", "pk")
    return {(code, service): pk for code, service, pk in rows}


def _seen(now: datetime) -> Mapping[str, _Seen]:
    """Return what was computed of each place: "all", "service-7", "journey-3"."""
    # Of one window that is computed again and again while it goes on, the latest word counts.
    latest = (
        ImpactSnapshot.objects.filter(created_at__gte=now - LATELY, created_at__lte=now)
        .order_by("run__service", "run__window_from", "-created_at", "-pk")
        .distinct("run__service", "run__window_from")
    )
    rows: QuerySet[Any, Any] = (
        ImpactSnapshot.objects.filter(pk__in=latest.values("pk"))
        .order_by("-created_at", "-pk")
        .values(
            "created_at",
            "run__service",
            journeys=F("overall__journeys"),
            operations=F("overall__operations"),
            **{name: F(f"overall__{name}") for name in _SHARED},
        )[:MOST_SNAPSHOTS]
    )
    found: dict[str, _Seen] = {}
    snapshots = list(rows)
    of_operation = dict(
        Operation.objects.filter(
            pk__in={
                one["id"] for row in snapshots for one in row["operations"] or () if "id" in one
            }
        ).values_list("pk", "service")
    )
    for row in snapshots:
        everything = {**{name: row[name] for name in _SHARED}, "together": True}
        own = row["run__service"]
        places: list[tuple[str, Mapping[str, Any]]] = [
            ("all" if own is None else f"service-{own}", everything)
        ]
        places += [
            (f"journey-{one['id']}", one)
            for one in row["journeys"] or ()
            if one.get("declared") and "id" in one
        ]
        by_service: dict[int, list[Mapping[str, Any]]] = {}
        for one in row["operations"] or ():
            if (service := of_operation.get(one.get("id"))) is not None and service != own:
                by_service.setdefault(service, []).append(one)
        places += [(f"service-{pk}", _summed(parts)) for pk, parts in by_service.items()]
        for key, figures in places:
            if _total(figures):
                found.setdefault(key, _Seen(figures, row["created_at"])).add(figures)
    return found


_SHARED = (
    "coverage", "requests", "actors", "attempts", "extra_wait_s", "user_uptime", "lost_attempts",
    "not_returned",
)  # fmt: skip


def _total(figures: Mapping[str, Any]) -> int:
    return int((figures.get("requests") or {}).get("total") or 0)


def _summed(parts: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Put a service together from its operations: sums, and shares weighted by requests."""
    parts = [one for one in parts if _total(one)]
    n = sum(map(_total, parts))

    def share(name: str) -> float | None:
        given = sum(_total(one) * ((one.get("coverage") or {}).get(name) or 0.0) for one in parts)
        return given / n if n else None

    attempts: dict[str, int] = {}
    for one in parts:
        for name, count in (one.get("attempts") or {}).items():
            attempts[name] = attempts.get(name, 0) + (count or 0)
    told = [one for one in parts if "estimate" in (one.get("lost_attempts") or {})]
    actor = share("actor")
    waits = [one for one in parts if (one.get("extra_wait_s") or {}).get("p50") is not None]
    return {
        "requests": {"total": n},
        "coverage": {
            "named_customer": share("named_customer"), "actor": actor, "key": share("key"),
        },
        "actors": {"total": n if actor is not None and actor >= ACTOR_SHARE_NEEDED else None},
        "attempts": attempts,
        "extra_wait_s": waits[0].get("extra_wait_s") if waits else {},
        "lost_attempts": (told or parts or [{}])[0].get("lost_attempts"),
    }  # fmt: skip


def _row(
    key: str,
    name: str,
    kind: str,
    seen: Mapping[str, _Seen],
    gaps: _Gaps,
    service: int | None,
    journey: int | None = None,
) -> Row:
    found = seen.get(key)
    figures = found.latest if found else {}
    verdicts = dict(_verdicts(figures)) if found else {}
    cells = []
    for question in QUESTIONS:
        state, why = verdicts.get(question.name, (UNASKED, ""))
        if found and state == UNASKED and kind != "all":
            why = TOGETHER_ONLY
        gap = None
        if state in {PART, CANNOT}:
            gap = next(
                (
                    pk
                    for code in question.codes
                    for of in (service, None)
                    if (pk := gaps.get((code, of))) is not None
                ),
                None,
            )
        cells.append(Cell(question, state, why, gap))
    if not found:
        return Row(key, name, kind, tuple(cells))
    return Row(key, name, kind, tuple(cells), found.shares, found.requests, found.asked_at)


Verdict = tuple[str, tuple[str, str]]


def _verdicts(figures: Mapping[str, Any]) -> Iterator[Verdict]:
    """Say of each question that was asked whether it could be answered."""
    shares = figures.get("coverage") or {}
    named = shares.get("named_customer")
    if named is not None:
        yield "whose", _by_share(1 - named, "of requests belong to nobody we can name")
    actors = figures.get("actors") or {}
    actor = shares.get("actor")
    if "total" in actors:
        if actors["total"] is None:
            without = (
                "" if actor is None else f"{_percent(1 - actor)} of requests say not who made them"
            )
            yield "people", (CANNOT, without)
        else:
            yield "people", (TELL, "")
    attempts = figures.get("attempts") or {}
    if attempts.get("total"):
        blind = (attempts.get("cannot_tell") or 0) / attempts["total"]
        yield "retries", _by_share(blind, "of attempts cannot be told apart")
    retried = attempts.get("retried") or 0
    wait = figures.get("extra_wait_s") or {}
    if attempts.get("total"):
        if not retried:
            yield "wait", (TELL, "nobody was seen to get through on another try")
        elif wait.get("p50") is None:
            yield "wait", (CANNOT, f"only {retried} got through on another try")
        else:
            yield "wait", (TELL, "")
    yield from _measure("lost", figures.get("lost_attempts"))
    uptime = figures.get("user_uptime") or {}
    if uptime.get("during") is not None:
        yield "uptime", (TELL, "")
    elif figures.get("together"):
        yield "uptime", (CANNOT, "too few known people were active")
    yield from _measure("gone", figures.get("not_returned"))


def _measure(name: str, answer: Mapping[str, Any] | None) -> Iterator[Verdict]:
    if not answer:
        return
    why = answer.get("cannot_tell")
    if why is None:
        yield name, (TELL, "")
    elif "everybody together only" not in why:
        yield name, (CANNOT, str(why))


def _by_share(blind: float, what: str) -> tuple[str, str]:
    if blind <= 0:
        return TELL, ""
    return (CANNOT if blind > 1 - 0.005 else PART), f"{_percent(blind)} {what}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{share * 100:.0f} %"
