"""Clauses as sentences, and what one version changes of another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.tenets.content import clause_content
from apps.tenets.models import (
    Budgeting,
    Clause,
    ClauseKind,
    Operator,
    TenetVersion,
    WindowUnit,
)

_UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"))


@dataclass(frozen=True, kw_only=True)
class ClauseRow:
    """A clause in words."""

    text: str
    dimension: str
    measured: str
    tolerance: str
    consequence: str


@dataclass(frozen=True)
class Line:
    """One line of a difference: added, removed, changed or same."""

    kind: str
    text: str


def clause_in_words(clause: Clause) -> ClauseRow:
    """Say how a clause is measured."""
    return ClauseRow(
        text=clause.text,
        dimension=clause.get_dimension_display(),
        measured=measured(clause),
        tolerance=clause.tolerance,
        consequence=clause.consequence,
    )


def measured(clause: Clause) -> str:
    """Return the sentence that says when a clause is kept."""
    about = str(clause.journey or clause.operation or "all attempts")
    parts = [_core(clause, about), _value(clause)]
    if clause.kind != ClauseKind.INVARIANT or clause.max_count:
        parts.append(window(clause))
    if clause.kind == ClauseKind.BUDGET:
        parts.append(f"judged from {count(clause.min_events, 'attempt')} on")
    return ", ".join(part for part in parts if part)


def _core(clause: Clause, about: str) -> str:
    share = "" if clause.target is None else f"at least {percent(clause.target)} of "
    within = "" if clause.threshold_ms is None else f"within {duration(clause.threshold_ms)}"
    match clause.kind:
        case ClauseKind.INVARIANT:
            often = _often(clause)
            return f"{often}, {within}" if within else often
        case ClauseKind.NOTICE:
            return f"{share}those hit are told {within} of its beginning"
        case ClauseKind.RECOVERY:
            return f"{share}{about if share else 'it'} works again {within}".replace(
                " of all attempts works", " of disruptions: it works"
            )
        case _:
            return _sliced(clause, about, share or "all of ", within)


def _often(clause: Clause) -> str:
    if not clause.max_count:
        return "never broken: a single counter-example breaks it"
    return f"at most {count(clause.max_count, 'time')}: one more breaks it"


def _sliced(clause: Clause, about: str, share: str, within: str) -> str:
    good = f"{about}, {within}" if within else about
    length = f"slices of {count(clause.slice_minutes or 0, 'minute')}"
    if clause.budgeting == Budgeting.TIMESLICES:
        part = percent(clause.slice_target or Decimal(0))
        return f"{share}{length}, in which at least {part} of {good} go well"
    if clause.budgeting == Budgeting.RATIO_TIMESLICES:
        return f"{share}{good}, on average over {length}"
    return f"{share}{good}"


def _value(clause: Clause) -> str:
    if clause.value is None:
        return ""
    unit = clause.unit or "(OpenSLO names no unit)"
    return f"measured {Operator(clause.op).label} {clause.value.normalize():,f} {unit}"


def window(clause: Clause) -> str:
    """Say over which time a clause is judged."""
    unit = WindowUnit(clause.window_unit).label.removesuffix("s")
    if not clause.window_zone:
        return f"over {count(clause.window_count, unit)}"
    span = (
        f"every calendar {unit}"
        if clause.window_count == 1
        else f"every {clause.window_count} calendar {unit}s"
    )
    start = f" from {clause.window_start}" if clause.window_start else ""
    return f"in {span}{start} ({clause.window_zone})"


def difference(
    old: TenetVersion | None, new: TenetVersion, *, names: bool = False
) -> Sequence[Line]:
    """Say in words what `new` changes: promise, reason, readers, each clause, review.

    `names` says whether the reader may know the names of all customers.
    """
    return [*_texts(old, new), *_clauses(old, new), *_facts(old, new, names=names)]


def _texts(old: TenetVersion | None, new: TenetVersion) -> Iterator[Line]:
    for name, lead in (("promise", ""), ("rationale", "Because: ")):
        was, now = getattr(old, name) if old else "", getattr(new, name)
        if was == now:
            if now:
                yield Line("same", lead + now)
            continue
        if was:
            yield Line("removed", lead + was)
        if now:
            yield Line("added", lead + now)


def _facts(old: TenetVersion | None, new: TenetVersion, *, names: bool) -> Iterator[Line]:
    before = _labelled(old, names=names) if old else {}
    after = _labelled(new, names=names)
    for label in after:
        was, now = before.get(label, ""), after[label]
        if was == now:
            continue
        if was and now:
            yield Line("changed", f"Changed: {label}: {was} → {now}")
        elif now:
            yield Line("added", f"{label.capitalize()}: {now}")
        else:
            yield Line("removed", f"{label.capitalize()}: {was}")


def _labelled(version: TenetVersion, *, names: bool) -> dict[str, str]:
    named = sorted(customer.name for customer in version.customers.all())
    return {
        "read by": version.get_audience_display(),
        "named customers": (", ".join(named) if names else str(len(named))) if named else "",
        "owner": version.owner.name if version.owner else "",
        "reviewed by": f"{version.review_by:%d %B %Y}" if version.review_by else "",
        "reviewed every": count(version.review_every_months, "month")
        if version.review_every_months
        else "",
    }


def _clauses(old: TenetVersion | None, new: TenetVersion) -> Iterator[Line]:
    left = list(old.clauses.all()) if old else []
    wanted = list(new.clauses.all())
    twins = _pair(wanted, left)
    for clause in wanted:
        twin = twins.get(clause.position)
        if twin is None:
            yield Line("added", _whole(clause))
        elif clause_content(twin) == clause_content(clause):
            yield Line("same", _whole(clause))
        else:
            yield Line("changed", _changed(twin, clause))
    places = [twins[clause.position].position for clause in wanted if clause.position in twins]
    if places != sorted(places):
        yield Line("changed", "Changed: the clauses stand in another order.")
    kept = {twin.position for twin in twins.values()}
    for clause in left:
        if clause.position not in kept:
            yield Line("removed", _whole(clause))


def _pair(wanted: list[Clause], left: list[Clause]) -> dict[int, Clause]:
    """Find for each new clause the old one that it stems from: the same, else the same words, else the same subject."""
    likenesses = (
        clause_content,
        lambda one: (one.kind, one.dimension, one.journey_id, one.operation_id, one.text),
        lambda one: (one.kind, one.dimension, one.journey_id, one.operation_id),
        lambda one: one.text,
    )
    found: dict[int, Clause] = {}
    free = list(left)
    for like in likenesses:
        for clause in wanted:
            if clause.position in found:
                continue
            twin = next((one for one in free if like(one) == like(clause)), None)
            if twin:
                found[clause.position] = twin
                free.remove(twin)
    return found


def _whole(clause: Clause) -> str:
    words = (
        f"{clause.position}. {clause.get_dimension_display()}: {clause.text} ({measured(clause)})"
    )
    for more in (
        clause.tolerance,
        f"Otherwise: {clause.consequence}" if clause.consequence else "",
    ):
        words += f". {more}" if more else ""
    return words


def _changed(old: Clause, new: Clause) -> str:
    was, now = _pieces(old), _pieces(new)
    said = [
        f"{was[name] or 'nothing said'} → {now[name] or 'nothing said'}"
        for name in now
        if was[name] != now[name]
    ]
    return f"Changed: {new.position}. {new.get_dimension_display()}: {new.text}: {'; '.join(said)}"


def _pieces(clause: Clause) -> dict[str, str]:
    sliced = clause.budgeting != Budgeting.OCCURRENCES
    part = f", {percent(clause.slice_target)} of each" if clause.slice_target else ""
    return {
        "dimension": clause.get_dimension_display(),
        "kind": clause.get_kind_display().partition(":")[0],
        "text": f"“{clause.text}”",
        "about": " and ".join(str(one) for one in (clause.journey, clause.operation) if one)
        or "all attempts",
        "share": "" if clause.target is None else f"at least {percent(clause.target)}",
        "count": "" if clause.max_count is None else f"at most {count(clause.max_count, 'time')}",
        "time": "" if clause.threshold_ms is None else f"at most {duration(clause.threshold_ms)}",
        "value": _value(clause) or clause.unit,
        "window": window(clause),
        "slices": f"by slices of {count(clause.slice_minutes or 0, 'minute')}{part}"
        if sliced
        else "by attempts",
        "events": f"judged from {count(clause.min_events, 'attempt')} on",
        "tolerance": f"“{clause.tolerance}”" if clause.tolerance else "",
        "consequence": f"“{clause.consequence}”" if clause.consequence else "",
    }


def percent(share: Decimal) -> str:
    """Return a share as in “99.9 %”."""
    return f"{(share * 100).normalize():f} %"


def duration(ms: int) -> str:
    """Return a time in the largest unit that needs no fraction: “5 minutes”."""
    for size, unit in _UNITS:
        if ms >= size and ms % size == 0:
            return count(ms // size, unit)
    return f"{(Decimal(ms) / 1000).normalize():,f} seconds" if ms > 1000 else f"{ms} ms"


def count(number: int, what: str) -> str:
    """Return “1 minute”, “20 minutes”."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
