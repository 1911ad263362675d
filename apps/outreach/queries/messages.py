"""Reads of messages: what to propose, what went stale, who may approve, the list."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery

from apps.accounts.models import PERMISSIONS, Role, User
from apps.customers.models import Contact, Customer, Kind
from apps.customers.models import Purpose as ContactPurpose
from apps.impact.models import CustomerImpact, ImpactSnapshot
from apps.incidents.models import LIVE, Incident, Update
from apps.incidents.models import State as IncidentState
from apps.outreach.models import (
    TAKEN,
    Approval,
    Delivery,
    DeliveryState,
    Outreach,
    Purpose,
    State,
)

#: Kinds of customers that a person writes to; consumers are told by the status page.
WRITTEN_TO = (Kind.BUSINESS, Kind.INTERNAL)


def reachable(customer: Customer) -> list[Contact]:
    """Return the contacts a draft goes to: operations; where there is none, executives; else anyone.

    Never one who asked not to be contacted. Uses prefetched contacts where there are some.
    """
    willing = [one for one in customer.contacts.all() if not one.do_not_contact]
    for purpose in (ContactPurpose.OPERATIONS, ContactPurpose.EXECUTIVE):
        if chosen := [one for one in willing if one.purpose == purpose]:
            return chosen
    return willing


def latest_snapshot(incident: Any) -> QuerySet[ImpactSnapshot]:
    """Return the newest snapshot of an incident as a QuerySet of at most one (for a Subquery too).

    Only of whole runs: with one a minute, every approval would be stale as soon as it is given.
    """
    return ImpactSnapshot.objects.filter(
        run__incident_run__incident=incident, run__light=False
    ).order_by("-pk")[:1]


def with_snapshot(incidents: QuerySet[Incident]) -> QuerySet[Any]:
    """Annotate `snapshot_id`, that of the newest snapshot of each incident (None: none yet)."""
    newest = latest_snapshot(OuterRef("pk"))
    return incidents.annotate(snapshot_id=Subquery(newest.values("pk")))


def latest_update(incident: Incident) -> Update | None:
    """Return the update that customers read now."""
    return (
        incident.updates.filter(published_at__isnull=False).order_by("-published_at", "-pk").first()
    )


def latest_impacts(
    *, incidents: Iterable[int], customers: Iterable[int]
) -> dict[tuple[int, int], CustomerImpact]:
    """Return each customer's entry in the newest whole run's snapshot that has them, by (incident, customer)."""
    rows: QuerySet[Any] = (
        CustomerImpact.objects.filter(
            snapshot__run__incident_run__incident__in=set(incidents),
            snapshot__run__light=False,
            customer__in=set(customers),
        )
        .annotate(incident_id=F("snapshot__run__incident_run__incident"))
        .select_related("snapshot")
        .defer("snapshot__result", "snapshot__overall", "result")
        .order_by("incident_id", "customer_id", "-snapshot_id")
        .distinct("incident_id", "customer_id")
    )
    return {(row.incident_id, row.customer_id): row for row in rows}


@dataclass(frozen=True)
class Freshness:
    """How what a message says compares with what is known."""

    changed: str = ""  # why nobody may approve or send it as it is; empty while one may
    # Their entry in a later snapshot, when it says something else: true as of another moment.
    newer: CustomerImpact | None = None

    def since(self, approval: Approval | None) -> str:
        """Return why an approval no longer stands, empty while it does."""
        known = (approval.newest_snapshot_id if approval else None) or 0
        if self.newer and self.newer.snapshot_id > known:
            return f"{self.changed} Their numbers have changed since it was approved.".strip()
        return self.changed


def freshness(outreach: Outreach) -> Freshness:
    """Compare one message (its incident loaded) with what is known."""
    return freshness_of([outreach])[outreach.pk]


def freshness_of(rows: Sequence[Outreach]) -> dict[int, Freshness]:
    """Compare many messages (incident loaded) with what is known, by primary key, in two queries."""
    latest = latest_impacts(
        incidents=(row.incident_id for row in rows), customers=(row.customer_id for row in rows)
    )
    stories = CustomerImpact.objects.filter(
        snapshot__in={row.snapshot_id for row in rows if row.snapshot_id},
        customer__in={row.customer_id for row in rows},
    ).values_list("snapshot_id", "customer_id", "story")
    written_from = {(snapshot, customer): story for snapshot, customer, story in stories}
    found = {}
    for row in rows:
        changed = ""
        if row.incident.version != row.incident_version:
            state = row.incident.get_state_display().lower()
            changed = f"The incident has changed since this was written; it is {state} now."
        impact = latest.get((row.incident_id, row.customer_id))
        story = written_from.get((row.snapshot_id or 0, row.customer_id))
        is_newer = impact and impact.snapshot_id != row.snapshot_id and impact.story != story
        found[row.pk] = Freshness(changed, impact if is_newer else None)
    return found


def incidents_to_tell(*, resolved_after: datetime) -> QuerySet[Any]:
    """Return incidents that customers are to hear of, with `snapshot_id`."""
    published = Update.objects.filter(incident=OuterRef("pk"), published_at__isnull=False)
    return (
        with_snapshot(Incident.objects.all())
        .filter(
            Q(state__in=LIVE) | Q(state=IncidentState.RESOLVED, resolved_at__gte=resolved_after)
        )
        .exclude(visibility="internal")
        .filter(Exists(published), snapshot_id__isnull=False)
    )


def customers_to_write_to(incident: Incident, *, snapshot: int) -> QuerySet[Customer]:
    """Return the customers that a snapshot says were hit and that no message is for yet."""
    hit = CustomerImpact.objects.hit().filter(snapshot=snapshot)
    written = Outreach.objects.filter(incident=incident, purpose=Purpose.IMPACT)
    return (
        Customer.objects.filter(kind__in=WRITTEN_TO, pk__in=hit.values("customer"))
        .exclude(pk__in=written.values("customer"))
        .select_related("account_manager")
        .prefetch_related("contacts")
        .order_by("pk")
    )


@dataclass(frozen=True)
class CallThem:
    """A customer that was hit and that no mail can reach."""

    customer: Customer
    incident: Incident


def to_call(user: User) -> list[CallThem]:
    """Return whom somebody must call: hit by an open incident, with nobody whom we may mail."""
    willing = Contact.objects.filter(customer=OuterRef("pk"), do_not_contact=False)
    incidents = with_snapshot(Incident.objects.open()).exclude(visibility="internal")
    by_snapshot = {one.snapshot_id: one for one in incidents if one.snapshot_id}
    if not by_snapshot:
        return []
    rows = (
        CustomerImpact.objects.hit()
        .filter(
            snapshot__in=by_snapshot,
            customer__in=Customer.objects.visible_to(user)
            .filter(kind__in=WRITTEN_TO)
            .exclude(Exists(willing)),
        )
        .select_related("customer")
        .defer("result", "story")
        .order_by("customer__name", "pk")
    )
    return [CallThem(row.customer, by_snapshot[row.snapshot_id]) for row in rows]


def told(incident: Incident) -> dict[int, set[int]]:
    """Return the contacts who were, or may have been, told of `incident`, by customer."""
    rows = Delivery.objects.filter(
        outreach__incident=incident,
        outreach__purpose=Purpose.IMPACT,
        state__in=[*TAKEN, DeliveryState.UNKNOWN],
        contact__isnull=False,
    ).values_list("contact__customer", "contact")
    found: dict[int, set[int]] = defaultdict(set)
    for customer, contact in rows:
        found[customer].add(contact)
    return found


def standing_approval(outreach: Outreach) -> Approval | None:
    """Return the approval given last."""
    return outreach.approvals.select_related("approver").order_by("-at", "-pk").first()


def earlier_message_ids(*, incident: int, addresses: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids of mails about an incident that reached each address (lower case), oldest first."""
    wanted = {address.lower() for address in addresses}
    rows = (
        Delivery.objects.filter(outreach__incident=incident, state__in=TAKEN)
        .order_by("accepted_at", "pk")
        .values_list("email", "message_id")
    )
    found: dict[str, list[str]] = defaultdict(list)
    for address, message_id in rows:
        if address.lower() in wanted:
            found[address.lower()].append(message_id)
    return found


