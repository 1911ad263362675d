"""From a request line to an operation: what was asked, without which one it was asked of."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from apps.telemetry.meaning.agents import Place, place_of

METHODS = frozenset(
    {
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"),
        *("PROPFIND", "REPORT", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "PURGE"),
    }
)
STATIC = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "ico",
        "webp",
        "avif",
        "bmp",
        "css",
        "js",
        "mjs",
        "map",
        "woff",
        "woff2",
        "ttf",
        "otf",
        "eot",
        "mp3",
        "mp4",
        "webm",
        "ogg",
    ]
)
DEEPEST = 12  # segments that an operation's name keeps
LONGEST = 60  # characters of a segment above which it is no name

_REQUEST = re.compile(r"(?P<method>[!-~]+) (?P<target>.*?)(?: HTTP/[\d.]+)?", re.DOTALL)
_HEX = re.compile(r"(?=.*\d)(?:0x)?[0-9a-fA-F]{12,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_NUMBERS = re.compile(r"\d[\d.,:_-]*")
_PREFIXED = re.compile(r"[A-Za-z]{1,12}[_-]\d{2,}")
_TOKEN = re.compile(
    r"(?=(?:.*\d){2})(?:[a-z]{1,10}_)?(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9=+~_-]{10,}"
)
_LONG_TOKEN = re.compile(r"(?=(?:.*\d){4})[A-Za-z0-9=+~]{20,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

MALFORMED = "(malformed request)"


@dataclass(frozen=True, slots=True)
class Request:
    """What a request line asks for."""

    method: str  # "" when the line is malformed
    path: str  # without query
    pattern: str
    ids: str  # the concrete ids in the path, joined; "" when it has none
    place: Place

    @property
    def name(self) -> str:
        return f"{self.method} {self.pattern}" if self.method else self.pattern


def request_of(line: str) -> Request:
    """Read `GET /orders/7?x=1 HTTP/1.1` or `GET /orders/7`."""
    match = _REQUEST.fullmatch(line)
    if match is None:
        return Request("", "", MALFORMED, "", Place.ANY)
    method = match["method"].upper()
    path = path_of(match["target"])
    if method not in METHODS or not path:
        return Request("", path, MALFORMED, "", Place.ANY)
    pattern, ids = pattern_of(path)
    return Request(method, path, pattern, ids, place_of(path))


def path_of(target: str) -> str:
    """Return the path of a request target: no query, no host. "" if it is none."""
    target = _CONTROL.sub("", target.strip())
    if "://" in target[:12]:
        try:
            target = urlsplit(target).path or "/"
        except ValueError:
            return ""
    path = target.partition("?")[0].partition("#")[0].partition(";")[0]
    return path if path.startswith("/") or path == "*" else ""


def pattern_of(path: str) -> tuple[str, str]:
    """Return the path with {id} for what names one thing among many, and those ids.

    >>> pattern_of("/orders/1517085/items")
    ('/orders/{id}/items', '1517085')
    """
    segments = path.split("/")
    last = segments[-1]
    stem, dot, extension = last.rpartition(".")
    if dot and stem and extension.lower() in STATIC:
        folder = f"/{_name_or_id(segments[1])}" if len(segments) > 2 else ""
        return f"{folder}/*.{extension.lower()}", ""
    ids: list[str] = []
    out: list[str] = []
    for segment in segments[: DEEPEST + 1]:
        name = _name_or_id(segment)
        if name != segment:
            ids.append(segment)
        out.append(name)
    if len(segments) > DEEPEST + 1:
        out.append("…")
    return "/".join(out), "/".join(ids)


PLACE = "{0}"
"""Stands for an id that `shapes` has taken out of a path."""

_ID_SEGMENT = r"/(?:[0-9]+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})([/ ]|$)"


def bare(lines: pa.Array) -> pa.Array:
    """Return request lines without what follows a question mark."""
    return pc.replace_substring_regex(lines, r"\?[^ ]*", "")


def path_of_url(url: str) -> str:
    """Return the path and query of a whole URL; of what is none, as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def shapes(lines: pa.Array) -> pa.Array:
    """Return bare request lines with numbers and UUIDs in the path replaced by PLACE.

    Many thousand requests have a few shapes, and only these are looked at one by one.
    """
    once = pc.replace_substring_regex(lines, _ID_SEGMENT, rf"/{PLACE}\1")
    # The slash between two ids can belong to one match only: the second pass finds the other.
    return pc.replace_substring_regex(once, _ID_SEGMENT, rf"/{PLACE}\1")


def has_number(path: str) -> bool:
    """Whether a path names a number or UUID itself, so that shapes would hide it."""
    return any(segment.isdecimal() or _UUID.fullmatch(segment) for segment in path.split("/"))


def _name_or_id(segment: str) -> str:
    if segment == PLACE:
        return "{id}"
    if not segment or segment.isalpha():
        return segment if len(segment) <= LONGEST else "{id}"
    found = (
        len(segment) > LONGEST
        or "@" in segment
        or _NUMBERS.fullmatch(segment)
        or _UUID.fullmatch(segment)
        or _HEX.fullmatch(segment)
        or _PREFIXED.fullmatch(segment)
        or _TOKEN.fullmatch(segment)
        or _LONG_TOKEN.fullmatch(segment)
    )
    return "{id}" if found else segment
