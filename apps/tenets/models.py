"""Tenets, their versions and clauses. Only a draft can be changed; the database refuses everything else."""

from datetime import datetime
from typing import Self
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Customer, Kind


class Tenet(models.Model):
    """A promise to a kind of customer about a service, through all its versions."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="tenets")
    kind = models.CharField(max_length=20, choices=Kind)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)

    def __str__(self) -> str:
        return self.name


class VersionState(models.TextChoices):
    """draft → in review → active → superseded | withdrawn."""

    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    ACTIVE = "active", "Active"
    SUPERSEDED = "superseded", "Superseded"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Audience(models.TextChoices):
    """Who may read a promise."""

    PUBLIC = "public", "Everybody"
    CLASS = "class", "Customers of this kind"
    NAMED = "named", "Named customers"
    INTERNAL = "internal", "Colleagues only"


class TenetVersionQuerySet(models.QuerySet["TenetVersion"]):
    """The reads of versions."""

    def active(self) -> Self:
        """Return what is promised now."""
        return self.filter(state=VersionState.ACTIVE)

    def promised_to(self, customer: Customer) -> Self:
        """Return what is promised to this customer now: to its kind, or to it by name."""
        return (
            self.active()
            .filter(tenet__kind=customer.kind)
            .filter(~Q(audience=Audience.NAMED) | Q(pk__in=customer.named_in.values("pk")))
        )


class TenetVersion(models.Model):
    """One wording of a tenet, valid from one instant to another."""

    tenet = models.ForeignKey(Tenet, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=VersionState, default=VersionState.DRAFT)
    promise = models.TextField()
    rationale = models.TextField(blank=True)
    audience = models.CharField(max_length=20, choices=Audience, default=Audience.CLASS)
    customers = models.ManyToManyField(Customer, blank=True, related_name="named_in")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="owned_tenets",
    )
    review_by = models.DateField(null=True, blank=True)
    review_every_months = models.PositiveSmallIntegerField(null=True, blank=True)
    change_note = models.CharField(max_length=300, blank=True)
    # Of promise, rationale, audience and clauses, from when they stand still (tenets.content).
    content_sha256 = models.CharField(max_length=64, blank=True)
    # What an imported file said that has no place here, kept for the way back (tenets.openslo).
    extra = models.JSONField(default=dict, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="authored_tenets",
    )
    approver = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="approved_tenets",
    )

    objects = TenetVersionQuerySet.as_manager()

    class Meta:
        # Migration 0005 adds that no two versions of a tenet are valid at the same instant.
        constraints = [
            models.UniqueConstraint("tenet", "number", name="tenet_version_number"),
            models.UniqueConstraint(
                "tenet",
                condition=Q(state=VersionState.ACTIVE),
                name="tenet_one_active_version",
                violation_error_message="This tenet already has an active version.",
            ),
            models.CheckConstraint(
                condition=~Q(state=VersionState.ACTIVE)
                | Q(valid_from__isnull=False, valid_to=None),
                name="tenet_active_has_begun",
            ),
            models.CheckConstraint(
                condition=~Q(state=VersionState.SUPERSEDED)
                | Q(valid_from__isnull=False, valid_to__isnull=False),
                name="tenet_superseded_has_ended",
            ),
            models.CheckConstraint(
                condition=Q(valid_to=None) | Q(valid_to__gte=F("valid_from")),
                name="tenet_ends_after_it_began",
            ),
            models.CheckConstraint(
                condition=Q(approver=None) | Q(author=None) | ~Q(approver=F("author")),
                name="tenet_approved_by_another",
                violation_error_message="Who wrote a version cannot approve it.",
            ),
            models.CheckConstraint(
                condition=Q(audience__in=Audience.values), name="tenet_audience_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenet} v{self.number}"


class ClauseKind(models.TextChoices):
    """How a clause is measured."""

    BUDGET = "budget", "Budget: a share must go well"
    INVARIANT = "invariant", "Invariant: never more than so often"
    FRESHNESS = "freshness", "Latency or freshness: done within a time"
    NOTICE = "notice", "Notice: told within a time"
    RECOVERY = "recovery", "Recovery: working again within a time"


class Dimension(models.TextChoices):
    """What a clause is about."""

    OUTAGE = "outage", "Outage"
    ERROR = "error", "Error"
    DELAY = "delay", "Delay"
    LOSS = "loss", "Loss"
    DUPLICATE = "duplicate", "Duplicate"
    STALENESS = "staleness", "Staleness"
    COMMUNICATION = "communication", "Communication"


class Operator(models.TextChoices):
    """How a measured value compares with the clause's."""

    LT = "lt", "below"
    LTE = "lte", "at most"
    GT = "gt", "above"
    GTE = "gte", "at least"


class Budgeting(models.TextChoices):
    """What a budget counts."""

    OCCURRENCES = "occurrences", "Attempts"
    TIMESLICES = "timeslices", "Slices of time that went well"
    RATIO_TIMESLICES = "ratio_timeslices", "The average over slices of time"


class WindowUnit(models.TextChoices):
    """The unit of a window, written as in OpenSLO."""

    MINUTE = "m", "minutes"
    HOUR = "h", "hours"
    DAY = "d", "days"
    WEEK = "w", "weeks"
    MONTH = "M", "months"
    QUARTER = "Q", "quarters"
    YEAR = "Y", "years"


#: How a calendar window's beginning is written; it is local to the window's time zone.
LOCAL = "%Y-%m-%d %H:%M:%S"
#: Rolling windows have units of one length; calendar windows begin on a day.
ROLLING_UNITS = ("m", "h", "d", "w")
CALENDAR_UNITS = ("d", "w", "M", "Q", "Y")
#: Kinds that are about a time: of a wait, until somebody is told, until it works again.
TIMED = (ClauseKind.FRESHNESS, ClauseKind.NOTICE, ClauseKind.RECOVERY)


