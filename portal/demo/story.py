"""The demo's story: from a log file to the customers' pages, each step checked where its user would see it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core.management import call_command
from django.utils import timezone

from apps.analytics.simulate import Truth
from apps.customers.models import Contact
from apps.guidance.queries import advice_for
from apps.impact.models import ImpactSnapshot
from apps.incidents import actions as incidents
from apps.incidents.models import Incident, State, Visibility
from apps.outreach import actions as outreach
from apps.outreach.content import content_hash
from apps.outreach.models import Delivery, DeliveryState, Outreach
from portal.demo import world
from portal.demo.essay import Essay
from portal.demo.sink import Sink
from portal.demo.steps import NotTrue, Steps, wait_for

DATA = Path(__file__).parent / "data"
RULES = Path(__file__).parent / "shop.toml"
EXPECTED = json.loads((DATA / "expected.json").read_text())

NEAR = 0.01
"""Counts of the simulated outage may be off by so much: clocks are set right only to the second."""

UPDATE = (
    "Between {start} and {end} UTC some carts, checkouts and product pages failed. A server that the shop "
    "stands on had gone; traffic no longer goes there, and everything has worked since."
)
ADVICE = "If an order did not go through, place it once more. No card was charged for an order that failed."


@dataclass
class Story:
    """Acts as the demo's people through the same actions, worker and pages that everyone uses."""

    address: str
    sink: Sink
    steps: Steps
    people: world.World | None = None
    incident: Incident | None = None
    essay: Essay = field(default_factory=Essay)
    simulated: Incident | None = None
    truth: Truth | None = None

    def tell(self) -> bool:
        """Run all steps; say whether each came true."""
        for label, step in [
            ("People and promises", self._world),
            ("Ingest the real log", self._ingest),
            ("Ingest it again", self._ingest_again),
            ("Declare the incident", self._declare),
            ("A worker computes impact", self._impact),
            ("Numbers against truth", self._compare),
            ("Publish the update", self._publish),
            ("The status page says so", self._public_page),
            ("For you: one customer's", self._for_you),
            ("Guidance at the error", self._guidance),
            ("Drafts to customers", self._drafts),
            ("Approved by another", self._approve),
            ("Mail, once each", self._mail),
            ("Simulate five weeks", self._simulate),
            ("Declare their outage", self._declare_simulated),
            ("A worker computes it", self._impact_of_simulated),
            ("Numbers against plan", self._compare_with_plan),
            ("Say that it is over", self._resolve_simulated),
        ]:
            self.steps.run(label, step)
        return not self.steps.failed

    def sentences(self, *, simulated: bool = False) -> list[str]:
        """Return the story as the snapshot tells it."""
        result = self._snapshot(simulated=simulated).result
        told = zip(result["story"], result["story_basis"], strict=True)
        return [text for text, basis in told if not basis.startswith("gaps.")]

    def gaps(self) -> list[str]:
        """Return what could not be told."""
        return [f"{gap['question']} {gap['closes_by']}." for gap in self._snapshot().result["gaps"]]

    # The steps, in order

    def _world(self) -> str:
        self.people = world.build(now=timezone.now())
        return "4 people, 2 businesses, their shoppers, a journey, 2 tenets"

    def _ingest(self) -> str:
        report = self._take_in()
        stored, failed = report["stored"], report["failed"]
        if stored != EXPECTED["nginx"]["requests"]:
            raise NotTrue(
                f"{stored} requests stored, {EXPECTED['nginx']['requests']} are in the log"
            )
        named = report.get("named_share")
        share = "" if named is None else f", {named:.0%} of them a named customer's"
        return f"{stored} requests, {failed} of them failed{share}"

    def _ingest_again(self) -> str:
        report = self._take_in()
        if report["stored"]:
            raise NotTrue(f"{report['stored']} requests were stored twice")
        return "0 added: every line is kept once"

    def _take_in(self) -> dict[str, Any]:
        out = StringIO()
        call_command(
            "ingest",
            str(DATA / "nginx_timed.log"),
            rules=str(RULES),
            json=True,
            stdout=out,
            stderr=StringIO(),
        )
        report: dict[str, Any] = json.loads(out.getvalue().strip().splitlines()[-1])
        return report

    def _declare(self) -> str:
        people = self._people()
        start, end = _window()
        self.incident = incidents.declare(
            title="Orders and product pages failed for some",
            started_at=start,
            ended_at=end,
            services=[people.service],
            cannot="put things into the cart, check out, or open some product pages",
            fault="ours",
            visibility=Visibility.PUBLIC,
            user=people.ada,
            now=timezone.now(),
        )
        return f"{self._incident().reference} by Ada, {start:%H:%M:%S} to {end:%H:%M:%S} UTC"

    def _impact(self) -> str:
        snapshot = wait_for("the worker's snapshot", self._latest_snapshot)
        hit = snapshot.customers.hit().select_related("customer")
        names = ", ".join(sorted(one.customer.name for one in hit))
        return f"snapshot #{snapshot.pk}: {names} hit"

    def _compare(self) -> str:
        result, truth = self._snapshot().result, EXPECTED["nginx"]
        found = {
            "failed requests": (result["requests"]["failed"], truth["failed_5xx"]),
            "people hit": (result["actors"]["hit"], truth["sessions_hit"]),
            "failed tries to order": (
                next(j for j in result["operations"] if j["name"] == "Check out")["requests"][
                    "failed"
                ],
                truth["orders_failed_events"],
            ),
        }
        for what, (ours, true) in found.items():
            if ours != true:
                raise NotTrue(f"{what}: {ours}, but {true} by the replayer's count")
        return ", ".join(f"{ours} {what}" for what, (ours, _) in found.items()) + ": all as planted"

    def _publish(self) -> str:
        people, (start, end) = self._people(), _window()
        now = timezone.now()
        update = incidents.draft_update(
            incident=self._incident(),
            state=State.MONITORING,
            text=UPDATE.format(start=f"{start:%H:%M}", end=f"{end + timedelta(minutes=1):%H:%M}"),
            advice=ADVICE,
            next_update_at=now + timedelta(hours=1),
            user=people.ben,
            now=now,
        )
        incidents.publish_update(update=update, user=people.ada, now=timezone.now())
        return "written by Ben, published by Ada"

    def _public_page(self) -> str:
        page = wait_for(
            "the update on the public page", lambda: self._page_with("had gone", _get, "/")
        )
        return f"{self.address}/ ({len(page) / 1000:.1f} kB, rendered by the worker)"

    def _for_you(self) -> str:
        contact = Contact.objects.select_related("customer").get(customer__slug="harbour-books")
        visit = Visit(self.address)
        visit.sign_in(contact.email, world.PASSWORD)
        name = contact.customer.name
        page = wait_for(
            "their own numbers", lambda: self._page_with("had gone", visit.get, "/", name)
        )
        other = "Northwind"
        if other in page:
            raise NotTrue(f"{name} sees {other}'s name")
        return f"{name} reads their own numbers, and nobody else's"

    def _guidance(self) -> str:
        answer = json.loads(_get(self.address, "/errors/502?format=json&kind=business"))
        if advice_for("502", "business") is None or not answer:
            raise NotTrue("there is no advice on 502")
        return f"{self.address}/errors/502"

    def _drafts(self) -> str:
        drafts = wait_for(
            "a draft for each business that was hit",
            lambda: list(Outreach.objects.select_related("customer").order_by("pk")),
        )
        expected = self._snapshot().customers.hit().filter(kind="business").count()
        wait_for("all drafts", lambda: Outreach.objects.count() >= expected)
        drafts = list(Outreach.objects.select_related("customer").order_by("customer__name"))
        return "; ".join(f"{one.customer.name}: “{one.subject}”" for one in drafts)

    def _approve(self) -> str:
        people = self._people()
        for one in Outreach.objects.order_by("pk"):
            outreach.submit(outreach=one, user=people.amy, now=timezone.now())
            one.refresh_from_db()
            _approve(one, people.ben)
        return "taken by Amy (account manager), approved by Ben; nobody approves their own"

    def _mail(self) -> str:
        expected = Delivery.objects.count()
        accepted = Delivery.objects.filter(state=DeliveryState.ACCEPTED)
        wait_for("every delivery accepted", lambda: expected and accepted.count() == expected)
        addresses = [address for one in self.sink.received for address in one.to]
        if sorted(addresses) != sorted(Delivery.objects.values_list("email", flat=True)):
            raise NotTrue(f"the mail server received {addresses}")
        return f"{len(addresses)} accepted by the mail server: {', '.join(sorted(addresses))}"

    def _simulate(self) -> str:
        numbers = self.essay.build(manager=self._people().amy)
        self.truth, stored = self.essay.store(numbers)
        return (
            f"{stored:,} requests, {self.truth.answered_500:,} of them answered HTTP 500 in 26 minutes; "
            "consumers, forty businesses, an office"
        )

    def _declare_simulated(self) -> str:
        start, end = self.essay.window
        self.simulated = incidents.declare(
            title="Simulated: 65,000 HTTP 500s from 10:04 to 10:30",
            started_at=start,
            ended_at=end,
            services=self.essay.services,
            cannot="do anything at all on this made-up platform",
            fault="ours",
            visibility=Visibility.INTERNAL,
            user=self._people().ada,
            now=timezone.now(),
        )
        return f"{self.simulated.reference} by Ada, for staff only"

    def _impact_of_simulated(self) -> str:
        snapshot = wait_for("the worker's snapshot", lambda: self._latest_snapshot(simulated=True))
        return f"snapshot #{snapshot.pk}: {snapshot.customers.hit().count()} customers hit"

    def _compare_with_plan(self) -> str:
        result, truth = self._snapshot(simulated=True).result, self.truth
        if truth is None:
            raise NotTrue("nothing was simulated")
        said = []
        for what, ours, true in (
            ("failed requests", result["requests"]["failed"], truth.failed),
            ("people hit", result["actors"]["hit"], truth.hit),
        ):
            if abs(ours - true) > NEAR * true:
                raise NotTrue(f"{what}: {ours:,}, but {true:,} were planned")
            said.append(f"{true:,} {what} (told: {ours:,})")
        lost, gone = result["lost_attempts"], result["not_returned"]
        usual = gone["still_away"][-1]["usual"]  # so many of them would not have come anyway
        for what, found, true in (
            ("never tried", lost, truth.never_made),
            ("did not return", gone, round(truth.left * (1 - usual))),
        ):
            low, high = found["low"], found["high"]
            if not low <= true <= high:
                raise NotTrue(f"{what}: {low:,.0f} to {high:,.0f}, but {true:,} were planned")
            said.append(f"{true:,} {what} (told: {low:,.0f} to {high:,.0f})")
        return "; ".join(said)

    def _resolve_simulated(self) -> str:
        if self.simulated is None:
            raise NotTrue("nothing was simulated")
        incidents.resolve(
            incident=self.simulated,
            text="Simulated: it was over at 10:30, and everything has worked since.",
            user=self._people().ada,
            now=timezone.now(),
        )
        return f"{self.simulated.reference} resolved by Ada"

    # What the steps stand on

    def _people(self) -> world.World:
        if self.people is None:
            raise NotTrue("there are no people yet")
        return self.people

    def _incident(self) -> Incident:
        if self.incident is None:
            raise NotTrue("there is no incident yet")
        return self.incident

    def _latest_snapshot(self, *, simulated: bool = False) -> ImpactSnapshot | None:
        incident = self.simulated if simulated else self._incident()
        return ImpactSnapshot.objects.filter(run__incident_run__incident=incident).last()

    def _snapshot(self, *, simulated: bool = False) -> ImpactSnapshot:
        snapshot = self._latest_snapshot(simulated=simulated)
        if snapshot is None:
            raise NotTrue("there is no snapshot yet")
        return snapshot

    def _page_with(self, words: str, get: Callable[..., str], path: str, *more: str) -> str:
        page = get(self.address, path) if get is _get else get(path)
        return page if all(word in page for word in (words, *more)) else ""


