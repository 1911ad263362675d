"""`bench ingest` (files), `bench otlp` (exports) and `bench store`: what taking events in and keeping them costs."""

from apps.telemetry.benches.exports import otlp
from apps.telemetry.benches.files import ingest
from apps.telemetry.benches.store import stored

__all__ = ["ingest", "otlp", "stored"]
