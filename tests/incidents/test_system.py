"""The system map: what is counted, what is shown, what is bundled, and where it stands."""

import json
import re
from datetime import timedelta
from itertools import pairwise

import pyarrow as pa
import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.models import ApiKey, Role, Scope
from apps.analytics.flows import fold
from apps.analytics.sql import connect
from apps.catalog.models import Dependency, Journey, Operation, Service
from apps.customers.models import Customer
from apps.incidents import counting
from apps.incidents.models import CountState, Flow, SystemCount
from apps.incidents.system.layout import BOX, draw
from apps.incidents.system.shape import Health, Link, Node, Picture, most, rename
from apps.telemetry import actions as telemetry
from apps.telemetry.models import Sender
from tests.access.pages import Page
from tests.factories import (
    NOW,
    make_customer,
    make_incident,
    make_journey,
    make_service,
    make_snapshot,
    make_user,
)
from tests.incidents.system_world import make_system

MAP = "/console/system/"


@pytest.fixture
def alice(client):
    alice = make_user("Alice")
    client.force_login(alice)
    return alice


def links_of(answer) -> dict[str, str]:
    """Return the boxes of the drawing: what is said of each, and where it leads."""
    return {
        attributes["aria-label"]: attributes["href"]
        for tag, attributes in Page(answer.text).elements
        if tag == "a" and "map-box" in attributes.get("class", "")
    }


# The page


@pytest.mark.django_db
def test_customers_journeys_services_and_what_they_stand_on(client, alice):
    make_system(5)

    answer = client.get(MAP)

    found = links_of(answer)
    said = " | ".join(found)
    assert answer.status_code == 200
    assert "Shoppers: partly failing, 274,000 requests, 6,850 failed, Consumers" in found
    assert found["Refund: partly failing, 107,251 requests, 2,493 failed"].endswith("/")
    assert "Payments: partly failing" in said
    assert "Delivery: recovering" in said
    assert "Shop: fine" in said
    assert "Cards Ltd: not measured, supplier, under 2 services" in found
    assert "31 more businesses" in said
    assert "Nobody we can name: not known whose, 1,653 requests" in found
    assert "465,211 requests of customers in the 24 hours" in answer.text
    assert all(href.startswith("/console/") for href in found.values())
    assert " style=" not in answer.text
    # The list says the same.
    for label in ("Shoppers", "Refund", "Delivery", "Cards Ltd", "In no journey"):
        assert f">{label}</a>" in answer.text


@pytest.mark.django_db
def test_a_service_that_is_silent_is_not_said_to_be_fine(client, alice):
    make_system(2)
    sender = Sender.objects.create(
        service=Service.objects.get(name="Shop"), first_at=NOW, seen_at=NOW, state="quiet"
    )
    silence = sender.silences.create(began_at=NOW, noticed_at=NOW, usual=3)
    assert "Shop: silent since 10:30 UTC" in " | ".join(links_of(client.get(MAP)))
    silence.ended_at = NOW
    silence.save()
    assert "Shop: fine" in " | ".join(links_of(client.get(MAP)))


@pytest.mark.django_db
def test_every_box_leads_somewhere(client, alice):
    make_system(12)
    for asked in ("", "?show=all", "?service=payments", "?supplier=cards ltd"):
        for says, href in links_of(client.get(MAP + asked)).items():
            assert client.get(href).status_code == 200, says


@pytest.mark.django_db
def test_of_many_services_the_small_and_well_ones_are_bundled(client, alice):
    make_system(200, 60)

    page = client.get(MAP)

    found = links_of(page)
    assert len(found) < 50
    more = next(one for one in found if one.startswith("and 191 more services"))
    assert found[more] == MAP + "?show=all"
    assert any(one.startswith("Back office: ") for one in found), "no bundle of one"
    assert any(
        one.startswith("Business 030") for one in links_of(client.get(MAP + "?customers=business"))
    )


@pytest.mark.django_db
def test_all_of_it_is_still_a_picture_that_one_can_read_and_leads_to_the_lists(client, alice):
    make_system(200, 60)

    page = client.get(MAP + "?show=all")

    found = links_of(page)
    assert any(one.startswith("Service 030: fine") for one in found)
    ends = {one.partition(":")[0]: href for one, href in found.items()}
    assert ends["and 160 more services"] == "/console/services/"
    assert ends["and 160 more journeys"] == "/console/services/"
    assert ends["53 more businesses"] == MAP + "?show=all&customers=business"
    only = links_of(client.get(ends["53 more businesses"]))
    assert "/console/customers/?kind=business" in only.values()
    assert len(found) < 4 * 44
    high = float(re.search(r'viewBox="0 0 1200.0 ([0-9.]+)"', page.text)[1])
    assert high < 2_500
    assert len(page.content) < 400_000


