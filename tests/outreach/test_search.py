"""The search: what is found, by whom, and at what cost."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.customers.models import Contact, Customer, Kind
from apps.tenets.models import Tenet
from tests.factories import (
    NOW,
    make_contact,
    make_customer,
    make_incident,
    make_journey,
    make_operation,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    alice = make_user()
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme = make_customer("Acme", external_id="crm-4711", account_manager=amy)
    make_contact(acme, "Bob Ruiz")
    globex = make_customer("Globex", external_id="crm-4712")
    make_contact(globex, "Charlie Ruiz")
    service = make_service("Checkout")
    operation = make_operation(service, "POST /checkout")
    make_journey(service, "Check out", operation)
    Tenet.objects.create(
        slug="checkout-holds", name="Checkout holds", service=service, kind=Kind.BUSINESS
    )
    incident = make_incident("Checkout fails for some", declared_by=alice)
    return {"alice": alice, "amy": amy, "incident": incident}


def find(client, user, q, **more):
    client.force_login(user)
    return client.get(reverse("search"), {"q": q, **more}).text


def test_every_sort_of_thing_is_found_under_its_own_heading(client, world):
    page = find(client, world["alice"], "check")

    for heading in ("Incidents", "Services", "Operations", "Journeys", "Tenets"):
        assert f">{heading}</h2>" in page
    assert "<mark>Check</mark>out fails for some" in page
    assert ">Customers</h2>" not in page


@pytest.mark.parametrize("q", ["acme", "4711", "ruiz bob", "bob-ruiz@acme", "ACME"])
def test_a_customer_is_found_by_name_external_id_and_contact(client, world, q):
    page = find(client, world["alice"], q)

    assert reverse("customers:profile", args=["acme"]) in page
    assert reverse("customers:profile", args=["globex"]) not in page


@pytest.mark.parametrize("form", ["{}", "INC-{}", "inc-{}"])
def test_an_incident_is_found_by_its_reference(client, world, form):
    page = find(client, world["alice"], form.format(world["incident"].pk))

    assert reverse("incidents:room", args=[world["incident"].pk]) in page


def test_an_account_manager_finds_only_their_customers(client, world):
    page = find(client, world["amy"], "ruiz")

    assert "Acme" in page
    assert "Globex" not in page
    assert "Globex" not in find(client, world["amy"], "ruiz", **{"in": "customers"})


def test_only_who_sees_people_finds_people(client, world):
    make_user("Zoe", role=Role.VIEWER)

    assert "zoe@example.com" in find(client, make_user("Ada", role=Role.ADMIN), "zoe").replace(
        "<mark>", ""
    ).replace("</mark>", "")
    assert "zoe@example.com" not in find(client, world["alice"], "zoe")
    assert ">People</h2>" not in find(client, world["alice"], "zoe", **{"in": "people"})


def test_words_that_match_are_marked_and_markup_is_inert(client, world):
    make_customer("<b>Bold</b> & Sons", slug="bold")

    page = find(client, world["alice"], "<b>bold & sons")

    assert "<mark>&lt;b&gt;Bold</mark>&lt;/b&gt; <mark>&amp;</mark> <mark>Sons</mark>" in page
    assert "<b>bold" not in page.lower()


@pytest.mark.parametrize("q", ["", "  ", "\0", "%", "_", "\\", "'", "9" * 400, "a " * 300])
def test_any_words_get_an_answer(client, world, q):
    client.force_login(world["alice"])
    for more in ({}, {"in": "customers"}, {"in": "nothing"}, {"page": "9999", "in": "incidents"}):
        assert client.get(reverse("search"), {"q": q, **more}).status_code == 200


def test_a_percent_sign_is_no_wildcard(client, world):
    assert "Nothing matches" in find(client, world["alice"], "a%e")


def test_many_hits_show_the_first_and_lead_to_all(client, world):
    for n in range(37):
        make_customer(f"Shop {n}", slug=f"shop-{n}")

    page = find(client, world["alice"], "shop")
    everything = find(client, world["alice"], "shop", **{"in": "customers"})

    assert page.count("<mark>Shop</mark>") == 5
    assert "All 37 customers" in page
    assert everything.count("<mark>Shop</mark>") == 37


def test_htmx_gets_the_results_alone(client, world):
    client.force_login(world["alice"])

    answer = client.get(reverse("search"), {"q": "acme"}, headers={"HX-Request": "true"})

    assert "<html" not in answer.text
    assert "<mark>Acme</mark>" in answer.text
    assert "HX-Request" in answer["Vary"]


def test_the_number_of_queries_does_not_grow_with_what_is_found(
    client, world, django_assert_max_num_queries
):
    customers = Customer.objects.bulk_create(
        Customer(name=f"Check {n}", slug=f"check-{n}", kind=Kind.BUSINESS) for n in range(60)
    )
    Contact.objects.bulk_create(
        Contact(customer=one, name=f"Check {one.pk}", email="check@x.example") for one in customers
    )
    for n in range(12):
        make_operation(make_service(f"Check {n}"), f"GET /check/{n}")
        make_incident(f"Check {n}", started_at=NOW - timedelta(days=n))
    client.force_login(world["alice"])

    with django_assert_max_num_queries(20):
        client.get(reverse("search"), {"q": "check"})
    with django_assert_max_num_queries(8):
        client.get(reverse("search"), {"q": "check", "in": "customers"})
