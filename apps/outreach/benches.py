"""`bench console`: every page of the console over a large base, against a bare view."""

import gc
import logging
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts.models import User
from apps.core.figures import BenchRow, Option, at_most, bench
from apps.outreach.crowd import Crowd, gather

CUSTOMERS = Option("--customers", int, 10_000, "customers, five contacts each", quick=200)
SERVICES = Option("--services", int, 500, "services", quick=20)
INCIDENTS = Option("--incidents", int, 1_000, "incidents, twenty customers hit by each", quick=20)
ASKED = 40  # times each page
MOST_QUERIES = 30
MOST_MS = 150
BARE = "/healthz"

#: What cannot be measured here, and why.
LEFT_OUT = {
    "/console/account/confirm/passkey/": "a browser's passkey has to sign in first",
    "/console/charts/<str:key>/": "a drawing lies in a file as it was drawn; nothing is asked of rows",
}


@dataclass(frozen=True)
class Visit:
    """A page, how the figures call it, and who opens it."""

    name: str
    address: str
    who: User


@bench(
    "console",
    help="every page of the console over a large base; nothing of it stays",
    options=[CUSTOMERS, SERVICES, INCIDENTS],
)
def console(
    *, customers: int, services: int, incidents: int, seed: int, quick: bool
) -> Iterator[BenchRow]:
    """Count the queries of each page over a small base, then over the large one, and time it there."""
    host = settings.ALLOWED_HOSTS[0].replace("*", "localhost")
    client = Client(raise_request_exception=False, headers={"host": host})
    now = timezone.now()
    with _nothing_stays(), _quiet():
        few = _base(client, customers=60, services=30, incidents=30, now=now)
        before = {visit.name: _queries(client, visit)[1] for visit in _visits(few)}
        many = _base(client, customers=customers, services=services, incidents=incidents, now=now)
        gc.freeze()  # no server carries what made the crowd
        bare = _p95(client, Visit(BARE, BARE, many.people.lead), 5 if quick else ASKED)
        posts = []
        for name, why in LEFT_OUT.items():
            yield BenchRow(f"{name}: not measured", 0, unit="", note=why)
        for visit in _visits(many):
            status, queries = _queries(client, visit)
            if status == 405:
                posts.append(visit.name)
            elif status != 200:
                note = "the crowd holds nothing that opens it"
                yield BenchRow(f"{visit.name}: answers", status, None, at_most(200), "", note=note)
            else:
                took = _p95(client, visit, 3 if quick else ASKED)
                yield _time(visit.name, took, bare, quick=quick)
                yield _count(visit.name, queries, before[visit.name])
        yield BenchRow("addresses that only take POST", len(posts), unit="", note=" ".join(posts))


def _time(name: str, took: float, bare: float, *, quick: bool) -> BenchRow:
    return BenchRow(
        f"{name}: p95",
        took,
        bare,
        unit="ms",
        goal=None if quick else at_most(MOST_MS),
        absolute=True,
        baseline_name=f"{BARE}, through the same middleware",
    )


def _count(name: str, queries: int, small: int) -> BenchRow:
    return BenchRow(
        f"{name}: queries",
        queries,
        small,
        unit="",
        goal=at_most(min(MOST_QUERIES, small)),
        absolute=True,
        baseline_name=f"over 60 customers; at most {MOST_QUERIES}, and no more than there",
    )