@pytest.mark.django_db
def test_what_is_failing_is_never_bundled(client, alice):
    made = make_system(60, failing=False)
    make_incident("The smallest one fails", services=[made[-1]])

    said = " | ".join(links_of(client.get(MAP)))

    assert "Service 060: incident open" in said


@pytest.mark.django_db
def test_a_part_of_it(client, alice):
    make_system(5)
    only = " | ".join(links_of(client.get(MAP + "?service=payments")))
    assert "Payments" in only
    assert "Track a parcel" not in only
    on = " | ".join(links_of(client.get(MAP + "?supplier=Cards Ltd")))
    assert "Shop:" in on
    assert "Search: fine, 70,992" not in on
    unnamed = " | ".join(links_of(client.get(MAP + "?customers=unnamed")))
    assert "Nobody we can name" in unnamed
    assert "Shoppers" not in unnamed
    assert client.get(MAP + "?service=nothing").status_code == 404
    assert client.get(MAP + "?customers=everybody").status_code == 404
    assert client.get(MAP + "?supplier=%00Nobody&show=x&page=²").status_code == 200


@pytest.mark.django_db
def test_a_part_counts_only_those_hit_there(client, alice):
    made = make_system(5, failing=False)
    hit = [make_customer(f"Hit {n}") for n in range(3)]  # none of them large enough for a name
    incident = make_incident("Cards", services=made[1:2])
    incident.runs.create(run=make_snapshot(*hit, Customer.objects.get(slug="harbour-books")).run)

    whole, there, elsewhere = (
        " | ".join(links_of(client.get(MAP + asked)))
        for asked in ("", "?service=payments", "?service=search")
    )

    assert "more businesses: 3 hit" in whole
    assert "Other businesses: 3 hit" in there
    assert "Harbour Books: partly failing" in there
    assert "Other businesses: fine" in elsewhere
    assert "Harbour Books: fine" in elsewhere
    assert "0 open incidents" in client.get(MAP + "?service=search").text
    assert "Payments: partly failing, ours" in " | ".join(
        links_of(client.get(MAP + "?service=shop"))
    ), "what it stands on has its own health"


@pytest.mark.django_db
def test_an_account_manager_reads_no_names_of_others_customers(client):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    client.force_login(amy)
    make_system(5)
    Customer.objects.filter(slug="acme").update(account_manager=amy)

    page = client.get(MAP)

    assert "Acme" in page.text
    for name in Customer.objects.exclude(slug="acme").values_list("name", flat=True):
        assert name not in page.text
    assert "37 more businesses" in page.text
    assert all(client.get(href).status_code == 200 for href in links_of(page).values())


@pytest.mark.django_db
def test_stored_markup_is_text_on_the_map_and_in_the_list(client, alice):
    make_system(5)
    mark = "<b id=x onclick=y()>\"'></title><script>"
    for model in (Customer, Service, Journey):
        model.objects.update(name=mark)
    Dependency.objects.exclude(supplier="").update(supplier=mark)

    page = Page(client.get(MAP).text)

    assert any(attributes.get("aria-label", "").startswith(mark) for _, attributes in page.elements)
    assert not any(
        tag == "b" or "onclick" in attributes or attributes.get("id") == "x"
        for tag, attributes in page.elements
    )


@pytest.mark.django_db
def test_an_empty_portal_says_what_to_do(client, alice):
    assert "Take in a log, and the map draws itself" in client.get(MAP).text
    make_service("Shop")
    page = client.get(MAP).text
    assert "No traffic is counted yet" in page
    assert "Shop: no traffic seen" in page


@pytest.mark.django_db
def test_it_asks_the_same_however_much_there_is(client, alice, django_assert_num_queries):
    make_system(5)
    client.get(MAP)
    with django_assert_num_queries(30, exact=False) as few:
        client.get(MAP)
    for n in range(40):
        service = make_service(f"More {n}")
        journey = make_journey(service, f"Do {n}")
        customer = make_customer(f"One {n}")
        Flow.objects.create(
            customer=customer,
            kind="business",
            service=service,
            journey=journey,
            requests=n,
            failed=0,
        )
        Dependency.objects.create(service=service, supplier=f"Supplier {n}")
        make_incident(f"Incident {n}", services=[service])
    for asked in ("", "?show=all"):
        with django_assert_num_queries(len(few)):
            client.get(MAP + asked)


# The count


