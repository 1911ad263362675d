"""Drills of what comes in: processes are killed (`ingest`). Those with real programs are in `impact.drills`."""

from apps.telemetry.drills.ingest import ingest

__all__ = ["ingest"]
