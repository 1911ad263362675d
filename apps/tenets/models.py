"""Tenets, their versions and clauses. Only a draft can be changed; the database refuses everything else."""

from django.conf import settings
from django.db import models

from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Kind


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


class TenetVersion(models.Model):
    """One wording of a tenet, valid from one instant to another."""

    tenet = models.ForeignKey(Tenet, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=VersionState, default=VersionState.DRAFT)
    promise = models.TextField()
    rationale = models.TextField(blank=True)
    review_by = models.DateField(null=True, blank=True)
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

    class Meta:
        constraints = [
            models.UniqueConstraint("tenet", "number", name="tenet_version_number"),
            models.UniqueConstraint(
                "tenet",
                condition=models.Q(state=VersionState.ACTIVE),
                name="tenet_one_active_version",
                violation_error_message="This tenet already has an active version.",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=VersionState.ACTIVE)
                | models.Q(valid_from__isnull=False, valid_to=None),
                name="tenet_active_has_begun",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenet} v{self.number}"


class ClauseKind(models.TextChoices):
    """How a clause is measured."""

    BUDGET = "budget", "Budget"
    INVARIANT = "invariant", "Invariant"


class Dimension(models.TextChoices):
    """What a clause is about."""

    OUTAGE = "outage", "Outage"
    ERROR = "error", "Error"
    DELAY = "delay", "Delay"
    LOSS = "loss", "Loss"


class Clause(models.Model):
    """A measurable part of a tenet version: of all attempts at something, the share that must go well."""

    version = models.ForeignKey(TenetVersion, on_delete=models.CASCADE, related_name="clauses")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20, choices=ClauseKind, default=ClauseKind.BUDGET)
    dimension = models.CharField(max_length=20, choices=Dimension)
    text = models.CharField(max_length=300)
    journey = models.ForeignKey(Journey, null=True, blank=True, on_delete=models.PROTECT)
    operation = models.ForeignKey(Operation, null=True, blank=True, on_delete=models.PROTECT)
    # The share that must be good, 0..1 exclusive of 1 for a budget; an invariant has none.
    target = models.DecimalField(max_digits=7, decimal_places=6, null=True, blank=True)
    threshold_ms = models.PositiveIntegerField(null=True, blank=True)
    window_days = models.PositiveSmallIntegerField(default=28)
    min_events = models.PositiveIntegerField(default=20)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint("version", "position", name="clause_place"),
            models.CheckConstraint(
                condition=models.Q(kind=ClauseKind.INVARIANT, target=None)
                | models.Q(
                    kind=ClauseKind.BUDGET, target__isnull=False, target__gte=0, target__lt=1
                ),
                name="clause_target_fits_kind",
                violation_error_message="A budget has a target below 1; an invariant has none.",
            ),
        ]

    def __str__(self) -> str:
        return self.text
