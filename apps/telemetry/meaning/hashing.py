"""64-bit hashes: keyed ones for people, quick ones for ids that name nobody."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.int64]
Words = NDArray[np.uint64]
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
LONG = 512  # bytes; longer values are brought to 16 by BLAKE2b first


class KeyedHash:
    """Hashes values with a secret key; the same value always gives the same number under one key.

    SipHash-2-4 under a key that BLAKE2b derives for each purpose: a keyed function of 64 bits that a
    whole column goes through in a few dozen array operations.
    """

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32).digest()
        self._derived: dict[str, tuple[np.uint64, np.uint64]] = {}

    def one(self, purpose: str, value: str) -> int:
        """Return the hash of a value, different for each purpose."""
        return int(self.many(purpose, pa.array([value], pa.string()))[0])

    def many(self, purpose: str, values: pa.Array) -> Hashes:
        """Return the hashes of a column of strings without nulls."""
        key = self._derive(purpose)
        raw, starts, lengths = _bytes_of(values)
        if lengths.size and int(lengths.max()) > LONG:
            short = [_shortened(text, self._key) for text in values.to_pylist()]
            raw, starts, lengths = _bytes_of(pa.array(short, pa.binary()))
        return siphash(raw, starts, lengths, key).view(np.int64)

    def _derive(self, purpose: str) -> tuple[np.uint64, np.uint64]:
        if purpose not in self._derived:
            digest = blake2b(purpose.encode(), digest_size=16, key=self._key).digest()
            first, second = np.frombuffer(digest, "<u8")
            self._derived[purpose] = first, second
        return self._derived[purpose]

    def quick(self, purpose: str, values: pa.Array) -> Hashes:
        """Hash a column of ids, nearly all of them different, at memory speed. Nulls give any number.

        Not for what must stay secret: the mixing is good (splitmix64), but not cryptographic.
        """
        seed = self._derive(purpose)[0]
        raw, starts, lengths = _bytes_of(values)
        result = np.zeros(len(values), dtype=np.uint64)
        for length in _used(lengths):
            rows = np.flatnonzero(lengths == length)
            result[rows] = _mixed(raw, starts[rows], int(length), seed)
        return result.view(np.int64)


def _bytes_of(values: pa.Array) -> tuple[NDArray[np.uint8], Hashes, Hashes]:
    """Return the bytes of a column, and where in them each value begins and how long it is."""
    _, places, data = values.buffers()
    offsets = np.frombuffer(places, np.int32)[values.offset :][: len(values) + 1].astype(np.int64)
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw, offsets[:-1], np.diff(offsets)


def _used(numbers: Hashes) -> Hashes:
    """Return which small numbers occur."""
    if numbers.size and int(numbers.max()) > 1 << 16:
        return np.unique(numbers)
    return np.flatnonzero(np.bincount(numbers))


def _shortened(text: str, key: bytes) -> bytes:
    plain = text.encode()
    return plain if len(plain) <= LONG else blake2b(plain, digest_size=16, key=key).digest()


def siphash(
    raw: NDArray[np.uint8], starts: Hashes, lengths: Hashes, key: tuple[np.uint64, np.uint64]
) -> Words:
    """Return SipHash-2-4 of many byte strings at once."""
    result = np.zeros(len(starts), dtype=np.uint64)
    words = lengths // 8 + 1
    for count in _used(words):
        rows = np.flatnonzero(words == count)
        place = np.arange(count * 8)
        inside = place < lengths[rows][:, None]
        at = np.where(inside, starts[rows][:, None] + place, 0)
        message = np.where(inside, raw[at] if raw.size else 0, 0).astype(np.uint8)
        message[:, -1] = lengths[rows] & 0xFF
        result[rows] = _sip(np.ascontiguousarray(message.view("<u8").T), key)
    return result


def _sip(message: Words, key: tuple[np.uint64, np.uint64]) -> Words:
    """SipHash-2-4 down the columns of `message`."""
    size = message.shape[1]
    a = np.full(size, key[0] ^ np.uint64(0x736F6D6570736575))
    b = np.full(size, key[1] ^ np.uint64(0x646F72616E646F6D))
    c = np.full(size, key[0] ^ np.uint64(0x6C7967656E657261))
    d = np.full(size, key[1] ^ np.uint64(0x7465646279746573))
    for word in message:
        d ^= word
        _sip_rounds(a, b, c, d, 2)
        a ^= word
    c ^= np.uint64(0xFF)
    _sip_rounds(a, b, c, d, 4)
    return a ^ b ^ c ^ d


def _sip_rounds(a: Words, b: Words, c: Words, d: Words, count: int) -> None:
    spare = np.empty_like(a)
    for _ in range(count):
        a += b
        _rotate(b, 13, spare)
        b ^= a
        _rotate(a, 32, spare)
        c += d
        _rotate(d, 16, spare)
        d ^= c
        a += d
        _rotate(d, 21, spare)
        d ^= a
        c += b
        _rotate(b, 17, spare)
        b ^= c
        _rotate(c, 32, spare)


def _rotate(word: Words, bits: int, spare: Words) -> None:
    np.right_shift(word, np.uint64(64 - bits), out=spare)
    np.left_shift(word, np.uint64(bits), out=word)
    np.bitwise_or(word, spare, out=word)


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


def splitmix(state: Words) -> Words:
    """Mix 64 bits so that each one depends on all (the finaliser of splitmix64)."""
    state = (state ^ (state >> np.uint64(30))) * _MIX_A
    state = (state ^ (state >> np.uint64(27))) * _MIX_B
    return state ^ (state >> np.uint64(31))


def combined(first: Hashes, second: Hashes) -> Hashes:
    """Return one hash of two, order kept."""
    left, right = first.view(np.uint64), second.view(np.uint64)
    return splitmix(splitmix(left) * _PRIME + right).view(np.int64)
