"""Two snapshots of one thing: what we believed, what we believe now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import CharField, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Lower

from apps.accounts.models import User
from apps.impact.models import CustomerImpact

Overall = Mapping[str, Any]
CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Line:
    """One figure in both snapshots, in words; `number` is its plain difference where both are counts."""

    name: str
    before: str
    after: str
    number: int | None = None

    @property
    def changed(self) -> bool:
        """Whether a reader would see a difference."""
        return self.before != self.after

    @property
    def difference(self) -> str:
        """By how much, in words, where both are counts."""
        if self.number is None:
            return "changed"
        return f"{abs(self.number):,} {'more' if self.number > 0 else 'fewer'}"


def lines(before: Overall, after: Overall) -> list[Line]:
    """Return the figures of two snapshots beside each other, in the order of the story."""
    return [_line(name, read, before, after) for name, read in _FIGURES]


def differences(before: Overall, after: Overall) -> str:
    """Return what changed in one sentence's length, the first figures first; "" when nothing did."""
    changed = [line for line in lines(before, after) if line.changed]
    return "; ".join(
        f"{line.name.lower()}: {line.before}, now {line.after}" for line in changed[:4]
    )


def moved_customers(*, user: User, before: int, after: int) -> QuerySet[Any]:
    """Return the impacts in snapshot `after` of customers whose grade is another than in `before`, by name."""
    earlier = CustomerImpact.objects.filter(snapshot=before, customer=OuterRef("customer"))
    found: QuerySet[Any] = (
        CustomerImpact.objects.visible_to(user)
        .filter(snapshot=after)
        .annotate(
            grade_before=Coalesce(
                Subquery(earlier.values("grade")[:1]), Value("not_hit"), output_field=CharField()
            )
        )
        .exclude(grade_before=F("grade"))
        .select_related("customer")
        .defer("result", "story")
        .order_by(Lower("customer__name"), "pk")
    )
    return found


def _line(
    name: str, read: Callable[[Overall], "int | str"], before: Overall, after: Overall
) -> Line:
    pair = read(before), read(after)
    number = pair[1] - pair[0] if isinstance(pair[0], int) and isinstance(pair[1], int) else None
    return Line(name, _said(pair[0]), _said(pair[1]), number)


def _said(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _count(*path: str) -> Callable[[Overall], int | str]:
    def read(overall: Overall) -> int | str:
        found: Any = overall
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return int(found) if isinstance(found, int | float) else CANNOT_TELL

    return read


def _interval(key: str) -> Callable[[Overall], int | str]:
    def read(overall: Overall) -> int | str:
        found = overall.get(key) or {}
        if "estimate" not in found:
            return CANNOT_TELL
        estimate, low, high = (round(found[name]) for name in ("estimate", "low", "high"))
        return f"about {estimate:,} ({low:,} to {high:,})"

    return read


def _waited(overall: Overall) -> int | str:
    seconds = (overall.get("extra_wait_s") or {}).get("sum")
    return CANNOT_TELL if seconds is None else str(timedelta(seconds=round(seconds)))


def _uptime(overall: Overall) -> int | str:
    during = (overall.get("user_uptime") or {}).get("during")
    return CANNOT_TELL if during is None else f"{during * 100:.1f} %"


_FIGURES: Sequence[tuple[str, Callable[[Overall], int | str]]] = (
    ("Requests", _count("requests", "total")),
    ("Failed requests", _count("requests", "failed")),
    ("People hit", _count("actors", "hit")),
    ("Attempts", _count("attempts", "total")),
    ("Got through at once", _count("attempts", "first_try")),
    ("Slowly", _count("attempts", "slow")),
    ("Only on another try", _count("attempts", "retried")),
    ("Gave up", _count("attempts", "gave_up")),
    ("Gave up and came back", _count("attempts", "came_back")),
    ("Still trying", _count("attempts", "open")),
    ("Cannot be told", _count("attempts", "cannot_tell")),
    ("Waited longer, in all", _waited),
    ("Of people's time, could be used", _uptime),
    ("Never even tried", _interval("lost_attempts")),
    ("More than usual not back", _interval("not_returned")),
)
