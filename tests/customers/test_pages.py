"""The list of customers and a customer's profile."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.customers.models import Attribute, IdentificationRule, Kind
from apps.tenets.models import Clause, Dimension, Tenet, TenetVersion
from tests.factories import NOW, make_contact, make_customer, make_service, make_snapshot, make_user
from tests.outreach.world import attach, make_world

LIST = reverse("customers:list")


@pytest.fixture
def world(db):
    return make_world()


def names(client, **query):
    page = client.get(LIST, query)
    assert page.status_code == 200
    return [one.name for one in page.context["page"].object_list]


def test_search_and_filters(client, world):
    make_contact(make_customer("Globex", account_manager=None), "Charlie Chan")
    make_customer("Back office", kind=Kind.INTERNAL, external_id="team-7")
    client.force_login(world.alice)

    assert names(client) == ["Acme", "Back office", "Globex"]
    assert names(client, q="glo") == ["Globex"]
    assert names(client, q="charlie") == ["Globex"]
    assert names(client, q="TEAM-7") == ["Back office"]
    assert names(client, q="acme bob") == ["Acme"]
    assert names(client, q="nobody") == []
    assert names(client, kind="internal") == ["Back office"]
    assert names(client, manager=world.amy.pk) == ["Acme"]
    assert names(client, manager="none") == ["Back office", "Globex"]
    assert names(client, kind="nonsense", manager="x", page="99") == [
        "Acme",
        "Back office",
        "Globex",
    ]
    assert names(client, q="%") == []
    assert client.get(LIST, {"q": "a\x00b"}).status_code in {200, 400}
    assert client.get(LIST, {"q": "x" * 5000}).status_code == 200


def test_pages_of_fifty(client, world):
    for number in range(60):
        make_customer(f"Customer {number:02}")
    client.force_login(world.alice)

    page = client.get(LIST, {"page": 2})

    assert "51–61 of 61 customers" in page.text


def test_account_managers_see_their_own(client, world):
    make_customer("Globex")
    client.force_login(world.amy)

    assert names(client) == ["Acme"]
    assert client.get(reverse("customers:profile", args=["acme"])).status_code == 200
    assert client.get(reverse("customers:profile", args=["globex"])).status_code == 404
    assert client.get(reverse("customers:profile", args=["nobody"])).status_code == 404
    client.force_login(make_user("Max", role=Role.ACCOUNT_MANAGER))
    assert "No customers of yours yet" in client.get(LIST).text


def test_a_profile_tells_who_they_are_and_what_happened_to_them(client, world):
    make_contact(world.acme, "Dan", do_not_contact=True)
    world.acme.bears_error = "not at the checkout"
    world.acme.notes = "Likes calls. <script>alert(1)</script>"
    world.acme.save()
    IdentificationRule.objects.create(
        customer=world.acme, attribute=Attribute.NETWORK, value="203.0.113.8/30"
    )
    tenet = Tenet.objects.create(slug="t", name="Orders", service=make_service(), kind="business")
    version = TenetVersion.objects.create(tenet=tenet, number=1, promise="Orders go through.")
    Clause.objects.create(
        version=version,
        position=1,
        dimension=Dimension.ERROR,
        text="Orders that work",
        target="0.999",
    )
    TenetVersion.objects.filter(pk=version.pk).update(state="active", valid_from=NOW)
    world.draft()
    client.force_login(world.amy)

    page = client.get(reverse("customers:profile", args=["acme"]))

    for words in (
        "60 of Acme&#x27;s 480 requests failed", "Checkout fails for some", "Orders go through.",
        "not at the checkout", "203.0.113.8/30", "does not want mail", "looked after by Amy",
        f"[INC-{world.incident.pk}]", "Bob", "not asked yet",
    ):  # fmt: skip
        assert words in page.text, words
    assert "<script>alert" not in page.text


def test_a_profile_shows_each_incident_once_with_the_newest_numbers(
    client, world, django_assert_num_queries
):
    later = make_snapshot(world.acme, now=NOW + timedelta(minutes=9))
    attach(world.incident, later)
    client.force_login(world.amy)

    with django_assert_num_queries(13):
        page = client.get(reverse("customers:profile", args=["acme"]))

    assert page.text.count("Checkout fails for some") == 1
    assert [one.impact.snapshot_id for one in page.context["history"]] == [later.pk]


def test_what_a_customer_lacks_and_the_export_of_what_was_found(client, world):
    make_contact(make_customer("Globex"), do_not_contact=True)
    make_customer("Shoppers", kind=Kind.CONSUMERS)
    IdentificationRule.objects.create(
        customer=world.acme, attribute=Attribute.HOST, value="acme.example"
    )
    client.force_login(world.liaison)

    assert names(client, lacks="contact") == ["Globex"]
    assert names(client, lacks="rule") == ["Globex", "Shoppers"]
    link = f"{reverse('customers:export')}?q=glo&amp;lacks=rule"
    assert link in client.get(LIST, {"q": "glo", "lacks": "rule", "sort": "kind", "page": 1}).text

    def exported(**query):
        body = client.get(reverse("customers:export"), query).getvalue().decode()
        return {
            line.split(",")[2] for line in body.splitlines()[1:] if line.startswith("customer,")
        }

    assert len(exported()) == 3
    assert exported(lacks="contact") == {"globex"}
    assert exported(kind="consumers", sort="-name") == {"shoppers"}
