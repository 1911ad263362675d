"""Drills of what comes in: processes are killed (`ingest`), payloads are mutated (`fuzz`).

Those with real programs are in `impact.drills`.
"""

from apps.telemetry.drills.fuzz import fuzz
from apps.telemetry.drills.ingest import ingest

__all__ = ["fuzz", "ingest"]
