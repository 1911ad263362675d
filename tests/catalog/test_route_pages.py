"""Route patterns through their pages: seen, accepted, refused, and taken back."""

import pytest
from django.urls import reverse

from apps.accounts.models import AuditEvent, Role
from apps.catalog.models import Operation, RefusedPattern
from apps.telemetry.models import OperationCount
from tests.factories import make_journey, make_operation, make_service, make_user

pytestmark = pytest.mark.django_db

NAMES = ["red-shoes", "blue-shoes", "grey-hat", "big-hat", "wool-scarf", "silk-scarf"]
PATTERN = {"method": "GET", "pattern": "/products/{id}"}


@pytest.fixture
def shop():
    shop = make_service("Shop")
    for name in [*NAMES, "new"]:
        row = make_operation(shop, f"GET /products/{name}")
        OperationCount.objects.create(
            day=30_000, operation=row, requests=15, failed=1, latest_ms=30_000 * 86_400_000
        )
    make_operation(shop, "POST /orders")
    return shop


def url(name, *args):
    return reverse(f"catalog:{name}", args=args)


def operation(name):
    return Operation.objects.get(name=name)


def accept(client, **fields):
    return client.post(url("pattern", "shop"), PATTERN | fields)


def names():
    return set(Operation.objects.filter(merged_into=None).values_list("name", flat=True))


def test_a_suggestion_is_seen_and_accepted_in_one_press(client, ada, shop):
    page = client.get(url("patterns", "shop")).text
    assert "GET /products/{id}" in page
    assert "6 operations" in page
    assert "90 requests in 28 days, 86" in page
    assert "6 names after /products, such as big-hat, blue-shoes, grey-hat" in page
    assert "Stays apart: <code>/products/new</code>" in page

    answer = accept(client, apart=[operation("GET /products/new").pk, "x", "9" * 40])
    assert answer.status_code == 303
    assert names() == {"GET /products/{id}", "GET /products/new", "POST /orders"}
    assert "Nothing to suggest" in client.get(url("patterns", "shop")).text
    accepted = client.get(answer.url).text
    assert "6 paths taken in" in accepted
    assert "90 requests in 28 days" in accepted
    service = client.get(url("service", "shop")).text
    assert "GET /products/{id}" in service
    assert "red-shoes" not in service
    note = AuditEvent.objects.get(action="operation.route")
    assert note.after["count"] == 6
    assert "GET /products/red-shoes" in note.after["taken_in"]


