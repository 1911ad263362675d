"""Logs of a format that somebody declares: nginx's `log_format`, or a regular expression with named groups.

The expression is matched by RE2 (through Arrow): in time that grows with the line and never faster, whatever is
written in it. That is why it knows no look-around and no back-references. Its limits: PATTERN characters, GROUPS
groups, LONGEST bytes of a line, and SLOW milliseconds for each KiB of a line.
"""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.telemetry.formats.build import columns_from
from apps.telemetry.formats.columns import MISSING, Block, Columns, Ints, Rejects
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.formats.times import EPOCH
from apps.telemetry.formats.weblog import unescape

PATTERN = 4_000
GROUPS = 60
LONGEST = 64 * 1024
SLOW = 5.0  # ms
NO_MATCH = "not as the declared pattern says"

_VARIABLE = re.compile(r"\$(?:\{([a-z_][a-z0-9_]*)\}|([a-z_][a-z0-9_]*))", re.IGNORECASE)
_DIRECTIVE = re.compile(
    r"\s*log_format\s+[^\s']+\s+(?:escape=\w+\s+)?((?:'[^']*'\s*|\"[^\"]*\"\s*)+);?\s*"
)
_LISTED = r"[^\s,:]+(?:(?:,| :) [^\s,:]+)*"
_KNOWN = {
    "time_local": r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "request": r"(?:[^\"\\]|\\.)*?",
    "http_x_forwarded_for": r"\S+(?:, ?\S+)*",
    "proxy_add_x_forwarded_for": r"\S+(?:, ?\S+)*",
}
_OUTCOMES = ("status", "outcome", "ok", "error")


class BadPattern(Exception):
    """The pattern cannot be used; the message says why."""


@dataclass(frozen=True)
class LogFormat:
    """A checked expression for whole lines, whether values are escaped as nginx does, and how times are written."""

    regex: str
    groups: tuple[str, ...]
    escaped: bool = False
    time: str = ""  # for strptime; "" = found


def from_log_format(text: str, *, time_format: str, names: FieldNames) -> LogFormat:
    """Return the format of a `log_format`: the text, or the whole directive. Raise BadPattern."""
    if directive := _DIRECTIVE.fullmatch(text):
        text = "".join(a or b for a, b in re.findall(r"'([^']*)'|\"([^\"]*)\"", directive[1]))
    parts: list[str] = []
    seen: set[str] = set()
    at = 0
    found = list(_VARIABLE.finditer(text))
    for number, variable in enumerate(found):
        if number and variable.start() == at:
            raise BadPattern(
                f"nothing stands between {found[number - 1][0]} and {variable[0]}, so nobody can tell where"
                " one ends"
            )
        parts.append(re.escape(text[at : variable.start()]))
        at = variable.end()
        name = (variable[1] or variable[2]).lower()
        value = _value(name, text[variable.start() - 1 : variable.start()], text[at : at + 1])
        wanted = names.find(name) is not None and name not in seen
        parts.append(f"(?P<{name}>{value})" if wanted else f"(?:{value})")
        seen.add(name)
    if not found:
        raise BadPattern("there is no variable in it, such as $remote_addr")
    parts.append(re.escape(text[at:]))
    return checked("".join(parts), time_format=time_format, names=names, escaped=True)


def _value(name: str, before: str, after: str) -> str:
    """Return what a variable's value looks like, between two characters."""
    if after == '"' and before == '"':
        return r"(?:[^\"\\]|\\.)*"
    if after == "]":
        return r"[^\]]*"
    if name in _KNOWN:
        return _KNOWN[name]
    if name.startswith("upstream_") and not name.startswith("upstream_http_"):
        return _LISTED
    return r"\S*" if after in {"", " "} else r".*?"


def checked(regex: str, *, time_format: str, names: FieldNames, escaped: bool = False) -> LogFormat:
    """Return the format of a regular expression. Raise BadPattern, also where it would be slow."""
    if len(regex) > PATTERN:
        raise BadPattern(f"it is longer than {PATTERN:,} characters")
    whole = rf"^(?:{regex})$"
    try:
        groups = [f.name for f in pc.extract_regex(pa.array([""]), whole).type]
    except pa.ArrowInvalid as error:
        raise BadPattern(_words(str(error))) from error
    if len(groups) > GROUPS:
        raise BadPattern(f"it has more than {GROUPS} groups")
    picked = names.pick(groups)
    if "time" not in picked:
        raise BadPattern("no group of it is a time, such as time or time_local")
    if not any(name in picked for name in _OUTCOMES):
        raise BadPattern("no group of it says how a request ended, such as status or outcome")
    if time_format:
        _check_time(time_format)
    if (took := slowness(whole)) > SLOW:
        raise BadPattern(
            f"it needs {took:,.0f} ms for each KiB of a line, and may need {SLOW:g};"
            " write smaller repetitions, such as * instead of {1000}"
        )
    return LogFormat(whole, tuple(groups), escaped, time_format)


