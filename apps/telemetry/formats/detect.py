"""Find out what a file is from its first lines, or say why it is nothing that we read."""

from dataclasses import dataclass
from typing import Protocol

import orjson

from apps.telemetry.formats import alb
from apps.telemetry.formats.columns import Block, Columns, Rejects, excerpt
from apps.telemetry.formats.declared import DeclaredLog, LogFormat
from apps.telemetry.formats.delimited import Delimited, header_of
from apps.telemetry.formats.envoy import EnvoyText, read_line
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.formats.jsonlines import JsonLines
from apps.telemetry.formats.weblog import WebLog

FORMATS = ("auto", "nginx", "apache", "envoy", "alb", "ndjson", "csv")
LOOK = 50  # lines to look at
BOM = b"\xef\xbb\xbf"


class UnknownFormat(Exception):
    """The input is in no format that we read. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Parser(Protocol):
    """Turns blocks of whole lines into columns."""

    name: str

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        ...

    def whole(self, line: bytes, before: bytes, /) -> bool:
        """Whether a last line without a line break is all there, judged by itself and the line before."""
        ...


@dataclass(frozen=True)
class Found:
    """A parser for an input, and what was recognised in words."""

    parser: Parser
    description: str


def find(
    head: bytes, *, wanted: str, names: FieldNames, declared: LogFormat | None = None
) -> Found:
    """Return the parser for an input that begins with `head` (whole lines). Raise UnknownFormat.

    With a `declared` format no other is tried, unless `wanted` names one.
    """
    head = head.removeprefix(BOM)
    lines = head.split(b"\n", LOOK + 1)[:LOOK]
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise UnknownFormat("There is no line in it", "Give a file with at least one request.")
    if is_binary(head):
        raise UnknownFormat(
            f'This is not text; it begins with "{excerpt(head[:60], 60)}"',
            "Give an access log or NDJSON, as it is or packed with gzip.",
        )
    if declared is not None and wanted == "auto":
        return _declared(lines, DeclaredLog(declared, names))
    tried: list[str] = []
    for name in ("ndjson", "weblog", "envoy", "alb", "csv"):
        if wanted != "auto" and name != {"nginx": "weblog", "apache": "weblog"}.get(wanted, wanted):
            continue
        found, why = _TRY[name](lines, names, wanted, first + 1)
        if found is not None:
            return found
        tried.append(f"{name if name != 'weblog' else 'nginx and apache'}: {why}")
    shown = excerpt(lines[0])
    whole = b"\n" in head
    raise UnknownFormat(
        f'{"No format fits" if wanted == "auto" else f"This is not {wanted}"}; the first line is "{shown}". '
        f"Tried {'; '.join(tried)}",
        "Name the format with --format, or write one JSON object for each request and line."
        if whole
        else "The file may be cut off: it ends before the first line does.",
    )


def _declared(lines: list[bytes], parser: DeclaredLog) -> Found:
    if not any(parser.fits(line) for line in lines):
        raise UnknownFormat(
            f"None of the first {len(lines)} lines is as the pattern of the rules file says;"
            f' the first is "{excerpt(lines[0])}"',
            "Compare the line with the pattern, or name a format with --format.",
        )
    return Found(parser, "log of a declared pattern")


def is_binary(head: bytes) -> bool:
    """Whether these bytes are no text: a NUL, or many control characters."""
    sample = head[:4096]
    if b"\0" in sample:
        return True
    controls = sum(1 for byte in sample if byte < 9 or 13 < byte < 32)
    return controls > len(sample) // 10


def _json(lines: list[bytes], names: FieldNames, _: str, first: int) -> tuple[Found | None, str]:
    events = []
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    if not events:
        return None, "no line is a JSON object"
    picked = names.pick(list({name: None for event in events for name in event}))
    if "time" not in picked:
        return None, "no field with a time, such as ts or time"
    if "flags" in picked:
        kind = "Envoy JSON"
    elif "request_time" in picked or "upstream" in picked:
        kind = "nginx JSON"
    else:
        kind = "events"
    return Found(JsonLines(names), f"NDJSON ({kind})"), ""


def _weblog(
    lines: list[bytes], names: FieldNames, wanted: str, first: int
) -> tuple[Found | None, str]:
    parser = WebLog(names, "nginx" if wanted == "auto" else wanted)
    for line in lines:
        fields = parser.fields_of(line.decode("utf-8", "backslashreplace").rstrip("\r"))
        if fields is None:
            continue
        more = [name for name in fields if names.find(name) and name not in _COMBINED]
        if not more:
            form = "combined" if "user_agent" in fields else "common"
            if wanted == "auto":
                parser.name = "apache"
            return Found(parser, f"access log, {form}"), ""
        return Found(parser, f"access log, combined and {', '.join(more)}"), ""
    return None, "no line has an address, a [time] and a quoted request"


_COMBINED = frozenset({"remote_addr", "user", "time", "request", "status", "user_agent"})


def _envoy(lines: list[bytes], _: FieldNames, wanted: str, first: int) -> tuple[Found | None, str]:
    if any(read_line(line) for line in lines):
        return Found(EnvoyText(), "access log, Envoy text"), ""
    return None, "no line has [a time], a quoted request, a status and Envoy's flags"


def _alb(lines: list[bytes], _: FieldNames, wanted: str, first: int) -> tuple[Found | None, str]:
    if any(alb.read_line(line) for line in lines):
        return Found(alb.AlbLog(), "access log, AWS Application Load Balancer"), ""
    return None, "no line has a type, a time, an address with a port and three durations"


def _csv(lines: list[bytes], names: FieldNames, _: str, first: int) -> tuple[Found | None, str]:
    header, delimiter = header_of(lines[0])
    parser = Delimited(names, header, delimiter, first)
    if "time" not in parser.fields:
        return None, "the first line names no column with a time, such as ts or time"
    if len(set(header)) != len(header):
        return None, "two columns have the same name"
    return Found(parser, f"CSV with {', '.join(parser.fields)}"), ""


_TRY = {"ndjson": _json, "weblog": _weblog, "envoy": _envoy, "alb": _alb, "csv": _csv}
