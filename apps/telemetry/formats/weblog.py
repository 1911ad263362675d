"""Access logs in text: Apache and nginx, common and combined, with what people put after it.

`ADDRESS - USER [TIME] "REQUEST" STATUS BYTES` and then, optionally, `"REFERER" "AGENT"` and a tail:
`key=value` or `key="value"` fields under any name of `fields`, the default fields of ingress-nginx,
or a quoted X-Forwarded-For.

Most lines of a file have one shape (the same separators in the same order). For those the bytes are
cut at their separators all at once; every other line goes through a regular expression.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apps.telemetry.formats import times
from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import MAX_LINE, MISSING, Block, Columns, Rejects
from apps.telemetry.formats.fields import FieldNames

SPACE, QUOTE, NEWLINE, BACKSLASH = 32, 34, 10, 92
FRONT = bytes([32, 32, 32, 32, 32, 34, 34, 32, 32])  # separators up to BYTES
BODY = FRONT + bytes([32, 34, 34, 32, 34, 34])  # ... up to the end of the agent, in `combined`
FEW = 64  # lines of one shape below which the regular expression is as quick

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(
    r"^(?P<front>.{0,2000}?) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:[.,]\d+)?) (?P<zone>[+-]\d{4})\] "
    rf"{_QUOTED} (?P<status>\d{{1,3}}|-) (?P<bytes>\d+|-)"
    rf"(?: {_QUOTED} {_QUOTED}(?P<tail> .*)?| (?P<rest>[^\"].*))?$"
)
CUT_AGENT = re.compile(
    r"^(?P<front>.{0,2000}?) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) (?P<zone>[+-]\d{4})\] "
    rf"{_QUOTED} (?P<status>\d{{3}}) (?P<bytes>\d+|-) {_QUOTED} \"(?P<agent>[^\"]*)$"
)
PAIR = re.compile(rf"([A-Za-z_$][\w.$-]*)=(?:{_QUOTED}|(\S*))")
INGRESS = re.compile(
    r"^(?P<length>\d+) (?P<request_time>[\d.]+) \[(?P<name>[^\]]*)\] \[(?P<alt>[^\]]*)\] "
    r"(?P<addr>\S+(?:(?:,| :) \S+)*) (?P<size>[\d-]+(?:(?:,| :) [\d-]+)*) "
    r"(?P<time>[\d.-]+(?:(?:,| :) [\d.-]+)*) (?P<upstream>[\d-]+(?:(?:,| :) [\d-]+)*) (?P<request_id>\S+)$"
)
ESCAPE = re.compile(r'(?:\\x[0-9A-Fa-f]{2})+|\\["\\]')

NO_ACCESS_LOG = "not a line of an access log"


class WebLog:
    """Parser of text access logs."""

    def __init__(self, names: FieldNames, name: str = "nginx") -> None:
        self.name = name
        self._names = names
        self._zones: dict[str, str] = {}

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        data = block.data if block.data.endswith(b"\n") else block.data + b"\n"
        if not data.isascii():
            data = data.decode("utf-8", "backslashreplace").encode()
        if b"\r\n" in data:
            data = data.replace(b"\r\n", b"\n")
        found, odd = self._by_shape(data, block, rejects, now_ms)
        if len(odd):
            lines = data.split(b"\n")
            slow = self._by_line([(int(i), lines[i]) for i in odd], block, rejects, now_ms)
            found.append(slow)
        return [columns for columns in found if len(columns)]

    def whole(self, line: bytes, before: bytes) -> bool:
        """Whether a last line without a line break is all there: as much as the one `before` it has."""
        text, previous = (
            x.decode("utf-8", "backslashreplace").rstrip("\r") for x in (line, before)
        )
        fields = self.fields_of(text, whole=True)
        if fields is None:
            return False
        pattern = self.fields_of(previous) if previous else None
        return pattern is None or set(pattern) <= set(fields)

    # many lines of one shape

    def _by_shape(
        self, data: bytes, block: Block, rejects: Rejects, now_ms: int
    ) -> tuple[list[Columns], NDArray[np.int64]]:
        raw = np.frombuffer(data, np.uint8)
        at = np.flatnonzero((raw == SPACE) | (raw == QUOTE) | (raw == NEWLINE))
        kind = raw[at]
        ends = np.flatnonzero(kind == NEWLINE)
        count = len(ends)
        line_of = np.zeros(len(at), dtype=np.int64)
        line_of[ends[:-1] + 1] = 1
        line_of = np.cumsum(line_of)
        quotes = np.cumsum(kind == QUOTE)
        before = np.concatenate(([0], quotes[ends[:-1]]))
        inside = ((quotes - before[line_of]) & 1).astype(bool) & (kind == SPACE)
        odd = ((quotes[ends] - before) & 1).astype(bool)
        if (slashes := np.flatnonzero(raw == BACKSLASH)).size:
            odd[np.searchsorted(at[ends], slashes)] = True
        at, kind, line_of = at[~inside], kind[~inside], line_of[~inside]
        ends = np.flatnonzero(kind == NEWLINE)
        starts = np.concatenate(([0], ends[:-1] + 1))
        width = ends - starts + 1
        # A line's shape: the kinds of its separators in order, as one number.
        place = np.arange(len(at)) - starts[line_of]
        weights = _weights(int(width.max(initial=1)))
        shape = (
            np.add.reduceat(kind.astype(np.uint64) * weights[place], starts)
            if count
            else np.zeros(0)
        )
        todo = ~odd & (width > len(FRONT))
        edges = np.empty(2 * len(at) + 1, dtype=np.int32)
        edges[0] = 0
        edges[1::2] = at
        edges[2::2] = at + 1
        pieces = pa.Array.from_buffers(
            pa.string(), 2 * len(at), [None, pa.py_buffer(edges), pa.py_buffer(data)]
        )
        found: list[Columns] = []
        for number, many in zip(*np.unique(shape[todo], return_counts=True), strict=True):
            if many < FEW:
                continue
            of_shape = todo & (shape == number)
            rows = np.flatnonzero(of_shape)
            first = starts[rows[0]]
            kinds = bytes(kind[first : ends[rows[0]] + 1])
            cut = _Cut(pieces, starts[rows], kinds)
            used, columns = self._of_shape(cut, rows, block, rejects, now_ms)
            if columns is not None:
                found.append(columns)
                odd_here = np.setdiff1d(rows, used, assume_unique=True)
                todo[of_shape] = False
                odd[odd_here] = True
        odd |= todo | (width <= len(FRONT))
        return found, np.flatnonzero(odd)

    def _of_shape(
        self, cut: "_Cut", rows: NDArray[np.int64], block: Block, rejects: Rejects, now_ms: int
    ) -> tuple[NDArray[np.int64], Columns | None]:
        combined = cut.kinds.startswith(BODY)
        if not combined and cut.kinds != FRONT + b"\n":
            return rows, None
        stamp, zone = cut.column(3), cut.column(4)
        fits = _all_true(pc.starts_with(stamp, "["), pc.ends_with(zone, "]"))
        named: dict[str, list[pa.Array]] = {
            "addr": [cut.column(0)],
            "user": [cut.column(2)],
            "request": [cut.column(6)],
            "status": [cut.column(8)],
        }
        fits &= pc.match_substring_regex(named["status"][0], r"^(\d{1,3}|-)$").to_numpy(
            zero_copy_only=False
        )
        fits &= pc.match_substring_regex(cut.column(9), r"^(\d+|-)$").to_numpy(zero_copy_only=False)
        if combined:
            named["agent"] = [cut.column(14)]
            tail = self._tail(cut)
            if tail is None:
                return rows, None
            more, same = tail
            fits &= same
            for field, columns in more.items():
                named.setdefault(field, []).extend(columns)
        when, readable = self._when(stamp, zone)
        fits &= readable
        named["time"] = [when]
        if not fits.all():
            mask = pa.array(fits)
            named = {field: [c.filter(mask) for c in columns] for field, columns in named.items()}
            rows = rows[fits]
        lines = rows + block.first_line
        return rows, columns_from(named, lines=lines, block=block, rejects=rejects, now_ms=now_ms)

    def _when(self, stamp: pa.Array, zone: pa.Array) -> tuple[pa.Array, NDArray[np.bool_]]:
        zones = zone.dictionary_encode()
        stamps = stamp.dictionary_encode()
        names = [name.rstrip("]") for name in zones.dictionary.to_pylist()]
        texts = [text[1:] for text in stamps.dictionary.to_pylist()]
        if (
            len(names) * len(texts) > 4 * len(stamp) + 1000
        ):  # zones at random: nobody's log, but bounded
            pairs = zip(stamp.to_pylist(), zone.to_pylist(), strict=True)
            ms = np.array([times.clf_ms(t[1:], z.rstrip("]")) for t, z in pairs], dtype=np.int64)
            return pa.array(ms), ms != MISSING
        by_zone = np.array(
            [[times.clf_ms(text, name) for text in texts] for name in names], dtype=np.int64
        )
        ms = by_zone[zones.indices.to_numpy(), stamps.indices.to_numpy()]
        return pa.array(ms), ms != MISSING

    def _tail(self, cut: "_Cut") -> tuple[dict[str, list[pa.Array]], NDArray[np.bool_]] | None:
        """Return the fields behind the agent and which rows have them in the same places as the first."""
        named: dict[str, list[tuple[int, pa.Array]]] = {}
        same = np.ones(len(cut), dtype=bool)
        if cut.kinds[len(BODY) :] == b"\n":
            return {}, same
        kinds = cut.kinds
        place = len(BODY) + 1
        unnamed: list[pa.Array] = []
        while place < len(kinds):
            word = cut.column(place)
            key, equals, _ = word[0].as_py().partition("=")
            quoted = kinds[place] == QUOTE
            if quoted and equals and place + 1 < len(kinds):
                same &= pc.equal(word, f"{key}=").to_numpy(zero_copy_only=False)
                self._name(named, key, cut.column(place + 1))
                place += 3
            elif quoted:
                same &= pc.equal(word, "").to_numpy(zero_copy_only=False)
                self._name(named, "x_forwarded_for", cut.column(place + 1))
                place += 3
            elif equals:
                same &= pc.starts_with(word, f"{key}=").to_numpy(zero_copy_only=False)
                if self._names.find(key):
                    self._name(named, key, pc.utf8_slice_codeunits(word, len(key) + 1))
                place += 1
            else:
                unnamed.append(word)
                place += 1
        if unnamed and not named and len(unnamed) == 9:
            same &= self._ingress(unnamed, named)
        elif unnamed:
            return None
        return {
            f: [c for _, c in sorted(cs, key=lambda rc: rc[0])] for f, cs in named.items()
        }, same

    def _name(
        self, named: dict[str, list[tuple[int, pa.Array]]], key: str, column: pa.Array
    ) -> None:
        if hit := self._names.find(key):
            named.setdefault(hit[0], []).append((hit[1], column))

    def _ingress(
        self, words: Sequence[pa.Array], named: dict[str, list[tuple[int, pa.Array]]]
    ) -> NDArray[np.bool_]:
        for key, place in (("request_time", 1), ("upstream_status", 7), ("request_id", 8)):
            self._name(named, key, words[place])
        return _all_true(
            pc.match_substring_regex(words[0], r"^\d+$"),
            pc.match_substring_regex(words[1], r"^[\d.]+$"),
            pc.match_substring_regex(words[2], r"^\[.*\]$"),
            pc.match_substring_regex(words[3], r"^\[.*\]$"),
        )

    # one line at a time

    def _by_line(
        self, lines: Sequence[tuple[int, bytes]], block: Block, rejects: Rejects, now_ms: int
    ) -> Columns:
        found: list[dict[str, str]] = []
        numbers: list[int] = []
        for index, line in lines:
            if not line.strip():
                continue
            number = block.first_line + index
            if len(line) > MAX_LINE:
                rejects.add("longer than 1 MiB", number, line)
                continue
            fields = self.fields_of(line.decode("utf-8", "backslashreplace").rstrip("\r"))
            if fields is None:
                rejects.add(NO_ACCESS_LOG, number, line)
            else:
                found.append(fields)
                numbers.append(number)
        picked = self._names.pick(list({name: None for fields in found for name in fields}))
        named = {
            field: [pa.array([f.get(name) for f in found], pa.string()) for name in names]
            for field, names in picked.items()
        }
        at = np.array(numbers, dtype=np.int64)
        return columns_from(named, lines=at, block=block, rejects=rejects, now_ms=now_ms)

    def fields_of(self, line: str, *, whole: bool = False) -> dict[str, str] | None:
        """Return the fields of one line, or None if it is not of an access log.

        `whole` refuses a line that its writer has cut off inside the agent.
        """
        match = LINE.match(line)
        if match is None:
            cut = None if whole else CUT_AGENT.match(line)
            if cut is None:
                return None
            quoted = [cut[4], cut[7], cut["agent"]]
            match = cut
            tail = ""
        else:
            quoted = [match[4], match[7], match[8]]
            tail = (match["tail"] or "").strip()
        front = _front(match["front"])
        if front is None:
            return None
        fields = {
            **front,
            "time": f"{match['time']} {match['zone']}",
            "request": unescape(quoted[0]),
            "status": match["status"],
        }
        if quoted[2] is not None:
            fields["user_agent"] = unescape(quoted[2])
        fields.update(_tail_fields(tail))
        return fields


class _Cut:
    """Lines of one shape, cut at their separators."""

    def __init__(self, pieces: pa.Array, starts: NDArray[np.int64], kinds: bytes) -> None:
        self._pieces = pieces
        self._starts = starts
        self.kinds = kinds

    def __len__(self) -> int:
        return len(self._starts)

    def column(self, place: int) -> pa.Array:
        """Return what stands before the separator number `place`."""
        # every second piece is a separator itself
        return self._pieces.take(pa.array(2 * (self._starts + place)))


def _weights(count: int) -> NDArray[np.uint64]:
    generator = np.random.default_rng(7)
    return generator.integers(1, 2**63, size=max(count, 1), dtype=np.uint64) | np.uint64(1)


def _all_true(*tests: pa.Array) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = np.logical_and.reduce(
        [t.to_numpy(zero_copy_only=False) for t in tests]
    )
    return result


def _is_address(word: str) -> bool:
    try:
        ip_address(word.split("%", 1)[0])
    except ValueError:
        return word in {"unix:", "-"}
    return True


def _front(text: str) -> Mapping[str, str] | None:
    """Split `ADDRESS[, ADDRESS…] IDENT USER`; the addresses may be a quoted list and another one."""
    words = text.replace('"', "").split(" ")
    take = 1
    while take < len(words) - 1 and (
        words[take - 1].endswith(",")
        or (_is_address(words[take].rstrip(",")) and words[take] != "-")
    ):
        take += 1
    rest = words[take:]
    if not rest or not words[0]:
        return None
    return {
        "remote_addr": " ".join(words[:take]),
        "user": " ".join(rest[1:]) if len(rest) > 1 else "-",
    }


def _tail_fields(tail: str) -> dict[str, str]:
    if not tail:
        return {}
    if match := INGRESS.match(tail):
        return {
            "request_time": match["request_time"],
            "upstream_status": match["upstream"],
            "request_id": match["request_id"],
        }
    if tail.startswith('"'):
        forwarded = re.match(_QUOTED, tail)
        rest = _tail_fields(tail[forwarded.end() :].strip()) if forwarded else {}
        return {"x_forwarded_for": unescape(forwarded[1]), **rest} if forwarded else rest
    found: dict[str, str] = {}
    for key, quoted, plain in PAIR.findall(tail):
        found.setdefault(key, unescape(quoted) if quoted else plain)
    return found


def unescape(text: str | None) -> str:
    """Undo what nginx and Apache do to quotes, backslashes and bytes that are not printable ASCII."""
    if not text or "\\" not in text:
        return text or ""
    return ESCAPE.sub(_unescaped, text)


def _unescaped(match: re.Match[str]) -> str:
    text = match[0]
    if text[1] != "x":
        return text[1]
    return bytes.fromhex(text.replace("\\x", "")).decode("utf-8", "backslashreplace")
