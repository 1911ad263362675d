"""The catalogue: what was taken in, and which files hold it."""

from typing import Self

from django.db import models

from apps.accounts.models import User
from apps.catalog.models import Operation, Service
from apps.core.claims import Claimable
from apps.customers.models import Customer


class Batch(models.Model):
    """One piece of input that was stored whole: a chunk of a file, or one delivery over HTTP.

    A chunk is known by the running SHA-256 of its file before and after it, so the same file, or one
    that has grown, finds its place again. A delivery is known by its `delivery` key.
    """

    batch_id = models.CharField(max_length=32, unique=True)
    source = models.CharField(max_length=300)
    format = models.CharField(max_length=20)
    chain_before = models.CharField(max_length=64, blank=True)
    chain_after = models.CharField(max_length=64, blank=True)
    length = models.BigIntegerField()  # bytes, unpacked
    delivery = models.CharField(max_length=300, null=True, blank=True, unique=True)
    lines = models.IntegerField()
    rows = models.IntegerField()
    rejected = models.IntegerField()
    reasons = models.JSONField(default=dict)  # reason -> lines
    samples = models.JSONField(default=list)  # [{line, reason, excerpt}]
    tally = models.JSONField(default=dict)  # bots, probes, named, ... of Tally
    created_at = models.DateTimeField()
    # whether `Arrival`, `Sender` and `Total` hold it
    arrival_counted = models.BooleanField(default=False)

    class Meta:
        constraints = [
            # Finds where a file goes on (chain_before), and makes a second copy impossible.
            models.UniqueConstraint(
                fields=["chain_before", "length", "chain_after"],
                condition=~models.Q(chain_before=""),
                name="chunk_stored_once",
            ),
        ]
        indexes = [
            # System pages and `queries.sources`: the latest of each source.
            models.Index(fields=["source", "-created_at"], name="batch_source_latest"),
            # `intake.failures`: the latest of which something was rejected.
            models.Index(
                fields=["-created_at"],
                condition=models.Q(rejected__gt=0),
                name="batch_rejected_latest",
            ),
            # `arrivals.count`: those that wait to be counted.
            models.Index(
                fields=["id"],
                condition=models.Q(arrival_counted=False),
                name="batch_arrival_to_count",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} ({self.rows} events)"


class SenderState(models.TextChoices):
    """flowing ⇄ quiet → stopped; whatever comes makes it flow again."""

    FLOWING = "flowing", "Flowing"
    QUIET = "quiet", "Quiet"
    STOPPED = "stopped", "Stopped"
    UNLEARNED = "unlearned", "Too little known"
    RETIRED = "retired", "Gone for good"


class Sender(models.Model):
    """What events come from, as far as silence is concerned: a source (a key's program, a file), or a service."""

    source = models.CharField(max_length=300, null=True, unique=True)
    service = models.OneToOneField(
        Service, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    format = models.CharField(max_length=20, blank=True)
    first_at = models.DateTimeField()  # when its first batch came
    seen_at = models.DateTimeField()  # ... and the latest with an event in it
    latest_ms = models.BigIntegerField(null=True)  # epoch ms of its latest event
    state = models.CharField(max_length=10, choices=SenderState, default=SenderState.FLOWING)
    # when `silence.notice` looks whether it is missed; null = not before it sends again
    look_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(source=None) ^ models.Q(service=None), name="sender_is_one"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=SenderState.values), name="sender_state_known"
            ),
        ]

    def __str__(self) -> str:
        return self.source if self.source is not None else f"service {self.service_id}"


class Arrival(models.Model):
    """What came from a sender within five minutes, by our own clock; added to, never set.

    `arrivals.fold` puts those of an hour together at its first five minutes once they are some days old.
    Of a service only `batches`, `events` and `longest_gap_s` are counted.
    """

    sender = models.ForeignKey(Sender, on_delete=models.CASCADE, related_name="arrivals")
    slot = models.IntegerField()  # five minutes since 1970
    batches = models.BigIntegerField()
    events = models.BigIntegerField()
    rejected = models.BigIntegerField()
    bots = models.BigIntegerField()
    probes = models.BigIntegerField()
    customers = models.BigIntegerField()
    named = models.BigIntegerField()
    longest_gap_s = models.IntegerField()  # the longest pause that ended here

    class Meta:
        constraints = [models.UniqueConstraint("sender", "slot", name="arrival_once")]
        # `intake`: what came of late; `arrivals.fold`.
        indexes = [models.Index(fields=["slot"], name="arrival_slot")]

    def __str__(self) -> str:
        return f"sender {self.sender_id}, slot {self.slot}: {self.events}"


