"""Whose would these requests be? Tried with the rules as they are; nothing is stored.

The same parsers and the same resolver as for traffic, with a registry that only counts, so that a trial
proposes neither services nor operations.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from django.conf import settings

from apps.analytics.events import ActorKind, Traffic
from apps.customers.models import Attribute, Customer, IdentificationRule
from apps.telemetry.catalogue import DEFAULT_SERVICE, RULE_ORDER, identities
from apps.telemetry.formats import detect
from apps.telemetry.formats.columns import Block, Rejects
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.resolve import NOBODY, Resolver, Traits, Wanted
from apps.telemetry.resolve.rows import Rows
from apps.telemetry.rules import Rules
from apps.telemetry.sources import GZIP

LARGEST = 1 << 20  # bytes of a text or file, unpacked
MOST_LINES = 100
MOST_REASONS = 30  # rules of which a line says why they did not match

ACTORS = {
    ActorKind.NONE: "nothing that tells people apart",
    ActorKind.END_USER: "a signed-in user",
    ActorKind.SESSION: "a session",
    ActorKind.ADDRESS: "an address and its program",
}
TRAFFIC = {Traffic.BOT: "a bot", Traffic.PROBE: "a health check"}


class UnableToTry(Exception):
    """Nothing in it can be read as a request; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Reason:
    """Why a rule did not match a line."""

    rank: int
    rule: IdentificationRule
    words: str


@dataclass
class Answer:
    """What is known of one line."""

    line: int
    customer: Customer | None = None
    rank: int = 0  # of the rule in the list; 0 = no rule
    rule: IdentificationRule | None = None
    actor: str = ""
    aside: str = ""  # a bot or a health check, which no customer's figure counts
    carries: list[tuple[str, str]] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    more_reasons: int = 0
    refused: str = ""  # why it is no event
    excerpt: str = ""


@dataclass(frozen=True)
class Trial:
    """The answers to a text, and what it was recognised as."""

    recognised: str
    answers: list[Answer]
    named: int
    unnamed: int
    refused: int
    left_out: int  # lines after the first MOST_LINES


class _Counting:
    """Numbers for services and operations that are forgotten at once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def service(self, slug: str) -> int:
        return self._known.setdefault(slug, len(self._known) + 1)

    def operations(self, service: int, wanted: Sequence[Wanted]) -> list[int]:  # noqa: ARG002  (a Registry's)
        return [1] * len(wanted)

    def routed(self, service: int, wanted: Wanted) -> bool:  # noqa: ARG002  (a Registry's)
        return False

    def traits(self, wanted: Sequence[Traits]) -> list[int]:
        return [0] * len(wanted)


def attempt(data: bytes, *, now: datetime) -> Trial:
    """Say of each request whose it would be. Raise UnableToTry."""
    data = _lines_of(_unpacked(data))
    lines = data.splitlines(keepends=True)
    kept, left_out = b"".join(lines[:MOST_LINES]), max(len(lines) - MOST_LINES, 0)
    try:
        found = detect.find(kept, wanted="auto", names=FieldNames())
    except detect.UnknownFormat as problem:
        raise UnableToTry(
            problem.message,
            "Paste a line of an access log, or one JSON object for each request and line.",
        ) from problem
    rejects = Rejects(keep=MOST_LINES)
    block = Block(kept.removeprefix(detect.BOM))
    parsed = found.parser.parse(block, rejects=rejects, now_ms=int(now.timestamp() * 1000))
    rules = list(IdentificationRule.objects.select_related("customer").order_by(*RULE_ORDER))
    resolver = Resolver(
        key=settings.PORTAL_ACTOR_KEY,
        registry=_Counting(),
        identities=identities(),
        rules=Rules(),
        service=DEFAULT_SERVICE,
    )
    answers: list[Answer] = []
    for columns in parsed:
        if len(columns):
            answers += _answers(Rows(resolver, columns), columns.lines.tolist(), rules)
    answers += [
        Answer(line=one.line, refused=one.reason, excerpt=one.excerpt) for one in rejects.samples
    ]
    counted = [one for one in answers if not one.refused and not one.aside]
    named = sum(one.customer is not None for one in counted)
    return Trial(
        recognised=found.description,
        answers=sorted(answers, key=lambda one: one.line),
        named=named,
        unnamed=len(counted) - named,
        refused=rejects.total,
        left_out=left_out,
    )


def _answers(rows: Rows, lines: list[int], rules: list[IdentificationRule]) -> list[Answer]:
    live = [(rank, rule) for rank, rule in enumerate(rules, 1) if rule.enabled]
    matched = rows.matched()
    customer = rows.customers(matched)
    _, kinds = rows.actors(customer, matched)
    traffic = rows.traffic()
    people = Customer.objects.in_bulk({int(pk) for pk in customer if pk != NOBODY})
    answers = []
    for row, line in enumerate(lines):
        seen = rows.seen(row)
        one = Answer(
            line=line,
            customer=people.get(int(customer[row])),
            actor=ACTORS[ActorKind(int(kinds[row]))],
            aside=TRAFFIC.get(Traffic(int(traffic[row])), ""),
            carries=[(Attribute(name).label, value[:200]) for name, value in seen.items()],
        )
        if matched[row] < len(live):
            one.rank, one.rule = live[int(matched[row])]
        elif one.customer is None:
            one.reasons = [
                Reason(rank, rule, why_not(rule, seen))
                for rank, rule in enumerate(rules[:MOST_REASONS], 1)
            ]
            one.more_reasons = max(len(rules) - MOST_REASONS, 0)
        answers.append(one)
    return answers


def why_not(rule: IdentificationRule, seen: dict[str, str]) -> str:
    """Say why a rule does not match what a line carries."""
    if not rule.enabled:
        return "it is switched off"
    value = seen.get(rule.attribute)
    if value is None:
        return f"the line carries no {Attribute(rule.attribute).label.lower()}"
    shown = value if len(value) <= 60 else value[:59] + "…"
    match rule.attribute:
        case Attribute.PATH_PREFIX:
            return f"the path is {shown}"
        case Attribute.NETWORK:
            return f"the address {shown} is not in it"
        case _:
            return f"the line says “{shown}”"


def _unpacked(data: bytes) -> bytes:
    if data.startswith(GZIP):
        unzip = zlib.decompressobj(31)
        try:
            data = unzip.decompress(data, LARGEST + 1)
        except zlib.error as problem:
            raise UnableToTry(
                "The file is packed with gzip, and damaged", "Send it again, or unpack it first."
            ) from problem
        if not unzip.eof and len(data) <= LARGEST:
            raise UnableToTry("The gzip data ends before its end", "Send the whole file.")
    if len(data) > LARGEST:
        raise UnableToTry(
            "That is more than 1 MiB", f"The first {MOST_LINES} lines are enough to try."
        )
    if not data.strip():
        raise UnableToTry("There is nothing in it", "Paste a line, or choose a file.")
    return data


def _lines_of(data: bytes) -> bytes:
    """Return JSON that is spread over several lines, or a list of objects, as one object in each line."""
    if data.lstrip()[:1] not in {b"{", b"["}:
        return data
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data  # lines of their own, or garbage that the parser will name
    events = found if isinstance(found, list) else [found]
    return b"".join(orjson.dumps(one) + b"\n" for one in events[: MOST_LINES + 1])
