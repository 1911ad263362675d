"""Reads for Today: what needs somebody now."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, OuterRef, Q, Subquery
from django.db.models.fields.json import KT

from apps.accounts.models import User
from apps.analytics.names import HIT_GRADES
from apps.customers.models import Customer, Kind
from apps.impact.models import CustomerImpact, Gap, ImpactSnapshot
from apps.incidents.models import Incident
from apps.outreach.models import Outreach
from apps.outreach.queries.first_steps import Step, first_steps
from apps.outreach.queries.messages import CallThem, latest_snapshot, to_call
from apps.tenets.models import TenetVersion, VersionState

#: How many customers an incident names before it says "and others".
NAMED = 4
#: A gap is new for this long, and a review is due from this long before its date.
NEW = timedelta(days=7)
AHEAD = timedelta(days=14)


@dataclass(frozen=True, kw_only=True)
class OpenIncident:
    """An open incident and what it did to the customers that this person answers for."""

    incident: Incident
    headline: str  # the first sentence of the story; empty until there is a snapshot
    as_of: datetime | None
    hit: int  # businesses and internal customers that it hit
    of: int  # of how many that were seen in the window
    named: Sequence[Customer] = ()
    overdue: bool = False

    @property
    def others(self) -> int:
        """How many more were hit than are named."""
        return self.hit - len(self.named)


@dataclass(frozen=True, kw_only=True)
class Today:
    """Everything on the page."""

    incidents: Sequence[OpenIncident]
    waiting: Sequence[Outreach]
    waiting_count: int
    calls: Sequence[CallThem] = ()
    reviews: Sequence[TenetVersion] = ()
    approvals: Sequence[TenetVersion] = ()  # promises that wait for this person's word
    gaps: Sequence[Gap] = ()
    steps: Sequence[Step] = ()  # what a new portal still needs
    own: bool = field(default=False)  # an account manager's: only their customers

    @property
    def overdue(self) -> list[OpenIncident]:
        """The incidents whose next update we promised for a moment that has passed."""
        return [one for one in self.incidents if one.overdue]

    @property
    def is_calm(self) -> bool:
        """Whether nothing needs this person now."""
        return not any(
            (
                self.incidents,
                self.waiting,
                self.calls,
                self.approvals,
                self.reviews,
                self.gaps,
                self.steps,
            )
        )

    @property
    def next_step(self) -> Step | None:
        """The first that is left."""
        return next((one for one in self.steps if not one.done), None)


def today(user: User, *, now: datetime, limit: int = 8) -> Today:
    """Collect what needs `user` now. An account manager's covers only their customers."""
    own = not user.is_staff
    waiting = (
        Outreach.objects.waiting_for(user)
        .select_related("customer", "incident", "author", "edited_by")
        .order_by("-changed_at", "-pk")
    )
    incidents = _open_incidents(user, now=now, own=own)
    return Today(
        incidents=incidents,
        waiting=list(waiting[:limit]),
        waiting_count=waiting.count(),
        calls=to_call(user),
        reviews=[] if own else _reviews(now),
        approvals=_approvals(user, limit=limit),
        gaps=[] if own else list(_new_gaps(now)),
        steps=[] if incidents else first_steps(user),
        own=own,
    )


def _open_incidents(user: User, *, now: datetime, own: bool) -> list[OpenIncident]:
    newest = latest_snapshot(OuterRef("pk"))
    rows: Iterable[Any] = (
        Incident.objects.open()
        .annotate(
            snapshot_id=Subquery(newest.values("pk")),
            snapshot_as_of=Subquery(newest.values("as_of")),
            headline=Subquery(newest.annotate(first=KT("overall__story__0")).values("first")),
        )
        .order_by("-started_at", "-pk")
    )
    incidents = list(rows)
    snapshots = [one.snapshot_id for one in incidents if one.snapshot_id]
    counts = _counts(snapshots, user)
    named, sentences = _named(snapshots, user)
    found = []
    for one in incidents:
        hit, of = counts.get(one.snapshot_id, (0, 0))
        if own and not hit:
            continue
        found.append(
            OpenIncident(
                incident=one,
                headline=sentences.get(one.snapshot_id, "") if own else one.headline or "",
                as_of=one.snapshot_as_of,
                hit=hit,
                of=of,
                named=named[one.snapshot_id],
                overdue=bool(one.next_update_at and one.next_update_at < now),
            )
        )
    return found


def _counts(snapshots: Sequence[int], user: User) -> dict[int, tuple[int, int]]:
    """Return for each snapshot how many named accounts of `user` it hit, and of how many."""
    rows = (
        CustomerImpact.objects.visible_to(user)
        .filter(snapshot__in=snapshots)
        .exclude(kind=Kind.CONSUMERS)
        .values("snapshot_id")
        .annotate(hit=Count("pk", filter=Q(grade__in=HIT_GRADES)), of=Count("pk"))
    )
    return {row["snapshot_id"]: (row["hit"], row["of"]) for row in rows}


def _named(
    snapshots: Sequence[int], user: User
) -> tuple[dict[int, list[Customer]], dict[int, str]]:
    """Return for each snapshot the accounts hit hardest, and a sentence about the first of them."""
    hardest = (F("failed").desc(nulls_last=True), "pk")
    # Snapshot by snapshot: an index knows the first of each, and nobody has to rank the thousands after them.
    first = (
        CustomerImpact.objects.hit()
        .visible_to(user)
        .filter(snapshot=OuterRef("pk"))
        .exclude(kind=Kind.CONSUMERS)
        .order_by(*hardest)
        .values("pk")[:NAMED]
    )
    found = ImpactSnapshot.objects.filter(pk__in=snapshots).values_list(ArraySubquery(first))
    rows = (
        CustomerImpact.objects.filter(pk__in=[pk for (several,) in found for pk in several])
        .select_related("customer")
        .defer("result")
        .order_by("snapshot_id", *hardest)
    )
    named: dict[int, list[Customer]] = defaultdict(list)
    sentences: dict[int, str] = {}
    for row in rows:
        named[row.snapshot_id].append(row.customer)
        if row.story:
            # The sentence is worded for the customer, so it is quoted as theirs.
            sentences.setdefault(row.snapshot_id, f"{row.customer.name}: “{row.story[0]}”")
    return named, sentences


def _approvals(user: User, *, limit: int) -> list[TenetVersion]:
    if not user.can("tenet.approve"):
        return []
    rows = TenetVersion.objects.filter(state=VersionState.IN_REVIEW).exclude(author=user)
    return list(rows.select_related("tenet", "author").order_by("pk")[:limit])


def _reviews(now: datetime) -> list[TenetVersion]:
    return list(
        TenetVersion.objects.filter(state=VersionState.ACTIVE, review_by__lte=(now + AHEAD).date())
        .select_related("tenet")
        .order_by("review_by", "pk")
    )


def _new_gaps(now: datetime) -> Iterable[Gap]:
    return (
        Gap.objects.open(now)
        .filter(opened_at__gte=now - NEW)
        .select_related("service")
        .order_by("-opened_at", "-pk")[:8]
    )
