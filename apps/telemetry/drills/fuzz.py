"""`drill fuzz`: mutated real payloads against every door: refused in words or taken in, never an error, never for long.

Most go through parser and resolver directly, in this process; some over HTTP to a server of its own, with the
payloads that are made to hurt: packed bombs, deep nesting, a million attributes.
"""

import gzip
import http.client
import json
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from django.conf import settings
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps.core.figures import DrillStep, Option, drill
from apps.telemetry import otlp
from apps.telemetry.actions import BadDelivery
from apps.telemetry.actions.delivery import Form, parsed
from apps.telemetry.drills.installation import Home, free_port, installation
from apps.telemetry.formats import detect
from apps.telemetry.formats.columns import Block, Columns, Rejects
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.resolve import Identities, Resolver, Wanted
from apps.telemetry.resolve.operations import Traits
from apps.telemetry.rules import Rules

PAYLOADS = Option("--payloads", int, 1_000_000, "how many mutated payloads", quick=2_000)
OVER_HTTP = 100  # one payload of so many goes over HTTP as well
LONG = 5.0  # seconds for a payload of a few kilobytes
MEMORY_MB = 512
LINES = 12  # of a log in one payload

Door = Literal["traces", "logs", "events", "file"]
REFUSED = (BadDelivery, otlp.NotOtlp, detect.UnknownFormat)

NASTY: tuple[bytes, ...] = (
    *(
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b"\xc3(",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r\n",
    ),
    *(
        b"-1",
        b"9" * 400,
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"0.1e-999",
        b"253402300800000",
        b"-9223372036854775808",
    ),
    *(
        b"18446744073709551616",
        b"9999-12-31T23:59:60Z",
        b"0000-00-00T00:00:00Z",
        b"-0001-01-01T00:00:00Z",
    ),
    *(
        b"31/Feb/9999:99:99:99 +9999",
        b"\\ud800",
        b"\\u0000",
        b"null",
        b"true",
        b"[" * 600,
        b'{"a":' * 600,
    ),
    *(
        b"%00%ff%",
        b"\xe2\x80\xae",
        b"A" * 5000,
        b"../../..",
        b"<script>",
        b"' OR 1=1",
        b"$__proto__",
        b"\x1f\x8b",
    ),
)
VALUES: tuple[object, ...] = (
    *(
        None,
        True,
        False,
        -1,
        0,
        2**63,
        -(2**63),
        1e308,
        -0.0,
        "",
        "-",
        "\0",
        "x" * 3000,
        "\ud7ff",
        "é" * 300,
    ),
    *(
        [],
        {},
        [[]],
        {"a": {"b": []}},
        "9999-12-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        253402300800000,
        "NaN",
        "1e5",
    ),
    *(
        ["a"] * 300,
        {str(n): n for n in range(300)},
        "::ffff:1.2.3.4%eth0",
        "/" * 2000,
        "GET  HTTP/1.1",
    ),
)


@dataclass(frozen=True)
class Seed:
    """A real payload, and by which door it comes."""

    door: Door
    kind: str  # content type; "" for a file
    body: bytes


class Numbers:
    """Gives numbers without a database."""

    def __init__(self) -> None:
        self._known: dict[object, int] = {}

    def _number(self, key: object) -> int:
        if len(self._known) > 50_000:
            self._known.clear()
        return self._known.setdefault(key, len(self._known) + 1)

    def service(self, slug: str) -> int:
        return self._number(slug)

    def operations(self, service: int, wanted: Sequence[Wanted]) -> list[int]:
        return [self._number((service, one)) for one in wanted]

    def routed(self, service: int, wanted: Wanted) -> bool:  # noqa: ARG002  (a Registry)
        return False

    def traits(self, wanted: Sequence[Traits]) -> list[int]:
        return [self._number(one) for one in wanted]


@dataclass
class _Count:
    tried: int = 0
    taken: int = 0
    slow: int = 0
    longest: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)


