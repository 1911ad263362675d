"""What taking events in and keeping them costs.

`bench ingest` (files), `bench otlp` (exports), `bench acknowledge` (over HTTP, steadily), `bench store`.
"""

from apps.telemetry.benches.acknowledge import acknowledge
from apps.telemetry.benches.exports import otlp
from apps.telemetry.benches.files import ingest
from apps.telemetry.benches.store import stored

__all__ = ["acknowledge", "ingest", "otlp", "stored"]