def _base(client: Client, *, customers: int, services: int, incidents: int, now: datetime) -> Crowd:
    crowd = gather(customers=customers, services=services, incidents=incidents, now=now)
    for writer in crowd.writers:  # their reports belong to an app above this one
        client.force_login(writer)
        client.post(
            "/reports/",
            {"customer": "", "text": "It fails for us too."},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
    return crowd


def _visits(crowd: Crowd) -> list[Visit]:
    """Return every page of the console, and some of them as they are filtered."""
    lead, manager = crowd.people.lead, crowd.people.manager
    found = []
    for route in sorted(set(_routes(get_resolver().url_patterns, ""))):
        if not route.startswith("console/") or f"/{route}" in LEFT_OUT:
            continue
        # What is added has to be missing, what is taken away has to be there.
        has_factor = route.startswith("console/account/") and not route.endswith("/add/")
        who = crowd.people.keeper if has_factor else lead
        found.append(Visit(f"/{route}", f"/{_filled(route, crowd)}", who))
    found += [Visit(name, address, lead) for name, address in _filtered(crowd)]
    found += [
        Visit(f"{address} (account manager)", address, manager)
        for address in ("/console/", "/console/customers/", "/console/outreach/")
    ]
    return found


def _filled(route: str, crowd: Crowd) -> str:
    """Return a route with the names of one of everything."""
    shop, people = crowd.shop, crowd.people
    things: dict[str, dict[str, object]] = {
        "account/": {"pk": people.passkey.pk},
        "customers/": {"slug": crowd.customer.slug, "pk": crowd.contact.pk},
        "customers/import/": {"pk": crowd.taken.pk},
        "dependencies/": {"pk": shop.dependency.pk},
        "gaps/": {"pk": crowd.gap.pk},
        "guidance/": {"code": "502", "kind": "anyone"},
        "incidents/": {"pk": crowd.incident.pk, "kind": "business"},
        "journeys/": {"pk": shop.journey.pk},
        "keys/": {"pk": people.key.pk},
        "operations/": {"pk": shop.operation.pk},
        "outreach/": {"pk": crowd.outreach.pk, "delivery": 1},
        "patterns/": {"pk": shop.refused.pk},
        "people/": {"pk": people.invited.pk},
        "rules/": {"rule": crowd.rule.pk},
        "services/": {"slug": shop.services[0].slug},
        "system/telemetry/": {"sender": crowd.sender.pk},
        "windows/": {"pk": crowd.window},
        "tenets/": {"slug": shop.tenet.slug, "number": 2},
    }
    section = max(
        (one for one in things if route.startswith(f"console/{one}")), key=len, default=""
    )
    for name, value in things.get(section, {}).items():
        route = re.sub(rf"<(?:\w+:)?{name}>", str(value), route)
    return route


def _filtered(crowd: Crowd) -> Iterator[tuple[str, str]]:
    """Yield pages that show more than their address alone would."""
    shop = crowd.shop
    tenet, taken = (
        f"/console/tenets/{shop.tenet.slug}/",
        f"/console/customers/import/{crowd.taken.pk}/",
    )
    service = shop.services[0]
    yield from (
        ("/console/customers/?q=…", "/console/customers/?q=acme"),
        ("/console/customers/, the last page", "/console/customers/?page=last"),
        ("/console/customers/import/<int:pk>/?show=new", f"{taken}?show=new"),
        ("/console/services/?show=proposed", "/console/services/?show=proposed"),
        ("/console/services/?q=…", "/console/services/?q=service"),
        ("/console/tenets/<slug:slug>/?from=1&to=2", f"{tenet}?from=1&to=2"),
        ("/console/tenets/?review=due", "/console/tenets/?review=due"),
        ("/console/tenets/guide/, with its questions",
         f"/console/tenets/guide/?kind=business&service={service.pk}"),
        ("/console/search/?q=…", "/console/search/?q=acme"),
        ("/console/search/?q=…, of one letter", "/console/search/?q=e"),
        ("/console/search/?q=…&in=customers", "/console/search/?q=acme&in=customers"),
        ("/console/system/?show=all", "/console/system/?show=all"),
        ("/console/system/?service=…", f"/console/system/?service={service.slug}"),
        ("/console/system/?supplier=…", f"/console/system/?supplier={shop.supplier}"),
        ("/console/identification/?over=28d", "/console/identification/?over=28d"),
        ("/console/rules/, a page in the middle", "/console/rules/?page=3"),
        ("/console/audit/, of one action", "/console/audit/?action=customer.create"),
    )  # fmt: skip


def _routes(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, route)
        else:
            yield route


def _queries(client: Client, visit: Visit) -> tuple[int, int]:
    _sign_in(client, visit.who)
    with CaptureQueriesContext(connection) as caught:
        status = _open(client, visit.address)
    return status, len(caught)


def _p95(client: Client, visit: Visit, times: int) -> float:
    """Return how long a page takes in ms; of what streams, until its first line."""
    _sign_in(client, visit.who)
    taken = []
    for _ in range(max(times, 2)):
        began = time.perf_counter()
        _open(client, visit.address)
        taken.append(time.perf_counter() - began)
    return statistics.quantiles(taken, n=20, method="inclusive")[-1] * 1000


def _sign_in(client: Client, who: User) -> None:
    """Sign in as if with a password a moment ago: pages of the second factor ask for that."""
    client.force_login(who)
    request = HttpRequest()
    request.session = client.session
    record_authentication(request, who, method="password", reauthenticated=True)
    request.session.save()


def _open(client: Client, address: str) -> int:
    """Read a page, or the first line of what streams."""
    answer: Any = client.get(address)
    if answer.streaming:
        lines = answer._iterator  # noqa: SLF001  (`answer.close` would close our transaction)
        next(lines)
        lines.close()
    return int(answer.status_code)


@contextmanager
def _nothing_stays() -> Iterator[None]:
    """Work in a transaction that is taken back: nobody's console fills with a crowd."""
    with transaction.atomic():
        try:
            yield
        finally:
            gc.unfreeze()
        transaction.set_rollback(True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Django says of each address that only takes POST."""
    logger = logging.getLogger("django.request")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