@pytest.fixture
def traffic(db):
    """One day: Acme buys, Globex looks, somebody unknown looks, a bot, and an event of two days ago."""
    for name in ("Acme", "Globex"):
        make_customer(name)
    key, _ = ApiKey.objects.issue(name="edge", scopes=[Scope.INGEST])
    events = [
        {"customer": "acme", "method": "POST", "path": "/orders", "status": 500},
        {"customer": "acme", "method": "POST", "path": "/orders"},
        {"customer": "acme", "method": "GET", "path": "/cart"},
        {"customer": "globex", "method": "GET", "path": "/products/17"},
        {"method": "GET", "path": "/products/18"},
        {"user_agent": "Googlebot/2.1", "method": "GET", "path": "/products/18"},
        {"customer": "globex", "method": "GET", "path": "/cart", "ts": _ago(hours=50)},
    ]
    common = {"ts": NOW.isoformat(), "status": 200, "service": "shop"}
    body = b"".join(json.dumps(common | one).encode() + b"\n" for one in events)
    telemetry.accept_events(
        body=body, key=key, idempotency_key="", form="ndjson", now=timezone.now()
    )
    return Service.objects.get()


def _ago(**lengths: int) -> str:
    return (NOW - timedelta(**lengths)).isoformat()


def flows() -> set[tuple]:
    rows = Flow.objects.values_list("customer__slug", "kind", "journey__name", "requests", "failed")
    return set(rows)


def counted() -> bool:
    counting.sweep(now=timezone.now())
    return counting.run_next(clock=timezone.now)


def test_the_last_day_is_counted_by_customer_and_journey(traffic):
    order = Operation.objects.get(name="POST /orders")
    make_journey(traffic, "Purchase", Operation.objects.get(name="GET /cart"), order)

    assert counted()

    assert flows() == {
        ("acme", "business", "Purchase", 3, 1),
        ("globex", "business", None, 1, 0),
        (None, "", None, 1, 0),
    }
    row = SystemCount.objects.get()
    assert row.customers == {"business": 2}
    assert row.window_to - row.window_from == timedelta(days=1)
    assert not counted(), "nothing changed"


def test_it_is_counted_anew_and_never_added_to(traffic):
    counted()
    before = flows()
    SystemCount.objects.update(basis="", finished_at=None)

    assert counted()

    assert flows() == before
    assert Flow.objects.count() == len(before)


def test_a_new_journey_asks_for_a_count_but_not_at_once(traffic):
    counted()
    make_journey(traffic, "Purchase", Operation.objects.get(name="POST /orders"))
    assert not counted()
    SystemCount.objects.update(finished_at=timezone.now() - counting.EVERY)
    assert counted()
    assert ("acme", "business", "Purchase", 2, 1) in flows()


def test_an_operation_belongs_to_the_journey_that_it_is_nearest_to_completing(traffic):
    cart, order = (Operation.objects.get(name=name) for name in ("GET /cart", "POST /orders"))
    make_journey(traffic, "Purchase", cart, order)
    make_journey(traffic, "Fill a cart", cart)
    counted()
    assert {row[2:4] for row in flows()} == {("Purchase", 2), ("Fill a cart", 1), (None, 1)}


def test_requests_of_a_merged_operation_are_those_of_the_other(traffic):
    cart, order = (Operation.objects.get(name=name) for name in ("GET /cart", "POST /orders"))
    make_journey(traffic, "Purchase", order)
    counted()
    Operation.objects.filter(pk=cart.pk).update(merged_into=order, ignored=True)
    SystemCount.objects.update(finished_at=None)
    assert counted(), "merging asks for a count"
    assert ("acme", "business", "Purchase", 3, 1) in flows()


def test_an_ignored_operation_takes_no_place_unless_it_is_a_step_of_a_journey(traffic):
    cart, order = (Operation.objects.get(name=name) for name in ("GET /cart", "POST /orders"))
    make_journey(traffic, "Purchase", cart)
    counted()
    Operation.objects.filter(pk__in=[cart.pk, order.pk]).update(ignored=True)
    SystemCount.objects.update(finished_at=None)
    assert counted(), "ignoring asks for a count"
    assert {row for row in flows() if row[0] == "acme"} == {("acme", "business", "Purchase", 1, 0)}


def test_operations_merged_in_a_ring_are_counted_all_the_same(traffic):
    cart, order = (Operation.objects.get(name=name) for name in ("GET /cart", "POST /orders"))
    Operation.objects.filter(pk=cart.pk).update(merged_into=order)
    Operation.objects.filter(pk=order.pk).update(merged_into=cart)
    assert counted()
    assert ("acme", "business", None, 3, 1) in flows()