def slowness(regex: str) -> float:
    """Return how many ms the expression needs for a KiB of the lines that it likes least; the best of three tries."""
    probes = ["a" * 1024, "0" * 1024, '" ' * 512, "a b" * 340, "\\" * 1024, "[:,=" * 256]
    tries = []
    for _ in range(3):
        began = time.perf_counter()
        for probe in probes:
            pc.extract_regex(pa.array([probe]), regex)
        tries.append((time.perf_counter() - began) * 1000 / len(probes))
    return min(tries)


def _words(error: str) -> str:
    if "unnamed groups" in error:
        return (
            "it has a group without a name: write (?P<name>…), or (?:…) for one that names nothing"
        )
    error = error.removeprefix("Invalid regular expression: ")
    if "perl operator" in error:
        return f"look-around is not known here ({error})"
    if error.startswith("invalid escape sequence"):
        return f"this escape is not known here, and neither are back-references ({error})"
    return error


def _check_time(form: str) -> None:
    moment = datetime(2026, 11, 22, 20, 14, 37, tzinfo=UTC)
    try:
        back = datetime.strptime(moment.strftime(form), form)  # noqa: DTZ007  (compared, not kept)
    except (ValueError, re.error) as error:
        raise BadPattern(f"the time format {form!r} cannot be read ({error})") from error
    back = back.replace(tzinfo=None)
    if (back.year, back.month, back.day, back.hour, back.minute) != (2026, 11, 22, 20, 14):
        raise BadPattern(f"the time format {form!r} does not say year, month, day, hour and minute")


class DeclaredLog:
    """Parser of a declared format."""

    name = "declared"

    def __init__(self, form: LogFormat, names: FieldNames) -> None:
        self._form = form
        self._names = names

    def parse(self, block: Block, *, rejects: Rejects, now_ms: int) -> list[Columns]:
        """Return the events of a block; what cannot be one goes to `rejects`."""
        texts: list[str] = []
        numbers: list[int] = []
        for number, line in enumerate(block.split, block.first_line):
            if not line.strip():
                continue
            if len(line) > LONGEST:
                rejects.add("longer than 64 KiB", number, line)
            else:
                texts.append(_text(line))
                numbers.append(number)
        found = pc.extract_regex(pa.array(texts, pa.string()), self._form.regex)
        fits = found.is_valid().to_numpy(zero_copy_only=False)
        at = np.array(numbers, dtype=np.int64)
        rejects.add_many(NO_MATCH, at[~fits].tolist(), block.line, count=int((~fits).sum()))
        found = found.filter(pa.array(fits))
        named = {
            field: [self._column(found.field(name), field) for name in names]
            for field, names in self._names.pick(self._form.groups).items()
        }
        built = columns_from(named, lines=at[fits], block=block, rejects=rejects, now_ms=now_ms)
        return [built] if len(built) else []

    def _column(self, column: pa.Array, field: str) -> pa.Array:
        if field == "time" and self._form.time:
            return pa.array(self._times(column))
        if self._form.escaped and pc.any(pc.match_substring(column, "\\")).as_py():
            distinct = column.dictionary_encode()
            values = pa.array([unescape(one) for one in distinct.dictionary.to_pylist()])
            return values.take(distinct.indices)
        return column

    def _times(self, column: pa.Array) -> Ints:
        distinct = column.dictionary_encode()
        table = [_time(one, self._form.time) for one in distinct.dictionary.to_pylist()]
        found: Ints = np.array([*table, MISSING], dtype=np.int64)[
            distinct.indices.fill_null(len(table)).to_numpy(zero_copy_only=False)
        ]
        return found

    def fits(self, line: bytes) -> bool:
        """Whether a line is as declared."""
        return bool(
            pc.extract_regex(pa.array([_text(line[:LONGEST])]), self._form.regex)[0].is_valid
        )

    def whole(self, line: bytes, _: bytes) -> bool:
        """Whether a last line without a line break is all there: one that could be shorter may have been longer."""
        return self.fits(line) and not self.fits(line[:-1])


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace").rstrip("\r")


def _time(text: str, form: str) -> int:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007  (set below)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        return MISSING
