"""Route patterns: which paths are one operation, told from the paths alone. Pure.

A pattern is a path with placeholders: `/orders/{id}/items`. A placeholder stands for exactly one whole
part of a path, whatever it is called. Those suggested here are all called `{id}`, as the parts are that
are taken for ids when a log is read (telemetry.meaning.paths).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

PLACEHOLDER = "{id}"
LONGEST = 280
"""Characters of a pattern: with its method it is the name of an operation."""

IDS = 2
"""So many different ids beside each other vary."""

NAMES = 6
"""So many names with a hyphen or a digit, side by side and with the same to follow, vary."""

RESOURCES = 25
"""So many are needed at the root or below `/api/v1`, or when ids follow: there, fixed routes have such names."""

WORDS = 40
"""So many are needed when plain words are among them; never at the root or below `/api/v1`."""

_WORDS = """
about account active add admin all archive auth batch bulk calendar cancel cart check checkout clear
close complete confirm copy count create current dashboard default delete details download edit
export feed filter find first forgot-password health help history home import index info latest list
log-in log-out login logout lookup me mine move new next options page password ping popular preview
previous profile query random recent refresh register remove report reset reset-password restore
resume retry save search self settings sign-in sign-out sign-up start stats status stop submit
subscribe summary sync tags templates test today top trending undo unsubscribe update upload
validate verify version webhook
"""
FIXED = frozenset(_WORDS.split())
"""Words that name a route of their own beside ids, such as `/orders/new`."""

_PLACEHOLDER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]{0,39}\}")
_ID = re.compile(
    r"[0-9][0-9.,:_-]*"
    r"|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=.*[0-9])(?:0x)?[0-9a-fA-F]{7,}"
    r"|(?=(?:[^0-9]*[0-9]){4})[A-Za-z0-9=+~]{16,}"
)
_VERSION = re.compile(r"v[0-9]{1,3}(?:\.[0-9]{1,3})*|[0-9]{1,2}\.[0-9]{1,3}")
_NAME = re.compile(r".*[-_.~%+0-9].*", re.DOTALL)
_ODD = re.compile(r"[\s\x00-\x1f\x7f?#;]")
_NOT_ONE_PART = ("*.", "…")  # what the reader of logs writes for "any file" and "and so on"

Parts = tuple[str, ...]
"""A path's parts, without the slash before each; a placeholder is PLACEHOLDER whatever it was called."""


class InvalidPattern(ValueError):
    """It is no pattern; the message says why in words for the person who wrote it."""


@dataclass(frozen=True, order=True)
class Seen:
    """Requests of one path, as an operation holds them."""

    method: str
    path: str
    requests: int


@dataclass(frozen=True)
class Suggestion:
    """A pattern, and the paths (of this method) that seem to be one operation."""

    method: str
    pattern: str
    paths: tuple[str, ...]  # in alphabetical order; two at least
    requests: int
    share: float  # of all requests that were looked at; 0 of none
    why: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the operation would be called."""
        return f"{self.method} {self.pattern}".strip()


def parts_of(path: str) -> Parts:
    """Return the parts of a path or pattern; the names of placeholders do not matter.

    >>> parts_of("/orders/{order}/items")
    ('orders', '{id}', 'items')
    """
    return tuple(PLACEHOLDER if _PLACEHOLDER.fullmatch(p) else p for p in path.split("/")[1:])


def shape_of(pattern: str) -> str:
    """Return a pattern with all placeholders called alike: equal shapes are the same pattern."""
    return _path(parts_of(pattern))


def checked(pattern: str) -> str:
    """Return a pattern that a person wrote, tidied. Raise InvalidPattern."""
    pattern = pattern.strip()
    if not pattern.startswith("/"):
        raise InvalidPattern("A pattern begins with a slash, as in /orders/{id}.")
    if len(pattern) > LONGEST:
        raise InvalidPattern(f"A pattern has at most {LONGEST} characters.")
    if _ODD.search(pattern):
        raise InvalidPattern("A pattern is a path: no spaces, and nothing from ? # or ; on.")
    parts = parts_of(pattern)
    for part in parts:
        if part != PLACEHOLDER and ("{" in part or "}" in part):
            raise InvalidPattern(
                f"“{part}” is no placeholder: it stands for a whole part between two slashes, "
                "and its name has letters, digits and _ only, as in {order_id}."
            )
        if part.startswith(_NOT_ONE_PART):
            raise InvalidPattern("Write {id} where a part varies; * and … are not understood here.")
    if PLACEHOLDER not in parts:
        raise InvalidPattern("Write {id} for the part that varies, as in /orders/{id}.")
    return pattern


def matches(pattern: str, path: str) -> bool:
    """Whether a path is one of a pattern's; a path may have placeholders itself."""
    ours, theirs = parts_of(pattern), parts_of(path)
    return len(ours) == len(theirs) and all(
        one == other or (one == PLACEHOLDER and _can_stand_for(other))
        for one, other in zip(ours, theirs, strict=True)
    )


