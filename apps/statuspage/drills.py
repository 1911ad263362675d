"""`drill status`: PostgreSQL and the worker are gone; what customers read must stand."""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from apps.core.figures import DrillStep, Option, drill
from apps.core.webserver import Web, web
from apps.statuspage import jobs
from apps.statuspage.rehearsal import (
    Gate,
    Staged,
    collect_static,
    forged,
    gate,
    pass_for,
    session,
    stage,
)

FLOOD = Option("--flood", int, 2_000, "requests in the flood", quick=300)
AT_ONCE = 16
SLOWEST_S = 3.0  # no page may take longer, whatever the database does
FLOOD_WITHIN_S = 30.0

Check = Callable[[int, str], bool]


@drill("status", help="stop PostgreSQL and the worker; the pages must stand", options=[FLOOD])
def status(*, flood: int, seed: int, quick: bool) -> Iterator[DrillStep]:
    """Render, start a real web process, take PostgreSQL away from it, and read."""
    staged = stage(now=timezone.now())
    times = 5 if quick else 25
    with gate() as postgres:
        collect_static(DATABASE_URL=postgres.url)
        with web(DATABASE_URL=postgres.url) as site:
            yield _one(
                "with everything up, Django answers", site, "/sign-in/", lambda s, _: s == 200
            )
            postgres.close()
            yield _one(
                "with PostgreSQL stopped, it does not", site, "/sign-in/", lambda s, _: s >= 500
            )
            yield from _readings(site, staged, times, "PostgreSQL stopped")
            yield _flood(site, staged, flood)
            postgres.fall_silent()
            yield from _readings(site, staged, times, "PostgreSQL hangs")
            yield _stale(site, staged)
            yield _back(site, postgres)


def _readings(site: Web, staged: Staged, times: int, when: str) -> Iterator[DrillStep]:
    title, name = staged.incident.title, staged.customer.name
    own = pass_for(staged.customer)
    late = f"{pass_for(staged.customer, late=60)}; {session()}"
    other = f"For you, {staged.other.name}"

    def public(status: int, body: str) -> bool:
        return status == 200 and title in body and "For you" not in body

    def theirs(status: int, body: str) -> bool:
        return status == 200 and f"For you, {name}" in body and other not in body

    reference = staged.incident.reference
    for what, path, cookie, right in (
        ("the public page", "/", "", public),
        ("an incident's page", f"/i/{reference}", "", public),
        ("the same as JSON", "/index.json", "", lambda s, b: s == 200 and reference in b),
        ("the stylesheet", "/status.css", "", lambda s, b: s == 200 and ".first" in b),
        ("For you, by cookie", "/", own, theirs),
        ("For you, by a cookie that ran out", "/", late, theirs),
        ("a forged cookie opens nothing", "/", forged(own, into=staged.other), public),
        ("/errors/502", "/errors/502", "", lambda s, b: s == 200 and title in b),
        ("/errors/502 in a customer's words", "/errors/502", own, lambda _, b: "idempotency" in b),
    ):
        yield _many(f"{when}: {what}", site, path, cookie, right, times)


def _many(step: str, site: Web, path: str, cookie: str, right: Check, times: int) -> DrillStep:
    """Ask `times` times, several at once; wrong answers and slow ones are violations."""

    def ask(_: int) -> tuple[bool, float]:
        began = time.monotonic()
        fine = right(*site.get(path, cookie=cookie))
        return fine, time.monotonic() - began

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(ask, range(times)))
    slowest = max(seconds for _, seconds in found)
    bad = sum(not fine or seconds > SLOWEST_S for fine, seconds in found)
    return DrillStep(step, len(found), bad, f"slowest {slowest * 1000:.0f} ms")


def _one(step: str, site: Web, path: str, right: Check) -> DrillStep:
    return DrillStep(step, 1, not right(*site.get(path, cookie=session())))


def _flood(site: Web, staged: Staged, requests: int) -> DrillStep:
    """Many at once, every fourth of them a customer; all are answered, in bounded time."""
    own = pass_for(staged.customer)
    began = time.monotonic()

    def ask(number: int) -> tuple[bool, float]:
        start = time.monotonic()
        status, body = site.get("/", cookie="" if number % 4 else own)
        return status == 200 and ("For you" in body) == (number % 4 == 0), time.monotonic() - start

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(ask, range(requests)))
    took = time.monotonic() - began
    p99 = statistics.quantiles([seconds for _, seconds in found], n=100)[-1]
    bad = sum(not fine for fine, _ in found) + (took > FLOOD_WITHIN_S)
    note = f"{took:.1f} s, {requests / took:.0f} a second, p99 {p99 * 1000:.0f} ms"
    return DrillStep("a flood, each on a new connection", requests, bad, note)


def _stale(site: Web, staged: Staged) -> DrillStep:
    """Nobody renders any more: the pages say so by themselves."""
    jobs.render_pages(now=timezone.now() - timedelta(minutes=10))
    time.sleep(0.4)  # the web process looks four times a second
    said = [
        "We cannot refresh this page since" in site.get(path, cookie=cookie)[1]
        for path, cookie in (
            ("/", ""),
            ("/", pass_for(staged.customer)),
            (f"/i/{staged.incident.reference}", ""),
        )
    ]
    return DrillStep("pages that nobody renews say how old they are", len(said), said.count(False))


def _back(site: Web, postgres: Gate) -> DrillStep:
    postgres.close()
    postgres.open()
    end = time.monotonic() + 30
    tries = 0
    while time.monotonic() < end:
        tries += 1
        if site.get("/sign-in/", cookie=session())[0] == 200:
            return DrillStep("PostgreSQL is back, Django answers again", tries, 0)
        time.sleep(0.2)
    return DrillStep("PostgreSQL is back, Django answers again", tries, 1, f"{settings.STATUS_DIR}")