def test_a_pattern_is_written_looked_at_and_some_are_kept_apart(client, ada, shop):
    look = client.get(url("pattern", "shop"), {"method": "GET", "pattern": "/products/{product}"})
    assert "7 operations seen so far" in look.text
    kept = [operation("GET /products/new").pk, operation("GET /products/big-hat").pk]
    accept(client, pattern="/products/{product}", apart=kept)
    route = operation("GET /products/{product}")
    assert route.aliases.count() == 5
    assert not route.proposed
    # a pattern with another name for the placeholder is the same: it takes in what was kept apart
    again = client.get(url("pattern", "shop"), PATTERN).text
    assert "becomes the pattern’s own operation" in again
    accept(client, apart=kept[:1])
    assert route.aliases.count() == 6
    assert Operation.objects.filter(route=True).count() == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pattern": "products/{id}"}, "begins with a slash"),
        ({"pattern": "/products"}, "Write {id} for the part that varies"),
        ({"pattern": "/products/{id}.html"}, "stands for a whole part"),
        ({"pattern": ""}, "required"),
        ({"pattern": "/a\0/{id}"}, "Null characters"),
        ({"pattern": "/" + "x" * 400 + "/{id}"}, "at most"),
        ({"pattern": "/baskets/{id}"}, "No GET operation of Shop seen so far has such a path"),
        ({"method": "BREW"}, "not one of the available choices"),
        ({"pattern": "/{any}/sale"}, "overlaps with GET /{x}/{id}"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(client, ada, shop, fields, says):
    if "overlaps" in says:
        make_operation(shop, "GET /{x}/{id}", route=True)
    before = names()
    answer = accept(client, **fields)
    assert answer.status_code == 422
    assert says in answer.text.replace("&#x27;", "'")
    looked = client.get(url("pattern", "shop"), PATTERN | fields)
    assert looked.status_code == 200
    assert says in looked.text
    assert names() == before


def test_all_kept_apart_is_no_pattern(client, ada, shop):
    everything = list(Operation.objects.values_list("pk", flat=True))
    answer = accept(client, apart=everything)
    assert answer.status_code == 422
    assert "Leave at least one to be taken in" in answer.text


def test_refused_stays_refused_until_taken_back(client, ada, shop):
    client.post(url("refuse", "shop"), PATTERN)
    client.post(url("refuse", "shop"), PATTERN)
    client.post(url("refuse", "shop"), {"method": "GET", "pattern": "x"})
    assert "Nothing to suggest" in client.get(url("patterns", "shop")).text
    refused = RefusedPattern.objects.get()
    assert "GET /products/{id}" in client.get(url("patterns", "shop") + "?show=refused").text
    client.post(url("reconsider", refused.pk))
    assert "6 operations" in client.get(url("patterns", "shop")).text
    assert (
        AuditEvent.objects.filter(action__in=["service.refuse", "service.reconsider"]).count() == 2
    )


def test_journeys_go_through_the_pattern_once_and_a_merge_is_undone(client, ada, shop):
    steps = [operation(f"GET /products/{name}") for name in ("big-hat", "red-shoes")]
    journey = make_journey(shop, "Buy", steps[0], operation("POST /orders"), steps[1])
    Operation.objects.filter(pk=steps[0].pk).update(slow_after_ms=300)
    Operation.objects.filter(pk=steps[1].pk).update(slow_after_ms=200)
    accept(client)
    route = operation("GET /products/{id}")
    assert route.slow_after_ms == 200
    assert [s.operation.name for s in journey.steps.all()] == ["POST /orders", route.name]
    assert "Buy" in AuditEvent.objects.get(action="operation.route").after["journeys"]

    own = client.get(url("operation", steps[0].pk)).text
    assert "counts as" in own
    client.post(url("part", steps[0].pk))
    assert operation("GET /products/big-hat").merged_into is None
    twice = client.post(url("part", steps[0].pk), follow=True).text
    assert "is an operation of its own already" in twice
    assert "GET /products/red-shoes" in client.get(url("operation", route.pk)).text

    client.post(url("drop_route", route.pk))
    assert not Operation.objects.exclude(merged_into=None).exists()
    assert client.post(url("drop_route", route.pk)).status_code == 404
    assert {"operation.part", "operation.route_drop"} <= set(
        AuditEvent.objects.values_list("action", flat=True)
    )


def test_an_ignored_operation_leaves_the_lists_and_comes_back(client, ada, shop):
    row = operation("POST /orders")
    client.post(url("ignore", row.pk))
    assert "POST /orders" not in client.get(url("service", "shop")).text
    assert "POST /orders" in client.get(url("patterns", "shop") + "?show=ignored").text
    assert "Put it back on the lists" in client.get(url("operation", row.pk)).text
    client.post(url("ignore", row.pk), {"back": "1"})
    assert "POST /orders" in client.get(url("service", "shop")).text
    assert AuditEvent.objects.filter(action="operation.ignore").count() == 2


@pytest.mark.parametrize("show", ["", "accepted", "refused", "ignored"])
def test_no_page_asks_more_for_more(client, ada, shop, show, django_assert_max_num_queries):
    def stock(number):
        for part in range(number):
            route = make_operation(shop, f"GET /{show}{number}-{part}-r/{{id}}", route=True)
            make_operation(shop, f"GET /{show}{number}-{part}-r/x", merged_into=route)
            shop.refused_patterns.create(method="GET", pattern=f"/{number}-{part}/{{id}}")
            make_operation(shop, f"GET /i{number}-{part}", ignored=True)
            for item in range(7):
                make_operation(shop, f"GET /s{number}-{part}-r/name-{item}")

    stock(1)
    address = url("patterns", "shop") + f"?show={show}"
    client.get(address)
    with django_assert_max_num_queries(16) as few:
        client.get(address)
    stock(12)
    with django_assert_max_num_queries(len(few)):
        assert client.get(address).status_code == 200
    with django_assert_max_num_queries(16):
        client.get(url("pattern", "shop"), PATTERN)


def test_a_viewer_sees_and_changes_nothing(client, shop):
    client.force_login(make_user("Vic", role=Role.VIEWER))
    page = client.get(url("patterns", "shop")).text
    assert "GET /products/{id}" in page
    assert "Accept" not in page.split("<main")[1].replace("Accepted", "")
    assert accept(client).status_code == 403
    assert names() >= {"GET /products/new"}
