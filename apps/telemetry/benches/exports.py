"""`bench otlp`: spans in protobuf to durable rows, against decoding the same bodies and doing nothing else."""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import django
from django.apps import apps
from django.db import transaction
from django.test.utils import override_settings
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps.core.figures import BenchRow, Option, at_least, at_most, bench, compare

if (
    not apps.ready
):  # a measured process imports this module first; its imports are not what is measured
    django.setup()

from apps.accounts.models import ApiKey, Scope
from apps.telemetry import actions

SPANS = Option("--spans", int, 200_000, "spans in all", quick=4_000)
IN_A_BODY = 2_000
GOAL = 60_000  # spans a second and core


@bench("otlp", help="spans to durable rows, against decoding them alone", options=[SPANS])
def otlp(*, spans: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Take in exports one after the other, as one web process would."""
    bodies = list(exports(spans, seed))
    ours, alone = compare(
        partial(take_in, bodies), partial(decode, bodies), repeats=1 if quick else 3, apart=True
    )
    yield BenchRow(
        f"spans a second, {IN_A_BODY:,} in a body",
        spans / ours.seconds,
        spans / alone.seconds,
        goal=None,
        unit="/s",
        baseline_name="protobuf's own decoding, nothing kept",
    )
    yield BenchRow(
        "spans a second and core",
        spans / ours.seconds,
        goal=None if quick else at_least(GOAL),
        absolute=True,
        unit="/s",
    )
    yield BenchRow("peak memory", ours.peak_rss_mb, unit="MB", goal=at_most(512))


def exports(spans: int, seed: int) -> Iterator[bytes]:
    """Yield bodies as a collector sends them: a server's spans, each fourth with a client's below it."""
    dice = random.Random(seed)  # noqa: S311  (data, not secrets)
    now = int(timezone.now().timestamp() * 1e9) - 3600 * 10**9
    for first in range(0, spans, IN_A_BODY):
        message = ExportTraceServiceRequest()
        group = message.resource_spans.add()
        for name, value in (("service.name", "shop"), ("service.instance.id", "shop-7")):
            group.resource.attributes.add(key=name).value.string_value = value
        scope = group.scope_spans.add()
        for number in range(first, min(spans, first + IN_A_BODY)):
            span = scope.spans.add(
                trace_id=dice.randbytes(16),
                span_id=dice.randbytes(8),
                name="GET /product/{id}",
                kind=3 if number % 4 == 3 else 2,
                start_time_unix_nano=now + number * 1_000_000,
                end_time_unix_nano=now + number * 1_000_000 + dice.randrange(10**6, 10**9),
            )
            given: dict[str, str | int] = {
                "http.request.method": "GET",
                "http.route": "/product/{id}",
                "url.path": f"/product/{dice.randrange(5_000)}",
                "url.scheme": "https",
                "http.response.status_code": dice.choices([200, 503], [97, 3])[0],
                "network.protocol.version": "1.1",
                "client.address": f"203.0.113.{dice.randrange(256)}",
                "user_agent.original": f"Mozilla/5.0 Chrome/{dice.randrange(90, 130)}.0",
                "session.id": f"s{int(60_000 * dice.random() ** 2)}",
            }
            for name, said in given.items():
                value = span.attributes.add(key=name).value
                if isinstance(said, int):
                    value.int_value = said
                else:
                    value.string_value = said
        yield message.SerializeToString()


def take_in(bodies: Sequence[bytes]) -> None:
    """Store exports in a store of its own and forget them."""
    with (
        TemporaryDirectory(prefix="portal-bench-") as folder,
        override_settings(EVENTS_DIR=Path(folder)),
        transaction.atomic(),
    ):
        key, _ = ApiKey.objects.issue(name="bench", scopes=[Scope.INGEST])
        for body in bodies:
            actions.accept_export(
                body=body, signal="traces", json=False, key=key, now=timezone.now()
            )
        transaction.set_rollback(True)


def decode(bodies: Sequence[bytes]) -> None:
    """Decode and throw away."""
    for body in bodies:
        ExportTraceServiceRequest.FromString(body)