def test_a_worker_that_died_is_followed_by_another_and_given_up_in_the_end(traffic):
    counting.sweep(now=NOW)
    for _ in range(counting.MOST_TRIES):
        assert SystemCount.objects.get().state == CountState.QUEUED
        taken = counting.claim(SystemCount.objects.all(), state=CountState.RUNNING, now=NOW)[0]
        counting.sweep(now=NOW + timedelta(hours=1))
        lost = counting.flows.Flows((), {"business": 9})
        assert not counting.keep(row=taken, basis="x", window=(NOW, NOW), counted=lost, now=NOW)
    row = SystemCount.objects.get()
    assert (row.state, row.customers) == (CountState.FAILED, {})
    assert "died 3 times" in row.error


def test_a_file_that_is_gone_fails_the_count_and_says_so(traffic, settings, client, alice):
    counted()
    for path in settings.EVENTS_DIR.rglob("*.parquet"):
        path.unlink()
    SystemCount.objects.update(basis="", finished_at=None)

    assert counted()

    assert SystemCount.objects.get().state == CountState.FAILED
    assert flows(), "the count before stands"
    assert "The latest count failed" in client.get(MAP).text


@pytest.mark.django_db
def test_nothing_is_counted_of_nothing():
    assert not counted()


@pytest.fixture(scope="module")
def duck():
    with connect() as con:
        yield con


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(1, 4), st.integers(0, 3), st.integers(1, 99), st.just(1)
        ),
        max_size=60,
    ),
    named=st.integers(0, 4),
)
def test_folding_loses_no_request(duck, rows, named):
    kinds = {n: "business" if n % 2 else "consumers" for n in range(1, 9)}
    columns = zip(*rows, strict=True) if rows else [()] * 5
    names = ("customer", "service", "journey", "requests", "failed")
    duck.register(
        "asked",
        pa.table({n: pa.array(c, pa.int64()) for n, c in zip(names, columns, strict=True)}),
    )

    found = fold(duck, kinds=kinds, named=named)

    assert sum(one.requests for one in found.rows) == sum(row[3] for row in rows)
    assert sum(one.failed for one in found.rows) == len(rows)
    assert len({(one.customer, one.kind, one.service, one.journey) for one in found.rows}) == len(
        found.rows
    )
    themselves = {(one.kind, one.customer) for one in found.rows if one.customer}
    for kind, seen in found.customers.items():
        assert len({c for k, c in themselves if k == kind}) == min(named, seen)
        sizes = {c: sum(row[3] for row in rows if row[0] == c) for c in kinds if kinds[c] == kind}
        own = {c for k, c in themselves if k == kind}
        assert not own or min(sizes[c] for c in own) >= max(
            (size for c, size in sizes.items() if c not in own), default=0
        )


# The drawing


def node(key: str, column: int, requests: int | None, state: str = "fine") -> Node:
    health = Health(state, state)
    return Node(key=key, column=column, label=key, href="/", requests=requests, health=health)


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=30),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=30),
)
def test_boxes_never_lie_on_each_other_and_are_as_high_as_their_traffic(left, right):
    nodes = [node(f"c{n}", 0, size) for n, size in enumerate(left)]
    nodes += [node(f"j{n}", 1, size) for n, size in enumerate(right)]
    links = [Link(source="c0", target=f"j{n}", requests=1) for n in range(len(right))]

    drawing = draw(Picture.of(nodes, links))

    for column in (0, 1):
        boxes = [box for box in drawing.boxes if box.node.column == column]
        for above, below in pairwise(boxes):
            assert above.y + above.height < below.y
        high = sorted(boxes, key=lambda box: box.node.requests)
        for less, more in pairwise(high):
            assert less.height <= more.height
    assert max(box.y + box.height for box in drawing.boxes) <= drawing.height
    assert all(0 <= box.x <= drawing.width - BOX for box in drawing.boxes)


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["fine", "failing"])), max_size=40))
def test_a_bundle_holds_no_sick_one_while_a_well_one_stands(several):
    nodes = [node(f"s{n}", 2, size, state) for n, (size, state) in enumerate(several)]
    shown, rest = most(nodes, 9)
    assert len(shown) + len(rest) == len(nodes)
    assert len(rest) != 1
    if any(one.health.state == "failing" for one in rest):
        assert all(one.health.state == "failing" for one in shown)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 99))))
def test_bundling_links_keeps_their_sum(rows):
    links = [Link(source=f"c{a}", target=f"j{b}", requests=n) for a, b, n in rows]
    found = rename(links, {"c4": "more", "c5": "more", "j5": "j-more"})
    assert sum(one.requests for one in found) == sum(n for *_, n in rows)
    assert len({(one.source, one.target) for one in found}) == len(found)
