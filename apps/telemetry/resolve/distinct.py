"""A column as the values that occur in it, so that each is looked up once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from apps.telemetry.formats.columns import Ints
from apps.telemetry.meaning.hashing import Hashes

Codes = NDArray[np.int64]


@dataclass
class Distinct:
    """A column as its distinct values and, for each row, the number of its value (-1 = none)."""

    encoded: pa.Array
    codes: Codes

    @classmethod
    def of(cls, column: pa.Array) -> "Distinct":
        """Encode a column; "" and "-" are no values."""
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        for blank in ("", "-"):
            if (at := pc.index(encoded.dictionary, blank).as_py()) >= 0:
                codes[codes == at] = -1
        return cls(encoded.dictionary, codes)

    @classmethod
    def none(cls, count: int) -> "Distinct":
        """Return a column in which nothing is given."""
        return cls(pa.array([], pa.string()), np.full(count, -1, dtype=np.int64))

    @cached_property
    def values(self) -> list[str]:
        found: list[str] = self.encoded.to_pylist()
        return found

    def numbers(self, each: Sequence[int] | Hashes, none: int = 0) -> Ints:
        """Return for each row the number that belongs to its value."""
        table = np.empty(len(self.encoded) + 1, dtype=np.int64)
        table[:-1] = each
        table[-1] = none
        return table[self.codes]


def renumbered(values: Ints, size: int) -> tuple[Ints, Ints]:
    """Return the values in use, and for each row the place of its value among them (-1 stays -1)."""
    if size > 4 * len(values) + 1_000_000:  # too sparse for a table
        used, codes = np.unique(values, return_inverse=True)
        if len(used) and used[0] == -1:
            return used[1:], codes - 1
        return used, codes.astype(np.int64)
    seen = np.zeros(size + 1, dtype=bool)
    seen[values] = True
    seen[size] = False
    used = np.flatnonzero(seen)
    place = np.full(size + 1, -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return used, place[values]