@drill(
    "fuzz",
    help="mutated real payloads against every door: no error, no crash, bounded time and memory",
    options=[PAYLOADS],
)
def fuzz(*, payloads: int, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Mutate real payloads and send them by every door."""
    dice = random.Random(seed)  # noqa: S311  (mutations, not secrets)
    known = seeds(Path(settings.BASE_DIR) / "tests" / "data")
    count = _Count()
    reader = Reader()
    with installation(own=False) as home:
        port = free_port()
        with home.serving(port) as _:
            sender = _Sender(home, port)
            for number in range(payloads):
                one = mutated(dice.choice(known), dice)
                _try(reader, one, count)
                if not number % OVER_HTTP:
                    sender.send(one)
            ours = (
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            )  # before those are made
            for name, one in hurtful().items():
                sender.send(one, name)
            peak = sender.peak_mb()
    yield DrillStep(
        "through parser and resolver",
        count.tried,
        sum(count.errors.values()),
        "; ".join(f"{n} x {what}" for what, n in count.errors.most_common(3))
        or f"{count.taken / max(count.tried, 1):.0%} held requests",
    )
    yield DrillStep(
        f"none took longer than {LONG:g} s",
        count.tried,
        count.slow,
        f"longest {count.longest:.2f} s",
    )
    yield DrillStep(
        f"memory of the parsers below {MEMORY_MB} MB", 1, int(ours > MEMORY_MB), f"{ours:,.0f} MB"
    )
    yield DrillStep(
        "over HTTP",
        sender.tried,
        sender.wrong,
        "; ".join(sender.told[:3])
        or ", ".join(f"{n} x {s}" for s, n in sender.answers.most_common(4)),
    )
    yield DrillStep(
        f"memory of the server below {MEMORY_MB} MB", 1, int(peak > MEMORY_MB), f"{peak:,.0f} MB"
    )


def seeds(data: Path) -> list[Seed]:
    """Return real payloads, short ones: what takes long to mutate finds little."""
    found = [Seed("events", kind, body) for kind, body in _events()]
    for path in sorted((data / "otlp").glob("*")) + sorted((data / "senders").glob("*.bin")):
        door: Door = "logs" if "logs" in path.name else "traces"
        if path.suffix == ".json":
            found.append(Seed(door, "application/json", path.read_bytes()))
        elif path.name.endswith((".bin", ".bin.gz")):
            body = path.read_bytes()
            body = gzip.decompress(body) if path.suffix == ".gz" else body
            found.append(Seed(door, "application/x-protobuf", body))
    for folder in ("realwriters", "goldens", "senders"):
        for path in sorted((data / folder).glob("*.*log")) + sorted(
            (data / folder).glob("*.ndjson")
        ):
            lines = path.read_bytes().splitlines(keepends=True)[:LINES]
            found.append(Seed("file", "", b"".join(lines)))
    found.append(Seed("file", "", b"ts,status,path\n2026-11-22T20:00:00Z,200,/a\n" * 3))
    return found


def _events() -> Iterator[tuple[str, bytes]]:
    event = {
        "ts": "2026-11-22T20:00:00Z",
        "status": 200,
        "path": "/orders/7",
        "method": "POST",
        "customer": "acme",
        "session_id": "s1",
        "region": "eu",
        "duration": 3.5,
        "arrived_at": 1795377600.5,
    }
    yield "application/x-ndjson", b"".join(json.dumps(event).encode() + b"\n" for _ in range(4))
    yield "application/json", json.dumps([event] * 4).encode()
    cloud = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": event}
    yield "application/cloudevents-batch+json", json.dumps([cloud] * 3).encode()


# ---- mutations


def mutated(seed: Seed, dice: random.Random) -> Seed:
    """Return the payload with a few things wrong in it."""
    body = seed.body
    if "json" in seed.kind and dice.random() < 0.5:
        with suppress(ValueError):  # NDJSON: by its bytes
            body = json.dumps(_other(json.loads(body), dice, [dice.randint(1, 4)])).encode()
    for _ in range(dice.choice((1, 1, 2, 3, 8)) if body is seed.body or dice.random() < 0.3 else 0):
        body = dice.choice(BYTES)(body, dice)
    return Seed(seed.door, seed.kind, body[: 1 << 20])


def _other(value: object, dice: random.Random, left: list[int]) -> object:
    """Return decoded JSON with some of its values replaced, its keys renamed, or left out."""
    if left[0] > 0 and dice.random() < 0.06:
        left[0] -= 1
        return dice.choice(VALUES)
    if isinstance(value, dict):
        made = {}
        for name, inner in value.items():
            key = name
            if left[0] > 0 and dice.random() < 0.03:
                left[0] -= 1
                if dice.random() < 0.5:
                    continue
                key = dice.choice(("", "\0", "status", "ts", "time", "key", "value", "x" * 500))
            made[key] = _other(inner, dice, left)
        return made
    return [_other(one, dice, left) for one in value] if isinstance(value, list) else value


def _at(body: bytes, dice: random.Random) -> int:
    return dice.randrange(len(body) + 1)


def _flip(body: bytes, dice: random.Random) -> bytes:
    if not body:
        return b"\0"
    at = dice.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << dice.randrange(8)]) + body[at + 1 :]


def _cut(body: bytes, dice: random.Random) -> bytes:
    return body[: _at(body, dice)]


def _without(body: bytes, dice: random.Random) -> bytes:
    a, b = sorted((_at(body, dice), _at(body, dice)))
    return body[:a] + body[min(b, a + dice.choice((1, 5, 100))) :]


def _twice(body: bytes, dice: random.Random) -> bytes:
    a, b = sorted((_at(body, dice), _at(body, dice)))
    return body[:b] + body[a:b] + body[b:]


def _nasty(body: bytes, dice: random.Random) -> bytes:
    at = _at(body, dice)
    return body[:at] + dice.choice(NASTY) + body[at + dice.choice((0, 0, 1, 4)) :]


def _noise(body: bytes, dice: random.Random) -> bytes:
    at = _at(body, dice)
    return body[:at] + dice.randbytes(dice.choice((1, 2, 8, 64))) + body[at + 8 :]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _cut,
    _without,
    _twice,
    _nasty,
    _noise,
)


# ---- the doors


class Reader:
    """Parser and resolver of each door, without a database."""

    def __init__(self) -> None:
        self.names = FieldNames()
        self._registry = Numbers()

    def read(self, one: Seed) -> int:
        """Return how many requests a payload holds. Raise what the doors turn into a refusal."""
        now_ms = int(timezone.now().timestamp() * 1000)
        rejects = Rejects()
        found: Sequence[Columns]
        if one.door == "file":
            parser = detect.find(one.body, wanted="auto", names=self.names).parser
            found = parser.parse(Block(one.body), rejects=rejects, now_ms=now_ms)
            parser.whole(one.body.rpartition(b"\n")[2], b"")
        elif one.door == "events":
            forms = {"application/json": "json", "application/x-ndjson": "ndjson"}
            form = cast("Form", forms.get(one.kind, "cloudevents"))
            found = parsed(one.body, form=form, rejects=rejects, now_ms=now_ms)
        else:
            read = otlp.spans if one.door == "traces" else otlp.logs
            export = read(one.body, json=one.kind.endswith("json"), names=self.names)
            found, _ = otlp.columns_of(export, names=self.names, rejects=rejects, now_ms=now_ms)
        resolver = Resolver(
            key=b"drill",
            registry=self._registry,
            identities=Identities(),
            rules=Rules(),
            service="web",
        )
        return sum(resolver.resolve(columns)[0].num_rows for columns in found if len(columns))


def _try(reader: Reader, one: Seed, count: _Count) -> None:
    began = time.monotonic()
    count.tried += 1
    try:
        count.taken += reader.read(one) > 0
    except REFUSED:
        pass
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what the drill looks for)
        count.errors[f"{one.door} {one.kind}: {type(error).__name__}: {error}"[:160]] += 1
    took = time.monotonic() - began
    count.longest = max(count.longest, took)
    count.slow += took > LONG


class _Sender:
    """Sends payloads to a server of the drill's own."""

    paths = {
        "traces": "/v1/traces",
        "logs": "/v1/logs",
        "events": "/api/v1/events",
        "file": "/api/v1/events",
    }

    def __init__(self, home: Home, port: int) -> None:
        _, said = home.finish("apikey", "issue", "fuzz")
        self._key = said.split()[-1]
        self._port = port
        self._pid = home.server
        self.tried = self.wrong = 0
        self.told: list[str] = []
        self.answers: Counter[int] = Counter()

    def send(self, one: Seed, name: str = "") -> None:
        """Send one; anything but an answer below 500 is wrong."""
        self.tried += 1
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": one.kind or "text/plain",
        }
        if name.startswith("packed"):
            headers["Content-Encoding"] = "gzip"
        try:
            connection.request("POST", self.paths[one.door], one.body, headers)
            status = connection.getresponse().status
        except OSError as error:
            status = 0
            self.told.append(f"{name or one.kind}: {error}")
        finally:
            connection.close()
        self.answers[status] += 1
        if status >= 500 or not status:
            self.wrong += 1
            self.told.append(f"{name or one.kind}: {status}")

    def peak_mb(self) -> float:
        """Return the most memory that a process of the server had, in MB."""
        peak = 0.0
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                about = dict(
                    line.split(":", 1) for line in path.read_text().splitlines() if ":" in line
                )
            except OSError:
                continue
            if self._pid in {int(about["Pid"]), int(about["PPid"])} and "VmHWM" in about:
                peak = max(peak, int(about["VmHWM"].split()[0]) / 1024)
        return peak


