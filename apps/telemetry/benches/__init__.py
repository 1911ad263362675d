"""`bench ingest` (files) and `bench otlp` (exports): what taking events in costs."""

from apps.telemetry.benches.exports import otlp
from apps.telemetry.benches.files import ingest

__all__ = ["ingest", "otlp"]
