"""Name what was written: a batch and its segments in the catalogue, and what was counted in them."""

from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from apps.telemetry import counts, store
from apps.telemetry.models import Batch, Segment
from apps.telemetry.resolve import Tally
from apps.telemetry.resolve.unnamed import Evidence


def catalogue_rows(
    batch: Batch, written: list[store.Written], *, root: Path, unnamed: Evidence | None = None
) -> None:
    """Name the files of a batch in the catalogue, and write what was counted in them, all or none.

    Raise IntegrityError, after removing the files, for a batch that is there. After any other error
    they stay: the database may have committed and the connection been lost before it could say so.
    What the catalogue does not name, `jobs.sweep_orphans` removes.
    """
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            Segment.objects.bulk_create(
                [
                    Segment(
                        batch=batch,
                        path=one.path,
                        came_at=batch.created_at,
                        min_ts=one.min_ts,
                        max_ts=one.max_ts,
                        rows=one.rows,
                        bytes=one.bytes,
                        sha256=one.sha256,
                        service_id=one.service,
                        content=one.content,
                        counted=True,
                    )
                    for one in written
                ]
            )
            counts.save((one.hour, one.counted) for one in written)
            counts.save_unnamed(unnamed or {})
    except IntegrityError:
        store.discard(written, root=root)
        raise


MOST_SERVICES_KEPT = 50


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return what a batch keeps of its tally; of services those with most rows, [primary key, rows]."""
    return {
        "bots": tally.bots,
        "probes": tally.probes,
        "failed": tally.failed,
        "customers": tally.customers,
        "named": tally.named,
        "with_actor": tally.with_actor,
        "first_ms": tally.first_ms,
        "last_ms": tally.last_ms,
        "services": tally.services.most_common(MOST_SERVICES_KEPT),
    }