def _approve(one: Outreach, approver: Any) -> None:
    seen = content_hash(one, list(one.recipients.all()))
    outreach.approve(outreach=one, approver=approver, content_hash_seen=seen, now=timezone.now())


def _window() -> tuple[datetime, datetime]:
    """The two faults, from the first failure to the second after the last."""
    windows = EXPECTED["windows_utc"]
    start = min(datetime.fromisoformat(begin) for begin, _, _ in windows.values())
    end = max(datetime.fromisoformat(last) for _, last, _ in windows.values())
    return (
        start.astimezone(UTC).replace(microsecond=0),
        end.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1),
    )


def _get(address: str, path: str) -> str:
    try:
        with urllib.request.urlopen(address + path, timeout=10) as answer:  # noqa: S310  (our own address)
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        raise NotTrue(f"{path} answers {error.code}") from error


class Visit:
    """A person's visit: keeps cookies, signs in as the form does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._cookies = CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self._cookies)
        ).open

    def get(self, path: str) -> str:
        """Return the page at `path`."""
        with self._open(self.address + path, timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    def sign_in(self, email: str, password: str) -> None:
        """Fill in the form. Raise NotTrue when it comes back."""
        self.get("/sign-in/")
        token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
        form = urlencode({"username": email, "password": password, "csrfmiddlewaretoken": token})
        request = urllib.request.Request(  # noqa: S310  (our own address)
            self.address + "/sign-in/",
            data=form.encode(),
            headers={"Referer": self.address + "/sign-in/"},
        )
        with self._open(request, timeout=10) as answer:
            if answer.url.endswith("/sign-in/"):
                raise NotTrue(f"{email} could not sign in")
