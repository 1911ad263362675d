"""The published facts of an instant: everything that the pages say, read once."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Prefetch, Q
from django.urls import reverse
from django.utils.safestring import SafeString

from apps.accounts.models import Role, User
from apps.analytics.results import CLASSES
from apps.analytics.story import K_ANONYMOUS
from apps.catalog.models import Service
from apps.core.notices import Notice
from apps.core.templatetags.portal import markdown
from apps.customers.models import Contact, Customer
from apps.guidance import defaults
from apps.guidance.models import Advice
from apps.guidance.queries import Advices, Problem, advices, known_problems
from apps.impact.models import CustomerImpact
from apps.impact.telling import Words, to_them
from apps.incidents import models as incidents
from apps.incidents.models import LIVE, IncidentRun, State, Update, Visibility
from apps.statuspage.models import CustomerReport

HISTORY = timedelta(days=90)
HIT_GRADES = ("hit", "partly_hit", "slowed")
GRADES = {
    "hit": "Hit",
    "partly_hit": "Partly hit",
    "slowed": "Slowed",
    "not_hit": "Not hit",
    "cannot_tell": "Cannot tell",
    "": "Not measured yet",
}


@dataclass(frozen=True, kw_only=True)
class Word:
    """One published update."""

    at: datetime
    state: str
    text: str
    advice: str
    next_update_at: datetime | None

    @cached_property
    def html(self) -> SafeString:
        """The text as the incident room previews it; the same on every customer's page, so made once."""
        return markdown(self.text)

    @cached_property
    def advice_html(self) -> SafeString:
        """The advice likewise."""
        return markdown(self.advice)

    @property
    def label(self) -> str:
        """The incident's state as of this update, in words."""
        return State(self.state).label


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A published incident. What it says comes from its updates, so that every channel says the same."""

    pk: int
    reference: str
    title: str
    cannot: str
    public: bool  # False: only customers hit by it read of it
    services: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    words: tuple[Word, ...]  # newest first, at least one
    late: bool  # we said when the next word comes, and it has not come

    @property
    def last(self) -> Word:
        """Our newest word."""
        return self.words[0]

    @property
    def state(self) -> str:
        """Its state, as last published."""
        return self.last.state

    @property
    def live(self) -> bool:
        """Whether it is going on, as last published."""
        return self.state in LIVE

    @property
    def since(self) -> datetime:
        """When we first said so."""
        return self.words[-1].at

    @property
    def over_at(self) -> datetime:
        """When it ended; the time of the word that said so where nobody measured it."""
        return self.ended_at or self.last.at

    @property
    def advice(self) -> str:
        """What customers should do: the newest word that says it."""
        return next((word.advice for word in self.words if word.advice), "")

    @property
    def advice_html(self) -> SafeString | str:
        """The same, to be shown."""
        return next((word.advice_html for word in self.words if word.advice), "")


@dataclass(frozen=True, kw_only=True)
class Hit:
    """What an incident did to one customer, by the latest snapshot."""

    grade: str
    told: tuple[Any, ...]  # the facts of it, as the snapshot keeps them
    kept: tuple[str, ...]  # its sentences in English
    language: str
    zone: str
    attempts: dict[str, int] | None  # by class; None where fewer than five people are behind a part
    requests: tuple[int, int]  # failed, of all
    start: datetime
    end: datetime
    as_of: datetime
    provisional: bool

    @cached_property
    def story(self) -> Words:
        """What happened to them, in their language: made only for a page that is made anew."""
        return to_them(self.told, self.kept, language=self.language, zone=self.zone)

    @property
    def label(self) -> str:
        """The grade in words."""
        return GRADES.get(self.grade, GRADES["cannot_tell"])


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A customer who has a page of their own, and what hit them, by incident."""

    pk: int
    name: str
    kind: str
    several: bool  # somebody here reads for other customers as well
    hits: dict[int, Hit]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that the pages say."""

    now: datetime
    services: tuple[str, ...]
    incidents: tuple[Incident, ...]  # newest first, public and not
    measured: tuple[int, ...]  # incidents that have a snapshot
    readers: tuple[Reader, ...]
    advices: Advices
    problems: tuple[Problem, ...]

    @property
    def public(self) -> list[Incident]:
        """Incidents that everyone may read of."""
        return [incident for incident in self.incidents if incident.public]

    def for_reader(self, reader: Reader) -> list[Incident]:
        """Incidents that a customer may read of: the public ones, and those that hit them."""
        return [
            incident
            for incident in self.incidents
            if incident.public
            or ((hit := reader.hits.get(incident.pk)) and hit.grade in HIT_GRADES)
        ]

    def fingerprint(self) -> str:
        """Return a hash of all that the pages say, whenever it is said (but for the day)."""
        told = (
            settings.VERSION,
            settings.PORTAL_NAME,
            settings.PORTAL_URL,
            self.now.date(),
            [getattr(self, f.name) for f in fields(self) if f.name not in {"now", "advices"}],
            [_told(advice) for advice in self.advices.each()],
        )
        return hashlib.sha256(repr(told).encode()).hexdigest()


def _told(advice: Advice) -> dict[str, Any]:
    return {f.name: getattr(advice, f.attname) for f in Advice._meta.concrete_fields}  # noqa: SLF001  (Django documents it)


@contextmanager
def one_reading() -> Iterator[None]:
    """Make all reads inside see the same instant of the database, and write nothing."""
    with transaction.atomic():
        # Inside somebody's transaction (a test's) the level is theirs to choose.
        if len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def facts(*, now: datetime) -> Facts:
    """Read everything that the pages of `now` say, in a fixed number of queries."""
    found = _incidents(now=now)
    snapshots = _latest_snapshots(found)
    return Facts(
        now=now,
        services=tuple(
            Service.objects.filter(public=True, proposed=False)
            .order_by("name", "pk")
            .values_list("name", flat=True)
        ),
        incidents=tuple(found),
        measured=tuple(sorted(set(snapshots.values()))),
        readers=tuple(_readers(snapshots)),
        advices=advices(),
        problems=tuple(known_problems()),
    )


def customer_of(user: User, wanted: int | None = None) -> Customer | None:
    """Return the customer whose page `user` reads: the wanted one if they may, else their first."""
    mine = Customer.objects.visible_to(user).order_by("name", "pk")
    if wanted is not None and (found := mine.filter(pk=wanted).first()):
        return found
    return mine.first() if user.role == Role.CUSTOMER else None


def unseen_reports(user: User) -> Notice | None:
    """Return how many customers of this person see something else than we show, while nobody has read it."""
    mine = Customer.objects.visible_to(user)
    unseen = CustomerReport.objects.filter(customer__in=mine, seen_at=None)
    count = unseen.values("customer").distinct().count()
    if not count:
        return None
    who = "1 customer does" if count == 1 else f"{count:,} customers do"
    return Notice(
        f"{who} not see what our page says", reverse("statuspage:reports"), "Read what they see"
    )


def _incidents(*, now: datetime) -> list[Incident]:
    published = Update.objects.filter(published_at__isnull=False).order_by("-published_at", "-pk")
    rows = (
        incidents.Incident.objects.filter(updates__published_at__isnull=False)
        .exclude(Q(state=State.DISMISSED) | Q(visibility=Visibility.INTERNAL))
        .distinct()
        .order_by("-started_at", "-pk")
        .prefetch_related(
            Prefetch("updates", queryset=published, to_attr="said"),
            Prefetch(
                "services",
                queryset=Service.objects.filter(public=True).order_by("name", "pk"),
                to_attr="named",
            ),
        )
    )
    return [_incident(row, now=now) for row in rows]


def _incident(row: Any, *, now: datetime) -> Incident:
    words = tuple(
        Word(
            at=update.published_at,
            state=update.state,
            text=update.text,
            advice=update.advice,
            next_update_at=update.next_update_at,
        )
        for update in row.said
    )
    due = words[0].next_update_at
    live = words[0].state in LIVE
    return Incident(
        pk=row.pk,
        reference=row.reference,
        title=row.title,
        cannot=row.cannot,
        public=row.visibility == Visibility.PUBLIC,
        services=tuple(service.name for service in row.named),
        started_at=row.started_at,
        ended_at=None if live else row.ended_at,
        words=words,
        late=live and due is not None and due < now,
    )


def _latest_snapshots(found: list[Incident]) -> dict[int, int]:
    """Return snapshot -> incident, for the newest snapshot of each that a whole run ended in."""
    runs = (
        IncidentRun.objects.filter(
            incident__in=[incident.pk for incident in found],
            run__snapshot__isnull=False,
            run__light=False,
        )
        .order_by("run__snapshot__created_at", "run__snapshot__pk")
        .values_list("incident_id", "run__snapshot__pk")
    )
    return {snapshot: incident for incident, snapshot in dict(runs).items()}


def _readers(snapshots: dict[int, int]) -> Iterator[Reader]:
    hits: dict[int, dict[int, Hit]] = {}
    for row in _impacts(snapshots):
        hits.setdefault(row["customer_id"], {})[snapshots[row["snapshot_id"]]] = _hit(row)
    several = set(
        Contact.objects.filter(
            user__in=Contact.objects.filter(user__isnull=False)
            .values("user")
            .annotate(n=Count("customer", distinct=True))
            .filter(n__gt=1)
            .values("user")
        ).values_list("customer_id", flat=True)
    )
    customers = (
        Customer.objects.filter(pk__in=Contact.objects.values("customer"))
        .order_by("pk")
        .values_list("pk", "name", "kind")
    )
    for pk, name, kind in customers:
        yield Reader(pk=pk, name=name, kind=kind, several=pk in several, hits=hits.get(pk, {}))


def _impacts(snapshots: dict[int, int]) -> Iterable[Any]:
    # Only the parts that a customer reads: a whole result may be large.
    return (
        CustomerImpact.objects.filter(
            snapshot__in=snapshots, customer__in=Contact.objects.values("customer")
        )
        .order_by("pk")
        .values(
            "customer_id",
            "snapshot_id",
            "grade",
            "story",
            "result__attempts",
            "result__people",
            "result__requests",
            "result__facts",
            language=F("customer__language"),
            zone=F("customer__time_zone"),
            as_of=F("snapshot__as_of"),
            provisional=F("snapshot__provisional"),
            window_from=F("snapshot__run__window_from"),
            window_to=F("snapshot__run__window_to"),
        )
    )


def _hit(row: dict[str, Any]) -> Hit:
    requests = row["result__requests"] or {}
    return Hit(
        grade=row["grade"],
        told=tuple(row["result__facts"] or ()),
        kept=tuple(str(sentence) for sentence in row["story"]),
        language=row["language"],
        zone=row["zone"],
        attempts=_attempts(row["result__attempts"] or {}, row["result__people"] or {}),
        requests=(int(requests.get("failed") or 0), int(requests.get("total") or 0)),
        start=row["window_from"],
        end=row["window_to"],
        as_of=row["as_of"],
        provisional=row["provisional"],
    )


def _attempts(attempts: dict[str, Any], people: dict[str, Any]) -> dict[str, int] | None:
    """Return their attempts by how they ended; None where a part is of fewer than five people."""
    counts = {name: int(attempts.get(name) or 0) for name in CLASSES}
    parts = [name for name, n in counts.items() if n]
    if not parts or counts["cannot_tell"]:
        return None
    if any(int(people.get(name) or 0) < K_ANONYMOUS for name in parts):
        return None
    return counts


def error_advice(found: Facts, code: str, kind: str) -> tuple[Advice, int]:
    """Return what the error page says and its status: 404 where nobody wrote about the code."""
    advice = found.advices.about(code, kind)
    return (advice, 200) if advice else (defaults.general(), 404)