def who_can_approve(outreach: Outreach) -> list[User]:
    """Return the people who may approve `outreach`: permitted, seeing its customer, not its writers."""
    writers = {outreach.author_id, outreach.edited_by_id}
    people = User.objects.filter(is_active=True, role__in=PERMISSIONS["outreach.approve"]).order_by(
        "name", "pk"
    )
    return [
        one
        for one in people
        if one.pk not in writers
        and (one.role != Role.ACCOUNT_MANAGER or outreach.customer.account_manager_id == one.pk)
    ]


#: The tabs of the outreach list: name, heading, the states in it.
TABS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "proposed": ("Proposed", (State.DRAFT, State.STALE)),
    "drafts": ("Drafts", (State.DRAFT, State.STALE, State.EXPIRED)),
    "review": ("In review", (State.IN_REVIEW,)),
    "sending": ("Sending", (State.APPROVED, State.SENDING, State.PAUSED)),
    "sent": ("Sent", (State.SENT,)),
    "closed": ("Closed", (State.CLOSED,)),
}


def tab_filter(tab: str) -> Q:
    """Return which messages a tab shows; proposed are the machine's, drafts are people's."""
    states = Q(state__in=TABS[tab][1])
    if tab == "proposed":
        return states & Q(author=None)
    if tab == "drafts":
        return states & (Q(author__isnull=False) | Q(state=State.EXPIRED))
    return states


def tab_counts(user: User) -> dict[str, int]:
    """Return how many messages `user` finds under each tab, in one query."""
    return Outreach.objects.visible_to(user).aggregate(
        **{tab: Count("pk", filter=tab_filter(tab)) for tab in TABS}
    )


def latest_mail_to(customer: Customer) -> datetime | None:
    """Return when a mail server last took a mail from us to anybody at `customer`."""
    return (
        Delivery.objects.filter(outreach__customer=customer, accepted_at__isnull=False)
        .order_by("-accepted_at")
        .values_list("accepted_at", flat=True)
        .first()
    )


def outreach_list(user: User, *, tab: str) -> QuerySet[Outreach]:
    """Return the messages of one tab, with what a row of the list shows."""
    taken = Count("deliveries", filter=Q(deliveries__state__in=TAKEN))
    unknown = Count("deliveries", filter=Q(deliveries__state=DeliveryState.UNKNOWN))
    return (
        Outreach.objects.visible_to(user)
        .filter(tab_filter(tab))
        .select_related("customer", "incident", "author")
        .annotate(rows=Count("deliveries"), taken=taken, unknown=unknown)
        .order_by("-changed_at", "-pk")
    )
