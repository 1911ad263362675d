"""The catalogue: what was taken in, and which files hold it."""

from typing import Self

from django.db import models

from apps.catalog.models import Service


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
        ]

    def __str__(self) -> str:
        return f"{self.source} ({self.rows} events)"


class SegmentQuerySet(models.QuerySet["Segment"]):
    """The reads of segments."""

    def live(self) -> Self:
        """Leave out the files that compaction has replaced."""
        return self.filter(deleted_at=None)

    def overlapping(self, *, start_ms: int, end_ms: int) -> Self:
        """Only the files that may hold an event of [start, end)."""
        return self.filter(min_ts__lt=end_ms, max_ts__gte=start_ms)


class Segment(models.Model):
    """One immutable Parquet file of events within one hour of event time."""

    # null once compaction has merged several batches
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="segments")
    path = models.CharField(max_length=200, unique=True)  # below EVENTS_DIR
    min_ts = models.BigIntegerField()  # epoch ms of the first event
    max_ts = models.BigIntegerField()  # ... and of the last
    rows = models.IntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    # the only service in the file; null when there are several
    service = models.ForeignKey(Service, null=True, on_delete=models.SET_NULL, related_name="+")
    deleted_at = models.DateTimeField(null=True, blank=True)

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
        ]

    def __str__(self) -> str:
        return self.path
