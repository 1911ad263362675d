"""Envoy's access log in its default text format, and in that of Istio, which says more after the flags.

`[START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS RECEIVED SENT DURATION UPSTREAM_TIME "FORWARDED_FOR" "AGENT"
"REQUEST_ID" "AUTHORITY" "UPSTREAM_HOST"`; the time is when the request began, durations are milliseconds.
"""

import re

import numpy as np
import pyarrow as pa

from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import MAX_LINE, Block, Columns, Rejects

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(
    r"^\[(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))\] "
    r'"(?P<method>\S+) (?P<path>(?:[^"\\]|\\.)*?) (?P<protocol>[^" ]+)" (?P<status>\d{1,3}) (?P<flags>[\w,-]+) '
    rf"(?:\S+ \S+ {_QUOTED} )?"
    r"(?P<received>\d+|-) (?P<sent>\d+|-) (?P<latency_ms>\d+|-) (?P<upstream_ms>\S+) "
    r'"(?P<forwarded>[^"]*)" "(?P<agent>(?:[^"\\]|\\.)*)" "(?P<request_id>[^"]*)" "(?P<host>[^"]*)"'
    r' "(?P<upstream>[^"]*)"(?P<more> .*)?$'
)
FIELDS = (
    *("time", "method", "path", "status", "flags", "latency_ms", "forwarded", "agent"),
    *("request_id", "host"),
)


class EnvoyText:
    """Parser of Envoy's text access logs."""

    name = "envoy"

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        found: list[re.Match[str]] = []
        numbers: list[int] = []
        for number, line in enumerate(block.split, block.first_line):
            if not line.strip():
                continue
            if len(line) > MAX_LINE:
                rejects.add("longer than 1 MiB", number, line)
            elif match := read_line(line):
                found.append(match)
                numbers.append(number)
            else:
                rejects.add("not a line of Envoy's access log", number, line)
        named = {field: [pa.array([m[field] for m in found], pa.string())] for field in FIELDS}
        at = np.array(numbers, dtype=np.int64)
        built = columns_from(named, lines=at, block=block, rejects=rejects, now_ms=now_ms)
        return [built] if len(built) else []

    def whole(self, line: bytes, _: bytes) -> bool:
        """Whether a last line without a line break is all there."""
        return read_line(line) is not None


def read_line(line: bytes) -> re.Match[str] | None:
    """Return the named parts of a line, or None."""
    return LINE.match(line.decode("utf-8", "backslashreplace").rstrip("\r"))