class Total(models.Model):
    """A count of all that ever came in, which only grows: what `/metrics` tells."""

    name = models.CharField(max_length=200, unique=True)
    n = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name}: {self.n}"


class Silence(models.Model):
    """A sender that sent nothing for longer than it usually does. Apps above reconcile with the open ones."""

    sender = models.ForeignKey(Sender, on_delete=models.CASCADE, related_name="silences")
    began_at = models.DateTimeField()  # when it was last heard
    noticed_at = models.DateTimeField()
    usual = models.FloatField()  # events a minute around then, on earlier days
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "sender", condition=models.Q(ended_at=None), name="silence_open_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sender} since {self.began_at:%d %b %H:%M}"


class TraitSet(models.Model):
    """Traits that requests carry together, such as a region and an app version; events name it by number."""

    traits = models.JSONField()  # name -> value

    class Meta:
        constraints = [models.UniqueConstraint("traits", name="trait_set_once")]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in sorted(self.traits.items()))


CONTENTS = 2**60
"""`Segment.content` is a number below this."""


class SegmentQuerySet(models.QuerySet["Segment"]):
    """The reads of segments."""

    def live(self) -> Self:
        """Leave out the files that compaction or an erasure has replaced."""
        return self.filter(deleted_at=None)

    def overlapping(self, *, start_ms: int, end_ms: int) -> Self:
        """Only the files that may hold an event of [start, end)."""
        return self.filter(min_ts__lt=end_ms, max_ts__gte=start_ms)


class Segment(models.Model):
    """One immutable Parquet file of events within one hour of event time."""

    # null once compaction has merged several batches
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="segments")
    path = models.CharField(max_length=200, unique=True)  # below EVENTS_DIR
    came_at = models.DateTimeField()  # when the last of its events came in
    min_ts = models.BigIntegerField()  # epoch ms of the first event
    max_ts = models.BigIntegerField()  # ... and of the last
    rows = models.IntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    # the only service in the file; null when there are several
    service = models.ForeignKey(Service, null=True, on_delete=models.SET_NULL, related_name="+")
    deleted_at = models.DateTimeField(null=True, blank=True)
    # whether `HourCount` and `OperationCount` hold its requests; files from before them are counted later
    counted = models.BooleanField(default=False)
    # whether `CustomerDay` holds its requests
    customers_counted = models.BooleanField(default=False)
    # What it holds, as a number below CONTENTS: a merged file's is the sum of what it was made of, so that a sum
    # over files changes with the events and not with how they lie.
    content = models.BigIntegerField()
    # when it was found not to be what this row says; it is read as before, and merged no more
    damaged_at = models.DateTimeField(null=True, blank=True)

    objects = SegmentQuerySet.as_manager()

    class Meta:
        indexes = [
            # `queries.segments`: the files of a window; `queries.watermark`: the last event.
            models.Index(
                fields=["max_ts", "min_ts"],
                condition=models.Q(deleted_at=None),
                name="segment_window",
            ),
            # `queries.data_span`: the first event.
            models.Index(
                fields=["min_ts"], condition=models.Q(deleted_at=None), name="segment_first"
            ),
            # `jobs.count_segments`: those that wait to be counted.
            models.Index(fields=["id"], condition=models.Q(counted=False), name="segment_to_count"),
            # `jobs.count_customers`, and `customer_days`: whether any waits.
            models.Index(
                fields=["id"],
                condition=models.Q(customers_counted=False),
                name="segment_customers_to_count",
            ),
            # `jobs.drop_replaced`: whose time of grace is over.
            models.Index(
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="segment_replaced",
            ),
        ]

    def __str__(self) -> str:
        return self.path


