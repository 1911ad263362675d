"""Times of any writer to epoch milliseconds."""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.telemetry.formats.columns import MISSING, Ints

MONTHS = {
    m: i
    for i, m in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253402300799999  # the last millisecond of the year 9999
_CLF = re.compile(
    r"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))? ([+-])(\d\d):?(\d\d)\]?"
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_FRACTION = re.compile(r"([.,]\d{6})\d+")


def from_number(value: float) -> int:
    """Return epoch ms of epoch seconds, ms, µs or ns, told apart by size. Raise ValueError if it is none."""
    size = abs(value)
    if size < 1e11:
        return round(value * 1000)
    if size < 1e14:
        return int(value)
    if size < 1e17:
        return math.floor(value / 1000)
    if size < 1e20:
        return math.floor(value / 1e6)
    raise ValueError("not a time")


def parse(text: str) -> int:
    """Return epoch ms of RFC 3339, common log format or an epoch number. Raise ValueError if it is none.

    A time without a zone is taken as UTC.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return from_number(float(text))
    if match := _CLF.fullmatch(text):
        return _clf(match)
    text = _FRACTION.sub(r"\1", text)
    if text[-1:] in "zZ":
        text = text[:-1] + "+00:00"
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _clf(match: re.Match[str]) -> int:
    day, month, year, hour, minute, second, fraction, sign, zone_h, zone_m = match.groups()
    if month not in MONTHS:
        raise ValueError("not a month")
    # a leap second is written as :60
    seconds = min(int(second), 59)
    offset = timedelta(hours=int(zone_h), minutes=int(zone_m)) * (-1 if sign == "-" else 1)
    moment = datetime(
        int(year), MONTHS[month], int(day), int(hour), int(minute), seconds, tzinfo=timezone(offset)
    )
    milli = int((fraction or "0").ljust(3, "0")[:3])
    return (moment - EPOCH) // timedelta(milliseconds=1) + milli


@lru_cache(maxsize=65536)
def parsed_or_missing(text: str) -> int:
    """Return epoch ms, or MISSING where it is no time."""
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return MISSING


@lru_cache(maxsize=1024)
def _midnight(date: str, zone: str) -> int:
    return parsed_or_missing(f"{date}:00:00:00 {zone}")


def clf_ms(text: str, zone: str) -> int:
    """Return epoch ms of `22/Nov/2026:22:14:37` in a zone such as `+0000`, or MISSING."""
    day = _midnight(text[:11], zone)
    clock = text[12:].split(":")
    if (
        day == MISSING
        or len(clock) != 3
        or len(text) != 20
        or not all(p.isdecimal() for p in clock)
    ):
        return parsed_or_missing(f"{text} {zone}")
    hour, minute, second = (int(p) for p in clock)
    if hour > 23 or minute > 59 or second > 60:
        return MISSING
    return day + (hour * 3600 + minute * 60 + min(second, 59)) * 1000


def to_ms(values: pa.Array) -> Ints:
    """Return epoch ms for a column of strings or numbers; MISSING where a value is no time."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return _numbers(values)
    if not pa.types.is_string(values.type):
        values = values.cast(pa.string())
    try:
        stamps = values.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        distinct = values.dictionary_encode()
        known = [
            MISSING if v is None else parsed_or_missing(v) for v in distinct.dictionary.to_pylist()
        ]
        table = np.array([*known, MISSING], dtype=np.int64)
        found: Ints = table[distinct.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)]
        return found
    micros = stamps.view(pa.int64())
    missing = micros.is_null().to_numpy(zero_copy_only=False)
    result: Ints = np.floor_divide(micros.fill_null(0).to_numpy(zero_copy_only=False), 1000)
    result[missing] = MISSING
    return result


def _numbers(values: pa.Array) -> Ints:
    floats = pc.cast(values, pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    size = np.abs(floats)
    missing = ~(size < 1e20)
    floats = np.where(missing, 0.0, floats)
    result: Ints = np.select(
        [size < 1e11, size < 1e14, size < 1e17],
        [np.rint(floats * 1000), np.trunc(floats), np.floor(floats / 1000)],
        np.floor(floats / 1e6),
    ).astype(np.int64)
    result[missing] = MISSING
    return result