def is_local(text: str) -> bool:
    """Whether a calendar's beginning is written as it should be."""
    try:
        datetime.strptime(text, LOCAL)  # noqa: DTZ007  (local on purpose)
    except ValueError:
        return False
    return True


_SHARE = Q(target__gte=0, target__lt=1, target__isnull=False)


class Clause(models.Model):
    """A measurable part of a tenet version."""

    version = models.ForeignKey(TenetVersion, on_delete=models.CASCADE, related_name="clauses")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20, choices=ClauseKind, default=ClauseKind.BUDGET)
    dimension = models.CharField(max_length=20, choices=Dimension)
    text = models.CharField(max_length=300)
    journey = models.ForeignKey(Journey, null=True, blank=True, on_delete=models.PROTECT)
    operation = models.ForeignKey(Operation, null=True, blank=True, on_delete=models.PROTECT)
    # The share that must be good, 0..1 exclusive of 1; a budget has one, an invariant none.
    target = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    # How many counter-examples an invariant bears: mostly none.
    max_count = models.PositiveIntegerField(null=True, blank=True)
    # "Within": the longest wait that is still in time.
    threshold_ms = models.PositiveIntegerField(null=True, blank=True)
    # A measured value other than a time, compared with op.
    op = models.CharField(max_length=3, choices=Operator, blank=True)
    value = models.DecimalField(max_digits=20, decimal_places=6, null=True, blank=True)
    unit = models.CharField(max_length=20, blank=True)
    window_count = models.PositiveSmallIntegerField(default=28)
    window_unit = models.CharField(max_length=1, choices=WindowUnit, default=WindowUnit.DAY)
    # A calendar window has a time zone; without one the window is rolling.
    window_zone = models.CharField(max_length=50, blank=True)
    window_start = models.CharField(max_length=19, blank=True)  # local: 2026-01-01 00:00:00
    budgeting = models.CharField(max_length=20, choices=Budgeting, default=Budgeting.OCCURRENCES)
    slice_target = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    slice_minutes = models.PositiveIntegerField(null=True, blank=True)
    min_events = models.PositiveIntegerField(default=20)
    tolerance = models.CharField(max_length=300, blank=True)
    consequence = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint("version", "position", name="clause_place"),
            models.CheckConstraint(
                condition=Q(kind=ClauseKind.INVARIANT, target=None)
                | Q(Q(kind=ClauseKind.BUDGET) & _SHARE)
                | Q(Q(kind__in=TIMED) & (Q(target=None) | _SHARE)),
                name="clause_target_fits_kind",
                violation_error_message=(
                    "A budget has a target from 0 to below 1; an invariant has none."
                ),
            ),
            models.CheckConstraint(
                condition=Q(kind=ClauseKind.INVARIANT, max_count__isnull=False)
                | Q(~Q(kind=ClauseKind.INVARIANT), max_count=None),
                name="clause_count_fits_kind",
                violation_error_message="An invariant says how often at most; nothing else does.",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=TIMED) | Q(threshold_ms__isnull=False, threshold_ms__gte=1),
                name="clause_time_fits_kind",
                violation_error_message=(
                    "Latency or freshness, notice and recovery say within which time."
                ),
            ),
            models.CheckConstraint(
                condition=Q(kind=ClauseKind.NOTICE, dimension=Dimension.COMMUNICATION)
                | Q(~Q(kind=ClauseKind.NOTICE), ~Q(dimension=Dimension.COMMUNICATION)),
                name="clause_notice_is_communication",
                violation_error_message="A notice is about communication, and nothing else is.",
            ),
            models.CheckConstraint(
                condition=Q(op="", value=None)
                | Q(op__in=Operator.values, value__isnull=False, threshold_ms=None),
                name="clause_value_has_operator",
                violation_error_message="A value is compared by an operator, and is not a time too.",
            ),
            models.CheckConstraint(
                condition=Q(budgeting=Budgeting.OCCURRENCES, slice_target=None, slice_minutes=None)
                | Q(
                    ~Q(kind=ClauseKind.INVARIANT),
                    budgeting=Budgeting.TIMESLICES,
                    slice_target__isnull=False,
                    slice_target__gt=0,
                    slice_target__lte=1,
                    slice_minutes__isnull=False,
                    slice_minutes__gte=1,
                )
                | Q(
                    ~Q(kind=ClauseKind.INVARIANT),
                    budgeting=Budgeting.RATIO_TIMESLICES,
                    slice_target=None,
                    slice_minutes__isnull=False,
                    slice_minutes__gte=1,
                ),
                name="clause_slices_fit_budgeting",
                violation_error_message=(
                    "Counting slices needs their length and, for slices that went well, the share"
                    " from which one is good (above 0, at most 1); counting attempts has neither."
                ),
            ),
            models.CheckConstraint(
                condition=Q(
                    window_zone="",
                    window_start="",
                    window_unit__in=ROLLING_UNITS,
                    window_count__gte=1,
                )
                | Q(~Q(window_zone=""), window_unit__in=CALENDAR_UNITS, window_count__gte=1),
                name="clause_window_is_rolling_or_calendar",
                violation_error_message=(
                    "A rolling window is of minutes, hours, days or weeks; a calendar window of days,"
                    " weeks, months, quarters or years in a time zone."
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.text

    def clean(self) -> None:
        """Refuse a calendar that there is not."""
        if self.window_zone and self.window_zone not in available_timezones():
            raise ValidationError(f"There is no time zone {self.window_zone}.")
        if self.window_start and not is_local(self.window_start):
            raise ValidationError("A calendar begins at a local time such as 2026-01-01 00:00:00.")
