"""What we run, through its pages: from traffic's proposals to a catalog with journeys."""

import pytest
from django.urls import reverse

from apps.accounts.models import AuditEvent, Role
from apps.catalog import actions
from apps.catalog.models import Dependency, Journey, Operation, Service
from apps.tenets import actions as tenets
from apps.tenets.models import Clause, Dimension
from tests.factories import NOW, make_operation, make_service, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    shop = make_service("Shop")
    Service.objects.filter(pk=shop.pk).update(proposed=True)
    for name, changes in (
        ("GET /products/{id}", False),
        ("POST /cart", True),
        ("POST /orders", True),
    ):
        Operation.objects.create(service=shop, name=name, changes_state=changes)
    return shop


def url(name, *args):
    return reverse(f"catalog:{name}", args=args)


def operation(name):
    return Operation.objects.get(name=name)


def journey(**fields):
    steps = fields.pop("steps", ["POST /cart", "POST /orders"])
    given = {
        "name": "Purchase",
        "verb": "place an order",
        "noun": "orders",
        "value": "",
        "currency": "",
    }
    return given | {f"step_{n}": operation(name).pk for n, name in enumerate(steps)} | fields


def test_a_catalog_comes_from_traffic_in_two_presses(client, ada, shop):
    page = client.get(url("services") + "?show=proposed").text
    assert "proposed" in page
    assert "3 operations that nobody has confirmed" in client.get(url("service", "shop")).text
    assert client.post(url("confirm", "shop"), {"all": "1"}).status_code == 303
    assert not Operation.objects.filter(proposed=True).exists()
    shop.refresh_from_db()
    assert not shop.proposed
    assert client.post(url("propose", "shop")).status_code == 303
    assert set(Journey.objects.values_list("name", flat=True)) == {"Cart", "Orders"}
    assert "Make a journey of each" not in client.get(url("service", "shop")).text
    assert "No service here" in client.get(url("services") + "?show=proposed").text
    assert AuditEvent.objects.filter(action="service.confirm", after__count=3).exists()


def test_chosen_operations_only(client, ada, shop):
    chosen = [operation("POST /cart").pk, "x", "²", "9" * 40]
    client.post(url("confirm", "shop"), {"operation": chosen})
    assert set(Operation.objects.filter(proposed=False).values_list("name", flat=True)) == {
        "POST /cart"
    }


def test_a_journey_is_written_and_changed(client, ada, shop):
    answer = client.post(url("new_journey", "shop"), journey(value="24.90", currency="EUR"))
    assert answer.status_code == 303
    row = Journey.objects.get()
    assert [s.operation.name for s in row.steps.all()] == ["POST /cart", "POST /orders"]
    assert "41 people tried to place an order" in client.get(url("journey", row.pk)).text
    assert "24.90 EUR each" in client.get(url("service", "shop")).text
    client.post(url("journey", row.pk), journey(steps=["POST /orders"], verb="buy"))
    row.refresh_from_db()
    assert (row.verb, row.value, row.currency) == ("buy", None, "")
    assert [s.operation.name for s in row.steps.all()] == ["POST /orders"]
    change = AuditEvent.objects.get(action="journey.change")
    assert change.before["value"] == "24.90"
    assert change.after["steps"] == ["POST /orders"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"steps": []}, "Name at least the operation that counts as done"),
        ({"steps": ["POST /cart", "POST /cart"]}, "stands in it twice"),
        ({"value": "3"}, "Say in which currency"),
        ({"value": "3", "currency": "eur"}, "three capital letters"),
        ({"value": "-1", "currency": "EUR"}, "greater than or equal to 0"),
        ({"name": ""}, "required"),
        ({"step_0": "77777777"}, "not one of the available choices"),
    ],
)
def test_what_is_wrong_with_a_journey_is_said(client, ada, shop, fields, says):
    answer = client.post(url("new_journey", "shop"), journey(**fields))
    assert answer.status_code == 422
    assert says in answer.text
    assert not Journey.objects.exists()


def test_a_journey_that_was_promised_stays(client, ada, shop):
    client.post(url("new_journey", "shop"), journey())
    row = Journey.objects.get()
    tenet = tenets.create_tenet(
        slug="t", name="T", service=shop, kind="business", user=ada, now=NOW
    )
    version = tenet.versions.create(number=1, promise="It works.", author=ada)
    Clause.objects.create(
        version=version, position=1, dimension=Dimension.ERROR, text="c", target="0.99", journey=row
    )
    answer = client.post(url("delete_journey", row.pk), follow=True)
    assert "A promise is about this journey" in answer.text
    assert Journey.objects.exists()
    version.clauses.all().delete()
    client.post(url("delete_journey", row.pk))
    assert not Journey.objects.exists()