def hurtful() -> dict[str, Seed]:
    """Return payloads that are made to hurt."""
    many = ExportTraceServiceRequest()
    span = (
        many.resource_spans.add()
        .scope_spans.add()
        .spans.add(kind=2, start_time_unix_nano=1795377600 * 10**9)
    )
    span.attributes.add(key="http.response.status_code").value.int_value = 200
    for number in range(1_000_000):
        span.attributes.add(key=f"a{number % 5000}")
    protobuf, nested = "application/x-protobuf", 2_000_000
    huge = json.dumps({"ts": "2026-11-22T20:00:00Z", "status": 200, "path": "/" + "x" * 8_000_000})
    wide = json.dumps(
        {"ts": "2026-11-22T20:00:00Z", "status": 200} | {f"f{n}": n for n in range(300_000)}
    )
    return {
        "a million attributes": Seed("traces", protobuf, many.SerializeToString()),
        "packed zeros": Seed("traces", protobuf, gzip.compress(bytes(1 << 30), 9)),
        "packed lines": Seed("logs", protobuf, gzip.compress(b"\n" * (1 << 29), 9)),
        "deep lists": Seed("events", "application/json", b"[" * nested),
        "deep objects": Seed("events", "application/x-ndjson", b'{"a":' * nested + b"\n"),
        "deep OTLP": Seed("traces", "application/json", b'{"resourceSpans":' + b"[" * nested),
        "deep attribute": Seed(
            "logs", "application/json", b'{"resourceLogs":[{"resource":' + b'{"a":' * nested
        ),
        "a huge field": Seed("events", "application/x-ndjson", huge.encode() + b"\n"),
        "many fields": Seed("events", "application/x-ndjson", wide.encode() + b"\n"),
        "many commas": Seed("events", "application/json", b"[" + b"0," * 7_000_000 + b"0]"),
    }
