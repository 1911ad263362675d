"""Services, operations, journeys and dependencies."""

from django.db import models


class Service(models.Model):
    """Something that we run and customers use."""

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    public = models.BooleanField(default=True)  # whether the public status page names it
    proposed = models.BooleanField(default=False)  # seen in traffic, not yet confirmed by a person

    def __str__(self) -> str:
        return self.name


class Operation(models.Model):
    """One thing that a caller can ask of a service."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="operations")
    name = models.CharField(max_length=300)
    method = models.CharField(max_length=20, blank=True)
    pattern = models.CharField(max_length=500, blank=True)
    changes_state = models.BooleanField(default=False)
    proposed = models.BooleanField(default=True)
    # Seen, and not worth a place in lists: its requests still count.
    ignored = models.BooleanField(default=False)
    # A person said that every path of `pattern` is this operation, also those never seen before.
    route = models.BooleanField(default=False)
    # Another name or path of that operation: its requests are that one's, when they come in and when
    # they are read (queries.merged).
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="aliases"
    )
    # The slowest answer that still counts as in time, in milliseconds.
    slow_after_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("service", "name", name="operation_once_per_service"),
            models.CheckConstraint(
                condition=~models.Q(merged_into=models.F("pk")),
                name="operation_not_merged_into_itself",
                violation_error_message="An operation cannot be merged into itself.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RefusedPattern(models.Model):
    """A route pattern that a person does not want suggested again."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="refused_patterns")
    method = models.CharField(max_length=20, blank=True)
    pattern = models.CharField(max_length=500)

    class Meta:
        constraints = [
            models.UniqueConstraint("service", "method", "pattern", name="pattern_refused_once")
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}".strip()


class Journey(models.Model):
    """What people go through to get something done ("purchase"), and what it is worth."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="journeys")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=200)
    # For the story: "tried to {verb}", as in "place an order"; "{noun}", as in "orders".
    verb = models.CharField(max_length=100, blank=True)
    noun = models.CharField(max_length=100, blank=True)
    value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("service", "slug", name="journey_once_per_service")]

    def __str__(self) -> str:
        return self.name


class JourneyStep(models.Model):
    """An operation's place in a journey; the last step is the one that counts as done."""

    journey = models.ForeignKey(Journey, on_delete=models.CASCADE, related_name="steps")
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint("journey", "position", name="journey_step_place")]

    def __str__(self) -> str:
        return f"{self.position}. {self.operation}"


class Dependency(models.Model):
    """What a service stands on: another of ours, or a supplier."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="dependencies")
    on = models.ForeignKey(
        Service, null=True, blank=True, on_delete=models.CASCADE, related_name="dependants"
    )
    supplier = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(on__isnull=False, supplier="")
                | models.Q(on=None) & ~models.Q(supplier=""),
                name="dependency_ours_or_supplier",
                violation_error_message="Name one of our services or a supplier, not both.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} → {self.on or self.supplier}"
