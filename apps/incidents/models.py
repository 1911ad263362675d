"""Incidents, updates, severity and the timeline."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models

from apps.accounts.models import User
from apps.catalog.models import Journey, Service
from apps.core.claims import Claimable
from apps.customers.models import Customer, Kind
from apps.impact.models import ImpactRun, ImpactSnapshot


class State(models.TextChoices):
    """investigating → identified → monitoring → resolved → reviewed; resolved → reopened; or dismissed."""

    INVESTIGATING = "investigating", "Investigating"
    IDENTIFIED = "identified", "Identified"
    MONITORING = "monitoring", "Monitoring"
    RESOLVED = "resolved", "Resolved"
    REVIEWED = "reviewed", "Reviewed"
    REOPENED = "reopened", "Reopened"
    DISMISSED = "dismissed", "Dismissed"


LIVE = (State.INVESTIGATING, State.IDENTIFIED, State.MONITORING, State.REOPENED)

#: state -> the states it may go to.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    **{
        state: (*[s for s in LIVE[:3] if s != state], State.RESOLVED, State.DISMISSED)
        for state in LIVE
    },
    State.RESOLVED: (State.REOPENED, State.REVIEWED),
    State.REVIEWED: (State.REOPENED,),
    State.DISMISSED: (State.REOPENED,),
}


class Visibility(models.TextChoices):
    """Who may read of it."""

    PUBLIC = "public", "Everyone"
    AFFECTED = "affected", "Customers hit by it"
    INTERNAL = "internal", "Staff only"


class Fault(models.TextChoices):
    """Whose fault it is; we tell customers whosever it is."""

    UNKNOWN = "unknown", "Not known yet"
    OURS = "ours", "Ours"
    SUPPLIER = "supplier", "A supplier's"
    CUSTOMER = "customer", "A customer's"


class IncidentQuerySet(models.QuerySet["Incident"]):
    """Reads of incidents."""

    def open(self) -> Self:
        """Incidents that are still going on."""
        return self.filter(state__in=LIVE)

    def public(self) -> Self:
        """Incidents that everyone may read of: public, not dismissed, with a published update."""
        return (
            self.filter(visibility=Visibility.PUBLIC, updates__published_at__isnull=False)
            .exclude(state=State.DISMISSED)
            .distinct()
        )

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Staff and account managers see all; everyone else what is public."""
        if isinstance(user, User) and user.can("console"):
            return self
        return self.public()


