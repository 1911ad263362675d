"""Reads of advice, and of what is known to be wrong right now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Subquery

from apps.customers.models import Kind
from apps.guidance import defaults
from apps.guidance.codes import family
from apps.guidance.models import Advice
from apps.incidents.models import LIVE, Incident, Update

KINDS = ("", *Kind.values)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A public incident that is going on, as last published."""

    reference: str
    title: str
    since: datetime  # when we first said so
    next_update_at: datetime | None


class Advices:
    """All advice, for many questions: what staff wrote first, then what comes with the portal."""

    def __init__(self, written: Iterable[Advice]) -> None:
        self._written = {(advice.code, advice.kind): advice for advice in written}
        self._default = {(advice.code, advice.kind): advice for advice in defaults.all_defaults()}

    @property
    def codes(self) -> list[str]:
        """Every code that somebody wrote about."""
        return sorted({code for code, _ in (*self._written, *self._default)})

    def about(self, code: str, kind: str) -> Advice | None:
        """Return the nearest advice: on the code before its class, ours before the portal's, kind before any."""
        for name in family(code):
            for shelf in (self._written, self._default):
                for whose in (kind, ""):
                    if found := shelf.get((name, whose)):
                        return found
        return None

    def each(self) -> list[Advice]:
        """Return one row per code and kind that somebody wrote about, staff's own in place of defaults."""
        rows: Mapping[tuple[str, str], Advice] = {**self._default, **self._written}
        return [rows[key] for key in sorted(rows)]


def advices() -> Advices:
    """Return all advice, in one query."""
    return Advices(Advice.objects.select_related("author"))


def advice_for(code: str, kind: str = "") -> Advice | None:
    """Return what `kind` of customer should do about `code`; None where nobody wrote about it.

    The advice may be one that comes with the portal and has no row.
    """
    return Advices(Advice.objects.filter(code__in=family(code))).about(code, kind)


def known_problems() -> list[Problem]:
    """Return the public incidents that by our last published word are going on, newest first."""
    said = Update.objects.filter(incident=OuterRef("pk"), published_at__isnull=False)
    newest = said.order_by("-published_at", "-pk")
    rows = (
        Incident.objects.public()
        .annotate(
            said_state=Subquery(newest.values("state")[:1]),
            said_next=Subquery(newest.values("next_update_at")[:1]),
            said_first=Subquery(said.order_by("published_at", "pk").values("published_at")[:1]),
        )
        .filter(said_state__in=LIVE)
        .order_by("-started_at", "-pk")
    )
    return [
        Problem(
            reference=incident.reference,
            title=incident.title,
            since=first,
            next_update_at=due,
        )
        for incident, first, due in ((row, row.said_first, row.said_next) for row in rows)  # type: ignore[attr-defined]
    ]
