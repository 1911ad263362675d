"""Access logs of AWS Application Load Balancers, as they lie in S3.

Fields in order, some quoted (docs.aws.amazon.com, "Access log entries"); later versions add fields at the end. The
`time` of a line is when the answer was made; the request came in at `request_creation_time`. Times of -1 were
not measured, and 460 says that the client left.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import MAX_LINE, Block, Columns, Rejects
from apps.telemetry.meaning.paths import path_of_url

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
LINE = re.compile(
    rf"^(?P<type>https?|h2|wss?|grpcs?) (?P<time>{_TIME}) (?P<elb>\S+) (?P<client>\S+) (?P<target>\S+) "
    r"(?P<asked>-?\d+(?:\.\d+)?) (?P<worked>-?\d+(?:\.\d+)?) (?P<answered>-?\d+(?:\.\d+)?) "
    r"(?P<status>\d{1,3}|-) (?P<upstream>\d{1,3}|-) (?P<received>-?\d+) (?P<sent>-?\d+) "
    rf"(?P<request>{_QUOTED}) (?P<agent>{_QUOTED})"
    rf"(?: \S+ \S+ \S+ {_QUOTED} (?P<host>{_QUOTED}) {_QUOTED} \S+ (?P<created>{_TIME}|-))?(?P<more> .*)?$"
)
LEFT = "460"


class AlbLog:
    """Parser of an Application Load Balancer's access logs."""

    name = "alb"

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        found: list[Mapping[str, str | None]] = []
        numbers: list[int] = []
        for number, line in enumerate(block.split, block.first_line):
            if not line.strip():
                continue
            if len(line) > MAX_LINE:
                rejects.add("longer than 1 MiB", number, line)
            elif (match := read_line(line)) is not None:
                found.append(_fields(match))
                numbers.append(number)
            else:
                rejects.add("not a line of a load balancer's access log", number, line)
        names = dict.fromkeys(name for one in found for name in one)
        named = {name: [pa.array([one.get(name) for one in found], pa.string())] for name in names}
        at = np.array(numbers, dtype=np.int64)
        built = columns_from(named, lines=at, block=block, rejects=rejects, now_ms=now_ms)
        return [built] if len(built) else []

    def whole(self, line: bytes, _: bytes) -> bool:
        """Whether a last line without a line break is all there."""
        match = read_line(line)
        return match is not None and match["created"] is not None


def read_line(line: bytes) -> re.Match[str] | None:
    """Return the named parts of a line, or None."""
    return LINE.match(line.decode("utf-8", "backslashreplace").rstrip("\r"))


def _fields(match: re.Match[str]) -> dict[str, str | None]:
    took = [float(match[name]) for name in ("asked", "worked", "answered")]
    created = match["created"] if match["created"] not in {None, "-"} else None
    latency = 1000 * sum(took) if min(took) >= 0 else _between(created, match["time"])
    method, _, rest = match["request"][1:-1].partition(" ")
    url = rest.rpartition(" ")[0] or rest
    said = {
        "time": created or match["time"],
        "latency_ms": None if latency is None else f"{latency:.3f}",
        "status": match["status"],
        "upstream": match["upstream"],
        "method": method if method.isalpha() else None,
        "path": path_of_url(url),
        "agent": match["agent"][1:-1],
        "addr": match["client"].rpartition(":")[0] or match["client"],
        "host": (match["host"] or "").strip('"').strip("-") or _host_of(url),
        "outcome": "client_abort" if match["status"] == LEFT else None,
    }
    return {name: value or None for name, value in said.items()}


def _between(begin: str | None, end: str) -> float | None:
    if begin is None:
        return None
    try:
        took = datetime.fromisoformat(end[:-1]) - datetime.fromisoformat(begin[:-1])
    except ValueError:  # the 31st of a short month
        return None
    return max(0.0, took.total_seconds() * 1000)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
