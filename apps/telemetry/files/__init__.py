"""Take in a file of any size, each of its bytes once."""

from apps.telemetry.files.taking import (
    BLOCK,
    CHUNK,
    HEAD,
    Progress,
    Report,
    catalogue_rows,
    ingest,
    tally_json,
)

__all__ = [
    "BLOCK",
    "CHUNK",
    "HEAD",
    "Progress",
    "Report",
    "catalogue_rows",
    "ingest",
    "tally_json",
]
