"""64-bit hashes: keyed ones for people, quick ones for ids that name nobody."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.int64]
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
CACHE = 500_000  # values remembered; forgotten all at once when full


class _Known(dict[str, int]):
    """The hashes of one purpose; a lookup of a new value computes it."""

    def __init__(self, key: bytes, purpose: str) -> None:
        super().__init__()
        self._key = key
        self._purpose = purpose.encode()[:16]

    def __missing__(self, value: str) -> int:
        text = value.encode("utf-8", "backslashreplace")
        digest = blake2b(text, digest_size=8, key=self._key, person=self._purpose).digest()
        if len(self) >= CACHE:
            self.clear()
        self[value] = number = int.from_bytes(digest, "little", signed=True)
        return number


class KeyedHash:
    """Hashes values with a secret key; the same value always gives the same number under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()
        self._known: dict[str, _Known] = {}

    def one(self, purpose: str, value: str) -> int:
        """Return the hash of a value, different for each purpose."""
        if purpose not in self._known:
            self._known[purpose] = _Known(self._key, purpose)
        return self._known[purpose][value]

    def many(self, purpose: str, values: list[str]) -> Hashes:
        """Return the hashes of many values."""
        self.one(purpose, "")
        return np.array(list(map(self._known[purpose].__getitem__, values)), dtype=np.int64)

    def quick(self, purpose: str, values: pa.Array) -> Hashes:
        """Hash a column of ids, nearly all of them different, at memory speed. Nulls give any number.

        Not for what must stay secret: the mixing is good (splitmix64), but not cryptographic.
        """
        seed = np.uint64(self.one(purpose, "") & 0xFFFFFFFFFFFFFFFF)
        offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset :][: len(values) + 1]
        lengths = np.diff(offsets)
        data = values.buffers()[2]
        raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        result = np.zeros(len(values), dtype=np.uint64)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            result[rows] = _mixed(raw, offsets[rows].astype(np.int64), int(length), seed)
        return result.view(np.int64)


def _mixed(
    raw: NDArray[np.uint8], starts: Hashes, length: int, seed: np.uint64
) -> NDArray[np.uint64]:
    state = np.full(len(starts), seed ^ np.uint64(length), dtype=np.uint64)
    for at in range(0, length, 8):
        take = min(8, length - at)
        word = np.zeros((len(starts), 8), dtype=np.uint8)
        word[:, :take] = raw[starts[:, None] + np.arange(at, at + take)]
        state = splitmix((state ^ word.view(np.uint64)[:, 0]) + _PRIME)
    return splitmix(state)


def splitmix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix 64 bits so that each one depends on all (the finaliser of splitmix64)."""
    state = (state ^ (state >> np.uint64(30))) * _MIX_A
    state = (state ^ (state >> np.uint64(27))) * _MIX_B
    return state ^ (state >> np.uint64(31))


def combined(first: Hashes, second: Hashes) -> Hashes:
    """Return one hash of two, order kept."""
    left, right = first.view(np.uint64), second.view(np.uint64)
    return splitmix(splitmix(left) * _PRIME + right).view(np.int64)
