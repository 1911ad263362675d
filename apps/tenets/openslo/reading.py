"""YAML with line numbers: nodes of documents, bounded in size, depth and number; nothing is constructed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

MOST_BYTES = 256 * 1024
MOST_DOCUMENTS = 200
MOST_NODES = 20_000  # counted where an anchor is used, too
DEEPEST = 30
LONGEST_NUMBER = 30

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_PLAIN = {
    f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq")
}


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong with a line (an error), or worth knowing about it (a note)."""

    line: int
    text: str
    error: bool = True


class Unreadable(Exception):
    """The file is no YAML that we read."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(line, text)


@dataclass
class At:
    """A value and the line that it stands on. `kind`: text, number, flag, none, map or list."""

    kind: str
    line: int
    value: Any = None
    raw: str = ""  # of a number or a flag: as it is written
    entries: dict[str, "At"] = field(default_factory=dict)
    items: list["At"] = field(default_factory=list)

    def get(self, name: str) -> "At | None":
        """Return what stands under a key; an empty value is none."""
        found = self.entries.get(name)
        return None if found is None or found.kind == "none" else found

    def plain(self) -> Any:
        """Return the value as JSON knows it."""
        if self.kind == "map":
            return {name: one.plain() for name, one in self.entries.items()}
        if self.kind == "list":
            return [one.plain() for one in self.items]
        if self.kind == "number":
            return _json_number(self.value)
        return self.value

    def walk(self) -> Iterator[tuple[str, "At"]]:
        """Yield every key with its value, at any depth."""
        for name, one in self.entries.items():
            yield name, one
            yield from one.walk()
        for one in self.items:
            yield from one.walk()


def documents(text: str) -> list[At]:
    """Return the documents of a file. Raise Unreadable with the line and the reason."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise Unreadable(1, f"The file is larger than {MOST_BYTES // 1024} KiB.")
    try:
        _bounded(text)
        nodes = list(yaml.compose_all(text, Loader=_LOADER))
        counter = [0]
        return [_at(node, counter, 0) for node in nodes]
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, max(0, int(problem.position))) + 1
        raise Unreadable(line, "This is no text that YAML allows.") from None
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise Unreadable(
            (mark.line + 1) if mark else 1,
            f"This is no YAML: {problem.problem or problem.context}.",
        ) from None
    except (yaml.YAMLError, ValueError, UnicodeError):
        raise Unreadable(1, "This is no YAML.") from None


def _bounded(text: str) -> None:
    """Refuse what would cost too much before anything is built of it."""
    depth = found = nodes = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            found += 1
            if found > MOST_DOCUMENTS:
                raise Unreadable(line, f"There are more than {MOST_DOCUMENTS} documents.")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise Unreadable(line, f"This is nested deeper than {DEEPEST} levels.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes > MOST_NODES:
                raise Unreadable(line, f"There are more than {MOST_NODES:,} values.")


def _at(node: Any, counter: list[int], depth: int) -> At:
    line = node.start_mark.line + 1
    counter[0] += 1
    if counter[0] > MOST_NODES:
        raise Unreadable(
            line, f"With its anchors followed, it has more than {MOST_NODES:,} values."
        )
    if depth > DEEPEST:
        raise Unreadable(line, f"With its anchors followed, it is deeper than {DEEPEST} levels.")
    if node.tag not in _PLAIN:
        raise Unreadable(line, "Only plain values are read: no tags, no merge keys.")
    if isinstance(node, yaml.MappingNode):
        entries: dict[str, At] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is None or key.value == "<<":
                raise Unreadable(key.start_mark.line + 1, "Keys are plain text: no merge keys.")
            _legible(name, key.start_mark.line + 1)
            if name in entries:
                raise Unreadable(key.start_mark.line + 1, f"“{name[:40]}” stands here twice.")
            entries[name] = _at(value, counter, depth + 1)
        return At("map", line, entries=entries)
    if isinstance(node, yaml.SequenceNode):
        return At("list", line, items=[_at(one, counter, depth + 1) for one in node.value])
    return _scalar(node, line)


def _scalar(node: Any, line: int) -> At:
    value = node.value
    _legible(value, line)
    match node.tag.removeprefix(_TAG):
        case "null":
            return At("none", line)
        case "bool" if value.lower() in {"true", "false"}:
            # yes, no, on and off are words: so YAML 1.2 has it, and so do those who write them.
            return At("flag", line, value=value.lower() == "true", raw=value)
        case "int" | "float" if len(value) <= LONGEST_NUMBER:
            number = _number(value)
            return (
                At("text", line, value=value)
                if number is None
                else At("number", line, number, raw=value)
            )
        case _:
            return At("text", line, value=value)


def _legible(text: str, line: int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unreadable(line, "Half a character stands here.") from None
    if "\0" in text:
        raise Unreadable(line, "A NUL character stands here.")


def _number(text: str) -> Decimal | None:
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] != ".":
        return None  # octal in YAML 1.1: nobody means that
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= LONGEST_NUMBER else None


def _json_number(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)