class HourCount(models.Model):
    """Customers' requests of one hour and service, and those of them that belong to somebody we can name.

    Each row is written once, in the transaction that names its segment, and never changed: a re-sent
    batch writes none. The figure is the sum; `jobs.fold_counts` replaces the rows of an hour by their sum,
    and those of a day that lies a few days back by one row at its first hour.
    """

    hour = models.BigIntegerField()  # since 1970
    # No constraint: a service deleted while its traffic comes in must not refuse the traffic.
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    requests = models.BigIntegerField()
    named = models.BigIntegerField()

    class Meta:
        # `queries.identification`: the hours of a window; `jobs.fold_counts`: rows of the same hour.
        indexes = [models.Index(fields=["hour", "service"], name="hour_count")]

    def __str__(self) -> str:
        return f"hour {self.hour}, service {self.service_id}: {self.named} of {self.requests}"


class OperationCount(models.Model):
    """Customers' requests of one day and operation; added up and folded like `HourCount`."""

    day = models.IntegerField()  # since 1970
    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    latest_ms = models.BigIntegerField()  # epoch ms of the latest one

    class Meta:
        # `queries.seen_operations`: the days of a window; `jobs.fold_counts`.
        indexes = [models.Index(fields=["day", "operation"], name="operation_count")]

    def __str__(self) -> str:
        return f"day {self.day}, operation {self.operation_id}: {self.requests}"


class CustomerDay(models.Model):
    """A customer's requests of one UTC day; without a customer everybody's, which tells that the day has data."""

    day = models.IntegerField()  # since 1970
    customer = models.ForeignKey(
        Customer, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    latest_ms = models.BigIntegerField()  # epoch ms of the latest one

    class Meta:
        constraints = [
            # `customer_days`: one row to add to, and the days of a profile.
            models.UniqueConstraint(
                "customer", "day", nulls_distinct=False, name="customer_day_once"
            ),
        ]
        # `jobs.drop_old_counts`.
        indexes = [models.Index(fields=["day"], name="customer_day")]

    def __str__(self) -> str:
        return f"day {self.day}, customer {self.customer_id}: {self.requests}"


class Rollup(models.Model):
    """A folder of what one UTC day brought (`rollups.make`), and from which segments it was made."""

    day = models.IntegerField(primary_key=True)  # since 1970
    path = models.CharField(max_length=200)  # below EVENTS_DIR
    basis = models.CharField(max_length=100)  # changes with the day's segments
    rows = models.BigIntegerField()  # of who was seen
    bytes = models.BigIntegerField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.path


class UnnamedGroups(models.Model):
    """The largest groups of requests of one day that belong to nobody we can name, by one attribute.

    A Misra-Gries sketch (resolve/sketch.py): bounded, mergeable, with a known error. Written in the
    transaction that names the segments; `jobs.fold_counts` merges the rows of a day.
    """

    day = models.IntegerField()  # since 1970
    attribute = models.CharField(max_length=20)
    total = models.BigIntegerField()
    missed = models.BigIntegerField()  # what a counter may lack
    groups = models.JSONField()  # [[service, value, at least so many requests]]

    class Meta:
        # `queries.unnamed_groups`: the days of a window; `jobs.fold_counts`.
        indexes = [models.Index(fields=["day", "attribute"], name="unnamed_groups")]

    def __str__(self) -> str:
        return f"day {self.day}, {self.attribute}: {self.total} unnamed"


class ErasureState(models.TextChoices):
    """queued → working → grace → working → done. In grace the old files stay for whoever reads them."""

    QUEUED = "queued", "Waiting"
    WORKING = "working", "At work"
    GRACE = "grace", "Erased; the old files go within the hour"
    DONE = "done", "Erased"


class Erasure(Claimable):
    """Somebody's wish that their events be gone, and how far that is. The numbers of a person go with it."""

    customer = models.BigIntegerField(
        null=True
    )  # primary key, which outlives the customer; null = any
    actors = models.JSONField(
        default=list
    )  # hashes; without any, and without addresses, the whole customer
    addresses = models.JSONField(default=list)
    asked_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ErasureState, default=ErasureState.QUEUED)
    events = models.BigIntegerField(default=0)  # taken out so far
    rewritten_at = models.DateTimeField(null=True)  # when the last file was replaced
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=ErasureState.values), name="erasure_state_known"
            ),
        ]
        indexes = [
            # `erasure.due`.
            models.Index(
                fields=["id"], condition=~models.Q(state="done"), name="erasure_to_carry_on"
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"