def test_services_are_added_and_changed(client, ada):
    given = {"name": "Payments", "description": "Takes cards.", "public": "on"}
    assert client.post(url("new"), given)["Location"] == url("service", "payments")
    assert "There is a service called payments" in client.post(url("new"), given).text
    assert "letters of the Latin alphabet" in client.post(url("new"), given | {"name": "支付"}).text
    assert client.post(url("new"), given | {"slug": "new"}).status_code == 422
    client.post(url("edit", "payments"), {"name": "Card payments", "description": ""})
    row = Service.objects.get()
    assert (row.slug, row.name, row.public) == ("payments", "Card payments", False)


def test_what_a_service_stands_on(client, ada, shop):
    payments = make_service("Payments")
    client.post(url("depend", "shop"), {"on": payments.pk})
    client.post(url("depend", "shop"), {"supplier": "Cards Ltd"})
    page = client.get(url("service", "shop")).text
    assert "Cards Ltd" in page
    assert "These stand on it" in client.get(url("service", "payments")).text
    for given, says in (
        ({}, "Name one of our services or a supplier"),
        ({"on": payments.pk, "supplier": "x"}, "Name one of our services or a supplier"),
        ({"on": payments.pk}, "stands on Payments already"),
        ({"on": shop.pk}, "not one of the available choices"),
    ):
        answer = client.post(url("depend", "shop"), given)
        assert answer.status_code == 422
        assert says in answer.text
    for one in Dependency.objects.all():
        client.post(url("remove", one.pk))
    assert "Nothing that we know of" in client.get(url("service", "shop")).text


def test_an_operation_is_said_to_be_slow_after(client, ada, shop):
    row = operation("POST /orders")
    client.post(url("operation", row.pk), {"changes_state": "on", "slow_after_ms": "800"})
    row.refresh_from_db()
    assert (row.slow_after_ms, row.proposed) == (800, False)
    wrong = client.post(url("operation", row.pk), {"slow_after_ms": "0"})
    assert wrong.status_code == 422


def test_who_may_not_change_it_reads_it(client, shop):
    client.force_login(make_user("Vic", role=Role.VIEWER))
    page = client.get(url("service", "shop")).text
    assert "POST /orders" in page
    assert "Confirm all" not in page
    row = operation("POST /orders")
    assert "Save and confirm" not in client.get(url("operation", row.pk)).text
    assert client.post(url("operation", row.pk), {}).status_code == 403


def test_pages_ask_the_same_however_much_there_is(client, ada, shop, django_assert_num_queries):
    client.post(url("new_journey", "shop"), journey())
    for address in (url("services"), url("service", "shop")):
        with django_assert_num_queries(40, exact=False) as few:
            client.get(address)
        for n in range(30):
            other = make_service(f"Service {n} {len(address)}")
            Operation.objects.create(service=shop, name=f"GET /{n}/{len(address)}")
            Dependency.objects.create(service=shop, on=other)
            made = Journey.objects.create(service=shop, slug=f"j{n}-{len(address)}", name=f"J {n}")
            made.steps.create(operation=operation("POST /cart"), position=1)
        with django_assert_num_queries(len(few)):
            client.get(address)


@pytest.mark.parametrize(
    ("name", "columns", "words"),
    [
        ("POST /checkout", {"method": "POST", "pattern": "/checkout"}, "Checkout"),
        ("POST /api/v1/order-items/{id}", {"method": "POST"}, "Order items"),
        ("POST /dead/cart/{id}", {"pattern": "/dead/cart/{id}"}, "Dead cart"),
        ("place_order", {}, "Place order"),
        ("PUT /{id}", {"method": "PUT", "pattern": "/{id}"}, "PUT /{id}"),
    ],
)
def test_a_journey_of_one_step_is_named_in_words(shop, name, columns, words):
    assert actions.name_in_words(Operation(service=shop, name=name, **columns)) == words


def test_two_operations_of_one_path_keep_apart(shop, ada):
    made = [make_operation(shop, f"{method} /lists/{{id}}") for method in ("POST", "DELETE")]
    actions.propose_journeys(service=shop, operations=made, user=ada, now=NOW)
    assert set(shop.journeys.values_list("name", flat=True)) == {"Lists", "DELETE /lists/{id}"}
