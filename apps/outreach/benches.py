"""`bench console`: every page of the console over a large base, against a bare view."""

import logging
import re
import statistics
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.core.figures import BenchRow, Option, at_most, bench
from apps.outreach.crowd import Crowd, gather, settle

CUSTOMERS = Option("--customers", int, 10_000, "customers, five contacts each", quick=200)
SERVICES = Option("--services", int, 500, "services", quick=20)
INCIDENTS = Option("--incidents", int, 1_000, "incidents, twenty customers hit by each", quick=20)
ASKED = 40  # times each page
MOST_QUERIES = 30
MOST_MS = 150
BARE = "/healthz"


@bench(
    "console",
    help="every page of the console over a large base",
    options=[CUSTOMERS, SERVICES, INCIDENTS],
)
def console(
    *, customers: int, services: int, incidents: int, seed: int, quick: bool
) -> Iterator[BenchRow]:
    """Count the queries of each page over a small base, then over the large one, and time it there."""
    logging.getLogger("django.request").setLevel(logging.ERROR)  # addresses that only take POST
    client = Client(headers={"host": settings.ALLOWED_HOSTS[0].replace("*", "localhost")})
    now = timezone.now()
    few = gather(customers=20, services=5, incidents=5, now=now)
    client.force_login(few.lead)
    before = {route: _queries(client, address) for route, address in _addresses(few)}
    many = gather(customers=customers, services=services, incidents=incidents, now=now)
    settle()
    client.force_login(many.lead)
    bare = _p95(client, BARE, 5 if quick else ASKED)
    for route, address in _addresses(many):
        status, queries = _queries(client, address)
        if status != 200:
            continue
        took = _p95(client, address, 3 if quick else ASKED)
        yield BenchRow(
            f"{route}: p95",
            took,
            bare,
            unit="ms",
            goal=None if quick else at_most(MOST_MS),
            absolute=True,
            baseline_name=f"{BARE}, through the same middleware",
        )
        small = before.get(route, (200, queries))[1]
        yield BenchRow(
            f"{route}: queries",
            queries,
            small,
            unit="",
            goal=at_most(min(MOST_QUERIES, small)),
            absolute=True,
            baseline_name=f"over 20 customers; at most {MOST_QUERIES}, and no more than there",
        )


def _addresses(crowd: Crowd) -> list[tuple[str, str]]:
    """Return (route, address) of every page of the console that these things can fill."""
    found = []
    for route in sorted(_routes(get_resolver().url_patterns, "")):
        section = route.removeprefix("console/")
        if section == route:
            continue
        address = route
        for name, value in _things(crowd, section.partition("/")[0]).items():
            address = re.sub(rf"<(?:\w+:)?{name}>", str(value), address)
        if "<" not in address:
            found.append((f"/{route}", f"/{address}"))
    return found


def _things(crowd: Crowd, section: str) -> dict[str, object]:
    """Return what stands in the addresses of a section."""
    everything: dict[str, dict[str, object]] = {
        "customers": {"slug": crowd.customer.slug},
        "incidents": {"pk": crowd.incident.pk, "kind": "business"},
        "outreach": {"pk": crowd.outreach.pk},
        "tenets": {"slug": crowd.tenet.slug, "number": 1},
        "services": {"slug": crowd.service.slug, "pk": crowd.service.pk},
        "guidance": {"code": "502", "kind": "anyone"},
    }
    return everything.get(section, {})


def _routes(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, route)
        else:
            yield route


def _queries(client: Client, address: str) -> tuple[int, int]:
    with CaptureQueriesContext(connection) as caught:
        answer = client.get(address)
    return answer.status_code, len(caught)


def _p95(client: Client, address: str, times: int) -> float:
    taken = []
    for _ in range(max(times, 2)):
        began = time.perf_counter()
        client.get(address)
        taken.append(time.perf_counter() - began)
    return statistics.quantiles(taken, n=20, method="inclusive")[-1] * 1000