def in_common(one: str, other: str) -> str:
    """Return a path that is both of one pattern and of another; "" when there is none."""
    first, second = parts_of(one), parts_of(other)
    return _path(_both(first, second)) if _overlap(first, second) else ""


class Routes:
    """Patterns with a number each, and the number of the one that a path is of.

    Where two could take a path in, the one with a fixed part further to the left does, as in most routers.
    """

    def __init__(self) -> None:
        self._root: dict[str, _Node] = {}

    def __bool__(self) -> bool:
        return bool(self._root)

    def add(self, method: str, pattern: str, number: int) -> None:
        """Add a pattern; of two with the same shape the first stays."""
        node = self._root.setdefault(method, _Node())
        for part in parts_of(pattern):
            node = node.below.setdefault(part, _Node())
        if node.number is None:
            node.number = number

    def find(self, method: str, path: str) -> int | None:
        """Return the number of the pattern that takes a path in, None when there is none."""
        node = self._root.get(method)
        return node.find(path.split("/"), 1) if node else None


class _Node:
    __slots__ = ("below", "number")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.number: int | None = None

    def find(self, parts: Sequence[str], at: int) -> int | None:
        if at == len(parts):
            return self.number
        part = parts[at]
        fixed = self.below.get(part)
        if fixed is not None and (found := fixed.find(parts, at + 1)) is not None:
            return found
        varies = self.below.get(PLACEHOLDER)
        if varies is None or varies is fixed or not _can_stand_for(part):
            return None
        return varies.find(parts, at + 1)


def suggest(seen: Iterable[Seen], *, settled: Collection[tuple[str, str]] = ()) -> list[Suggestion]:
    """Return patterns for paths that differ only in parts that vary, those with most requests first.

    A part varies when, at the same place and with the same to follow, there are at least two ids, or so
    many names (NAMES, RESOURCES, WORDS) that they can hardly be routes. What is in FIXED never varies.
    `settled` are methods and patterns on which a person has decided: they are not suggested again.

    The order of `seen` does not matter. No path is of two of the suggested patterns. Once every
    suggestion is accepted, there are none. Each takes in two paths or more, and each path is in one at
    most, so there are never more than half as many suggestions as paths.
    """
    requests: dict[tuple[str, str], int] = defaultdict(int)
    for one in seen:
        if one.path.startswith("/"):
            requests[one.method, one.path] += one.requests
    total = sum(requests.values())
    decided = {(method, parts_of(pattern)) for method, pattern in settled}
    groups: dict[tuple[str, str], set[tuple[str, str]]] = {key: {key} for key in requests}
    suggested: set[tuple[str, str]] = set()
    while found := _once({k: sum(requests[p] for p in g) for k, g in groups.items()}, decided):
        for new, taken in found.items():
            groups[new] = set().union(*(groups.pop(key) for key in taken))
            suggested.difference_update(taken)
            suggested.add(new)
    result = []
    for method, pattern in suggested:
        paths = sorted(path for _, path in groups[method, pattern])
        count = sum(requests[method, path] for path in paths)
        share = count / total if total else 0.0
        result.append(Suggestion(method, pattern, tuple(paths), count, share, why(pattern, paths)))
    return sorted(result, key=lambda one: (-one.requests, one.pattern, one.method))


