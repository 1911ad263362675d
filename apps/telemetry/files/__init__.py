"""Take in a file of any size, each of its bytes once.

The unpacked bytes are cut at line ends into chunks; each chunk becomes one `Batch` with its segments
in one transaction. A chunk is known by the running SHA-256 of the file before and after it. On the next
run the chunks that are stored are read, verified and skipped, so the same file twice adds nothing, a
killed run goes on where it was, and of a log that has grown only the new lines are added. The chain
begins with the service: the same file for another service is another input.

Not recognised: a copy that ends in the middle of a stored chunk (a log cut short), or lines that were
moved to another place in another file. Such lines are stored again, since a hash of the whole cannot
vouch for a part; the analysis drops them where the log has request ids. The whole file adds nothing after.

`taking` goes through an input, `reading` knows its bytes, `report` says what became of it, and `cataloguing` names
what was written. `following` does the same with logs that grow (`growing`), through rotations.
"""

from apps.telemetry.files.cataloguing import catalogue_rows, tally_json
from apps.telemetry.files.following import How, Tail
from apps.telemetry.files.reading import BLOCK, HEAD
from apps.telemetry.files.report import Progress, Report
from apps.telemetry.files.taking import CHUNK, ingest

__all__ = [
    "BLOCK",
    "CHUNK",
    "HEAD",
    "How",
    "Progress",
    "Report",
    "Tail",
    "catalogue_rows",
    "ingest",
    "tally_json",
]
