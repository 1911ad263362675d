"""Failure by meaning: what the caller got, also where a proxy logged something else."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apps.analytics.events import Outcome
from apps.telemetry.formats.columns import Columns, Ints, Smalls

FAILED = (408, 425, 429)  # and everything from 500
FROM_CACHE = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})


@lru_cache(maxsize=65536)
def upstream_status(text: str) -> int:
    """Return the status that the first place asked gave, at its last try. -1 where there was none.

    nginx writes `A, B` for tries, one after the other, and ` : ` where an internal redirect (such as
    an error page) asked somewhere else. What the caller wanted was the first; the rest is dressing.
    """
    tries = text.partition(" : ")[0].split(",")
    last = tries[-1].strip()
    return int(last) if last.isdecimal() and len(last) <= 3 else -1


def meaning(columns: Columns) -> tuple[Ints, Smalls]:
    """Return each request's status by meaning (MISSING where there is none) and its Outcome."""
    status = columns.status
    masked = _upstream(columns)
    left = status == 499
    if "flags" in columns.text:
        left |= (status == 0) & _says(columns.text["flags"], lambda flags: "DC" in flags.split(","))
    means = np.where((masked >= 500) & ~left, masked, status)
    failed = (means >= 500) | np.isin(means, FAILED) | (means == 0)
    outcome = np.where(left, Outcome.CLIENT_ABORT, np.where(failed, Outcome.FAILED, Outcome.OK))
    outcome = np.where(columns.declared >= 0, columns.declared, outcome)
    return means, outcome.astype(np.int8)


def _upstream(columns: Columns) -> Ints:
    if "upstream" not in columns.text:
        return np.full(len(columns), -1)
    distinct = columns.text["upstream"].dictionary_encode()
    codes = [upstream_status(text) for text in distinct.dictionary.to_pylist()]
    table = np.array([*codes, -1], dtype=np.int64)
    result: Ints = table[distinct.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)]
    if "cache" in columns.text:
        result = np.where(
            _says(columns.text["cache"], lambda word: word.upper() in FROM_CACHE), -1, result
        )
    return result


def _says(column: pa.Array, test: Callable[[str], bool]) -> NDArray[np.bool_]:
    distinct = column.dictionary_encode()
    table = np.array([*(test(word) for word in distinct.dictionary.to_pylist()), False])
    result: NDArray[np.bool_] = table[
        distinct.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)
    ]
    return result
