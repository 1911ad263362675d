"""Reads of tenets, their versions, and what changed between two. Nothing here writes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Prefetch, QuerySet

from apps.customers.models import Kind
from apps.tenets.models import Clause, ClauseKind, Tenet, TenetVersion, VersionState


@dataclass(frozen=True, kw_only=True)
class ClauseRow:
    """A clause in words."""

    text: str
    dimension: str
    measured: str


@dataclass(frozen=True, kw_only=True)
class TenetRow:
    """A tenet as the list shows it."""

    tenet: Tenet
    active: TenetVersion | None
    clauses: Sequence[ClauseRow]
    others: Sequence[TenetVersion]  # what is being written or reviewed, and earlier wordings
    review_due: bool


@dataclass(frozen=True, kw_only=True)
class KindOfCustomer:
    """All that is promised to one kind of customer."""

    kind: str
    label: str
    rows: Sequence[TenetRow]


@dataclass(frozen=True)
class Line:
    """One line of a difference: added, removed or same."""

    kind: str
    text: str


def _with_parts() -> QuerySet[Tenet]:
    clauses = Clause.objects.select_related("journey", "operation").order_by("position")
    versions = (
        TenetVersion.objects.select_related("author", "approver")
        .prefetch_related(Prefetch("clauses", queryset=clauses))
        .order_by("-number")
    )
    return Tenet.objects.select_related("service", "owner").prefetch_related(
        Prefetch("versions", queryset=versions)
    )


def by_kind(*, today: date) -> list[KindOfCustomer]:
    """Return every kind of customer with what is promised to it, in a fixed number of queries."""
    rows: dict[str, list[TenetRow]] = {kind: [] for kind in Kind.values}
    for tenet in _with_parts().order_by("name", "pk"):
        rows[tenet.kind].append(_row(tenet, today=today))
    return [KindOfCustomer(kind=kind, label=Kind(kind).label, rows=rows[kind]) for kind in rows]


def tenet_with_versions(*, slug: str) -> Tenet:
    """Return the tenet with all its versions, newest first. Raise Tenet.DoesNotExist."""
    return _with_parts().get(slug=slug)


def _row(tenet: Tenet, *, today: date) -> TenetRow:
    versions = list(tenet.versions.all())
    active = next((one for one in versions if one.state == VersionState.ACTIVE), None)
    return TenetRow(
        tenet=tenet,
        active=active,
        clauses=[clause_in_words(one) for one in active.clauses.all()] if active else [],
        others=[one for one in versions if one is not active],
        review_due=bool(active and active.review_by and active.review_by <= today),
    )


def clause_in_words(clause: Clause) -> ClauseRow:
    """Say how a clause is measured."""
    about = clause.journey or clause.operation
    parts = []
    if clause.kind == ClauseKind.INVARIANT:
        parts.append("never broken: a single counter-example breaks it")
    elif clause.target is not None:
        parts.append(f"at least {_percent(clause.target)} of {about or 'all attempts'}")
    if clause.threshold_ms is not None:
        parts.append(f"within {_time(clause.threshold_ms)}")
    if clause.kind == ClauseKind.BUDGET:
        parts.append(f"over {clause.window_days} days")
        parts.append(f"judged from {clause.min_events:,} attempts on")
    return ClauseRow(
        text=clause.text, dimension=clause.get_dimension_display(), measured=", ".join(parts)
    )


def difference(old: TenetVersion | None, new: TenetVersion) -> list[Line]:
    """Say in words what `new` changes: the promise, why, each clause by its place, the review."""
    before = dict(_sentences(old)) if old else {}
    after = dict(_sentences(new))
    found: list[Line] = []
    for key in [*after, *[key for key in before if key not in after]]:
        was, now = before.get(key), after.get(key)
        if was == now and now is not None:
            found.append(Line("same", now))
            continue
        if was:
            found.append(Line("removed", was))
        if now:
            found.append(Line("added", now))
    return found


def _sentences(version: TenetVersion) -> Iterator[tuple[str, str]]:
    yield "promise", version.promise
    if version.rationale:
        yield "rationale", f"Because: {version.rationale}"
    for clause in version.clauses.all():
        words = clause_in_words(clause)
        yield (
            f"clause {clause.position}",
            f"{clause.position}. {words.dimension}: {words.text} ({words.measured})",
        )
    if version.review_by:
        yield "review", f"Reviewed by {version.review_by:%d %B %Y}"


def _percent(share: Any) -> str:
    return f"{(share * 100).normalize():f} %"


def _time(ms: int) -> str:
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:g} s"
    return f"{ms / 60_000:g} min"
