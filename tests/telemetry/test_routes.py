"""Route patterns where events come in and where they are read: few operations, whatever the paths."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from apps.accounts.models import ApiKey, AuditEvent, Scope
from apps.catalog import route_actions as actions
from apps.catalog.models import Operation, Service
from apps.impact.jobs import compute_window
from apps.telemetry import catalogue, queries
from tests.factories import NOW, make_journey, make_operation, make_user
from tests.telemetry.test_ingest import rows

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NAMES = ["red-shoes", "blue-shoes", "grey-hat", "big-hat", "wool-scarf", "silk-scarf"]


@pytest.fixture
def send(client):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    def post(*events):
        body = b"".join(
            json.dumps({"service": "shop", "status": 200, "user": "u1"} | event).encode() + b"\n"
            for event in events
        )
        answer = client.post(
            "/api/v1/events",
            body,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        assert not answer.json()["rejected"]

    return post


def at(second, **event):
    return {"ts": (START + timedelta(seconds=second)).isoformat()} | event


def look(path, second=0, **event):
    return at(second, method="GET", path=path, **event)


def accept(pattern="/products/{id}", **more):
    shop = Service.objects.get(slug="shop")
    admin = make_user(role="admin", email=f"admin{AuditEvent.objects.count()}@example.com")
    return actions.accept_route(
        service=shop, method="GET", pattern=pattern, user=admin, now=NOW, **more
    )


def by_operation():
    """Return how many stored events each operation has, by the name that its number has."""
    names = dict(Operation.objects.values_list("pk", "name"))
    return Counter(names[pk] for (pk,) in rows("operation"))


def test_a_path_of_an_accepted_pattern_is_its_operation_also_a_new_one(send):
    send(*(look(f"/products/{name}") for name in NAMES), look("/products/new"))
    new = Operation.objects.get(name="GET /products/new")
    route = accept(apart=[new.pk])

    send(
        look("/products/red-shoes", 60),
        look("/products/never-seen", 61),
        look("/products/1517", 62),
        look("/products/new", 63),
        look("/products/red-shoes/reviews", 64),
        at(65, operation="GET /products/named-by-the-sender"),
        at(66, operation="Look at a product", method="GET", path="/products/x-1"),
    )

    assert by_operation() - Counter(f"GET /products/{name}" for name in NAMES) == {
        "GET /products/{id}": 4,
        "GET /products/new": 2,
        "GET /products/red-shoes/reviews": 1,
        "Look at a product": 1,
    }
    assert route.aliases.count() == len(NAMES)
    seen = {one.operation.name: one.requests for one in queries.seen_operations(START)}
    assert seen["GET /products/{id}"] == len(NAMES) + 4
    assert "GET /products/red-shoes" not in seen


def test_operations_stay_few_however_many_paths_come_in(send):
    send(*(look(f"/products/shoe-no-{n}-x") for n in range(400)))
    few = Operation.objects.count()
    assert few == catalogue.MOST_FROM_PATHS + 1  # and GET (other)
    accept()

    for part in range(4):
        send(*(look(f"/products/hat-no-{part}-{n}-x", part) for n in range(1000)))

    assert Operation.objects.count() == few + 1
    assert by_operation()["GET /products/{id}"] == 4000
    # what was merged leaves room for what is new
    send(look("/baskets"), look("/wishes"))
    assert by_operation()["GET /baskets"] == 1


def test_the_cap_holds_where_nobody_accepts_anything(send):
    for part in range(3):
        send(*(look(f"/p/a-{part}-{n}-x") for n in range(600)))
    assert Operation.objects.count() == catalogue.MOST_FROM_PATHS + 1
    assert by_operation()["GET (other)"] == 1800 - catalogue.MOST_FROM_PATHS


def test_an_impact_run_counts_old_events_under_the_merged_operation(send):
    """Failures at one path and the success at another become chains of one operation; undone, they part."""
    for n, name in enumerate(NAMES):
        send(
            look(f"/products/{name}", 10 * n, status=503, user=f"u{n}", customer="c"),
            look(f"/products/{name}", 10 * n + 5, user=f"u{n}", customer="c"),
        )
    shop = Service.objects.get(slug="shop")
    steps = [Operation.objects.get(name=f"GET /products/{name}") for name in NAMES[:2]]
    pay = make_operation(shop, "POST /pay")
    journey = make_journey(shop, "Look", *steps, pay)

    def operations():
        result = compute_window(
            window_from=START, window_to=START + timedelta(hours=1), as_of=NOW
        ).as_json()
        return {
            one["name"]: (
                one["requests"]["total"],
                one["attempts"]["total"],
                one["attempts"]["retried"],
            )
            for one in result["operations"]
        }

    before = operations()
    assert before["GET /products/red-shoes"] == (2, 1, 1)

    route = accept()
    assert operations() == {"GET /products/{id}": (12, 6, 6)}
    assert list(journey.steps.values_list("operation__name", flat=True)) == [
        "GET /products/{id}",
        "POST /pay",
    ]

    admin = make_user("Undo", role="admin")
    actions.drop_route(operation=route, user=admin, now=NOW)
    assert operations() == before


def test_two_products_are_no_retries_of_each_other(send):
    """Neither in events from before the pattern nor in later ones: a path is what was asked for."""
    old = [look(f"/products/{name}", 0) for name in NAMES]
    send(*old, look("/products/red-shoes", 10, status=503), look("/products/blue-shoes", 20))
    accept()
    send(look("/products/new-1-x", 600, status=503), look("/products/new-2-x", 610))
    send(look("/products/red-shoes", 1200, status=503), look("/products/big-hat", 1210))
    send(look("/products/new-3-x", 1800, status=503), look("/products/new-3-x", 1810))

    result = compute_window(
        window_from=START + timedelta(seconds=5), window_to=START + timedelta(hours=1), as_of=NOW
    ).as_json()
    assert (result["attempts"]["retried"], result["attempts"]["total"]) == (1, 7)