def why(pattern: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Say for each placeholder what stands there in the paths, where that varies."""
    ours, theirs = parts_of(pattern), [path.split("/")[1:] for path in paths]
    said = []
    for place, part in enumerate(ours):
        if part != PLACEHOLDER:
            continue
        here = {one[place] for one in theirs}
        values = sorted(one for one in here if not _PLACEHOLDER.fullmatch(one))
        if len(here) < IDS:
            continue
        where = f"after {_path(ours[:place])}" if place else "at the start"
        if not values:
            said.append(f"One place {where} with several names: {', '.join(sorted(here))}")
            continue
        what = "ids" if all(map(_is_id, values)) else "names"
        beside = " and ids" if len(values) < len(here) else ""
        shown = ", ".join(values[:3])
        said.append(
            f"{len(values)} {what if len(values) > 1 else what[:-1]}{beside} {where}, such as {shown}"
        )
    return tuple(said)


def _once(
    requests: dict[tuple[str, str], int], decided: Collection[tuple[str, Parts]]
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return patterns that do not overlap, with the paths that each takes in."""
    by_method: dict[str, list[str]] = defaultdict(list)
    for method, path in sorted(requests):
        by_method[method].append(path)
    candidates = []
    for method, paths in by_method.items():
        for parts, taken in _collapsed([(parts_of(path), path) for path in paths], ()):
            if PLACEHOLDER in parts and len(taken) > 1 and (method, parts) not in decided:
                count = sum(requests[method, path] for path in taken)
                candidates.append((-count, method, parts, taken))
    kept: dict[str, list[Parts]] = {
        method: [parts for path in paths if PLACEHOLDER in (parts := parts_of(path))]
        for method, paths in by_method.items()
    }
    found = {}
    for _, method, parts, taken in sorted(candidates):
        inside = {parts_of(path) for path in taken}
        others = (one for one in kept[method] if one not in inside)
        if not any(_overlap(parts, one) for one in others):
            kept[method].append(parts)
            found[method, _path(parts)] = [(method, path) for path in taken]
    return found


def _collapsed(items: list[tuple[Parts, str]], before: Parts) -> Iterator[tuple[Parts, list[str]]]:
    """Yield the paths that have `before` in common, grouped by what they are without what varies."""
    depth = len(before)
    ends = [path for parts, path in items if len(parts) == depth]
    if ends:
        yield before, ends
    below: dict[str, list[tuple[Parts, str]]] = defaultdict(list)
    for parts, path in items:
        if len(parts) > depth:
            below[parts[depth]].append((parts, path))
    varying = _varying(below, before)
    for part in sorted(below.keys() - varying):
        yield from _collapsed(below[part], (*before, part))
    if varying:
        together = [item for part in sorted(varying) for item in below[part]]
        yield from _collapsed(together, (*before, PLACEHOLDER))


def _varying(below: dict[str, list[tuple[Parts, str]]], before: Parts) -> set[str]:
    """Return which of the parts that stand at one place vary."""
    depth = len(before)
    ids = {part for part in below if _is_id(part)}
    names = {part for part in below if _is_name(part)}
    words = {part for part in below if part not in ids | names | FIXED and _can_stand_for(part)}
    follow = {part: _followers(part, below[part], depth) for part in names | words}
    like_root = all(part == "api" or _VERSION.fullmatch(part) for part in before)
    varying: set[str] = set()
    for group in _alike(names, follow):
        ids_follow = any(PLACEHOLDER in follow[part] for part in group)
        if len(group) >= (RESOURCES if like_root or ids_follow else NAMES):
            varying |= group
    if not like_root:
        plain = {part for part in names | words if PLACEHOLDER not in follow[part]}
        for group in _alike(plain, follow):
            if len(group) >= WORDS:
                varying |= group
    # paths that name one place differently count as ids as well: /orders/{id}, /orders/{order}
    several = len(ids) >= IDS or len({path for part in ids for _, path in below[part]}) >= IDS
    return varying | ids if varying or several else varying


def _followers(part: str, items: list[tuple[Parts, str]], depth: int) -> set[str]:
    """Return what may follow a part, "" (and its extension) for nothing."""
    found = set()
    for parts, _ in items:
        if len(parts) == depth + 1:
            _, dot, extension = part.rpartition(".")
            found.add(f".{extension}" if dot and extension.isalpha() else "")
        else:
            then = parts[depth + 1]
            found.add(PLACEHOLDER if _is_id(then) else "-" if _is_name(then) else then)
    return found


def _alike(parts: Collection[str], follow: dict[str, set[str]]) -> list[set[str]]:
    """Group parts that are linked by something that follows both."""
    groups: list[tuple[set[str], set[str]]] = []
    for part in sorted(parts):
        members, after = {part}, set(follow[part])
        apart = []
        for group in groups:
            if group[1] & after:
                members |= group[0]
                after |= group[1]
            else:
                apart.append(group)
        groups = [*apart, (members, after)]
    return [members for members, _ in groups]


def _is_id(part: str) -> bool:
    return part == PLACEHOLDER or bool(_ID.fullmatch(part) and not _VERSION.fullmatch(part))


def _is_name(part: str) -> bool:
    return (
        bool(_NAME.fullmatch(part))
        and part.lower() not in FIXED
        and _can_stand_for(part)
        and not _is_id(part)
        and not _VERSION.fullmatch(part)
        and "{" not in part
    )


def _can_stand_for(part: str) -> bool:
    return bool(part) and not part.startswith(_NOT_ONE_PART)


def _overlap(one: Parts, other: Parts) -> bool:
    return len(one) == len(other) and all(
        a == b
        or (a == PLACEHOLDER and _can_stand_for(b))
        or (b == PLACEHOLDER and _can_stand_for(a))
        for a, b in zip(one, other, strict=True)
    )


def _both(one: Parts, other: Parts) -> Parts:
    return tuple(b if a == PLACEHOLDER else a for a, b in zip(one, other, strict=True))


def _path(parts: Parts) -> str:
    return "/" + "/".join(parts)