class Incident(models.Model):
    """What went wrong for customers, whosever fault."""

    title = models.CharField(max_length=200)
    state = models.CharField(max_length=20, choices=State, default=State.INVESTIGATING)
    visibility = models.CharField(max_length=20, choices=Visibility, default=Visibility.PUBLIC)
    fault = models.CharField(max_length=20, choices=Fault, default=Fault.UNKNOWN)
    # What customers cannot do, in their words.
    cannot = models.CharField(max_length=300, blank=True)
    services = models.ManyToManyField(Service, related_name="incidents", blank=True)
    started_at = models.DateTimeField()  # the first failure
    ended_at = models.DateTimeField(null=True, blank=True)  # the last
    declared_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    next_update_at = models.DateTimeField(null=True, blank=True)
    declared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="declared_incidents"
    )
    lead = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="led_incidents",
    )
    liaison = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="liaised_incidents",
    )
    # Raised by every change that customers could notice: an approval given for an older version is stale.
    version = models.PositiveIntegerField(default=1)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        indexes = [
            # Today and the status page ask for the open ones, newest first.
            models.Index(fields=["state", "-started_at"], name="incident_open"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=State.values), name="incident_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at=None) | models.Q(ended_at__gte=models.F("started_at")),
                name="incident_ends_after_start",
                violation_error_message="The end must not be before the start.",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def reference(self) -> str:
        """The short name people say and mail subjects carry."""
        return f"INC-{self.pk}"

    @property
    def lasted(self) -> timedelta | None:
        """From the first failure to the last; None while it is not over."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def is_live(self) -> bool:
        """Whether it is still going on."""
        return self.state in LIVE


class IncidentRun(models.Model):
    """Which impact runs were asked for by which incident."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="runs")
    run = models.OneToOneField(ImpactRun, on_delete=models.PROTECT, related_name="incident_run")
    settled_at = models.DateTimeField(
        null=True, blank=True
    )  # when the incident took note of the snapshot
    # What `severity.by_kind` makes of the snapshot, {kind: [level, reason]}; None until it was taken note of.
    proposals = models.JSONField(null=True, blank=True)

    class Meta:
        indexes = [
            # The sweep asks which finished runs the incident has not taken note of.
            models.Index(
                fields=["id"], name="incident_run_unsettled", condition=models.Q(settled_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident.reference}: {self.run}"


class Severity(models.Model):
    """How bad it is for one kind of customer, 1 (worst) to 4; proposed from measured impact."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="severities")
    kind = models.CharField(max_length=20, choices=Kind)
    level = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=300)
    snapshot = models.ForeignKey(
        ImpactSnapshot, null=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("incident", "kind", name="severity_once_per_kind"),
            models.CheckConstraint(condition=models.Q(level__range=(1, 4)), name="severity_level"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.level}"


class Update(models.Model):
    """One message about an incident. A draft can be changed; once published, the database refuses."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="updates")
    state = models.CharField(max_length=20, choices=State)  # the incident's state as of this update
    text = models.TextField()
    # "Do you need to act?", answered.
    advice = models.TextField(blank=True)
    next_update_at = models.DateTimeField(null=True, blank=True)
    snapshot = models.ForeignKey(
        ImpactSnapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="authored_updates"
    )
    created_at = models.DateTimeField()
    # Raised by every change of the draft: only what was read can be published.
    revision = models.PositiveIntegerField(default=1)
    published_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="published_updates",
    )

    class Meta:
        indexes = [models.Index(fields=["incident", "-published_at"], name="incident_updates")]
        constraints = [
            models.UniqueConstraint(
                "incident",
                condition=models.Q(published_at=None),
                name="incident_one_draft",
                violation_error_message="This incident already has a draft update.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.incident}: {self.text[:60]}"


class TimelineEvent(models.Model):
    """What happened when, for the room and the review. Append-only, enforced by the database."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="timeline")
    at = models.DateTimeField()
    # declared, state, update, edit, snapshot, severity, note (by the apps above: may name customers)
    kind = models.CharField(max_length=20)
    text = models.CharField(max_length=500)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)

    class Meta:
        indexes = [models.Index(fields=["incident", "-at"], name="incident_timeline")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M} {self.text}"


class CountState(models.TextChoices):
    """queued → running → done | failed, and again."""

    QUEUED = "queued", "Waiting for a worker"
    RUNNING = "running", "Counting"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class SystemCount(Claimable):
    """The count behind the system map: one row. Each count replaces all flows; none is ever added to."""

    state = models.CharField(max_length=10, choices=CountState, default=CountState.DONE)
    # What was counted: data, journeys and customers. Another basis asks for another count.
    basis = models.CharField(max_length=200, blank=True)
    window_from = models.DateTimeField(null=True)
    window_to = models.DateTimeField(null=True)
    customers = models.JSONField(default=dict)  # kind -> customers that were seen
    error = models.CharField(max_length=500, blank=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"count to {self.window_to:%d %b %H:%M}" if self.window_to else "not counted yet"


class Flow(models.Model):
    """Requests of a customer to a service in the counted day, by journey."""

    # None: one of many of this kind, or (kind "") nobody we can name.
    customer = models.ForeignKey(Customer, null=True, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind, blank=True)
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+")
    journey = models.ForeignKey(Journey, null=True, on_delete=models.SET_NULL, related_name="+")
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.customer_id or self.kind or 'unnamed'} → {self.service_id}: {self.requests}"
