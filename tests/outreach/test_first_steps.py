"""What Today says on a new portal: the next thing to do, until all is done."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.customers.models import IdentificationRule
from apps.outreach.queries.first_steps import first_steps
from apps.telemetry.models import Batch
from apps.tenets.models import Tenet, TenetVersion
from tests.factories import make_customer, make_incident, make_journey, make_service, make_user

TODAY = reverse("today")


@pytest.fixture
def admin(db):
    return make_user("Nora", role=Role.ADMIN)


def _came_in(*, named, customers=100, later=timedelta(0)):
    Batch.objects.create(
        batch_id=f"{Batch.objects.count():032d}", source="log", format="ndjson", length=1, lines=customers,
        rows=customers, rejected=0, tally={"customers": customers, "named": named},
        created_at=timezone.now() + later,
    )  # fmt: skip


def _done(user):
    return [one.title for one in first_steps(user) if one.done]


def test_an_empty_portal_leads_on_instead_of_calling_it_quiet(client, admin):
    client.force_login(admin)

    page = client.get(TODAY).text

    assert "First steps" in page
    assert "All quiet" not in page
    assert f'class="button button-primary" href="{reverse("customers:import")}"' in page
    assert page.count("button-primary") == 1
    for address in ("accounts:keys", "rules:identification", "catalog:services", "accounts:invite"):
        assert reverse(address) in page


def test_steps_are_done_by_what_is_there(admin):
    assert _done(admin) == []
    make_customer()
    assert _done(admin) == ["Say who your customers are"]
    _came_in(named=0)
    assert "Bring in a little traffic" in _done(admin)
    make_journey(make_service())
    assert "Confirm what you run" in _done(admin)
    lead = make_user("Ben", role=Role.LEAD)
    assert "Invite somebody who approves" in _done(admin)
    tenet = Tenet.objects.create(
        slug="t", name="Orders", service=make_service("Web"), kind="business"
    )
    version = TenetVersion.objects.create(tenet=tenet, number=1, promise="p", state="in_review")
    assert first_steps(lead)[-1].action == "See what waits"
    version.state, version.valid_from = "active", timezone.now()
    version.save()
    assert "Promise something" in _done(admin)
    _came_in(named=10_000, customers=10_000)
    assert first_steps(admin) == []


def test_the_named_share_is_of_what_came_in_after_the_last_rule(admin):
    acme = make_customer()
    _came_in(named=0, later=-timedelta(minutes=5))
    assert first_steps(admin)[2].text == "0 % of what came in is of a customer we can name."

    IdentificationRule.objects.create(customer=acme, attribute="service", value="web")
    assert "bring in the next log" in first_steps(admin)[2].text

    _came_in(named=94, later=timedelta(minutes=1))
    assert first_steps(admin)[2].text.startswith("94 % of what came in since the last rule")
    assert not first_steps(admin)[2].done


def test_who_declares_incidents_has_started(admin):
    make_incident()
    assert first_steps(admin) == []


def test_others_are_not_led_where_they_may_not_go(client, db):
    assert first_steps(make_user("Vi", role=Role.VIEWER)) == []
    assert first_steps(make_user("Amy", role=Role.ACCOUNT_MANAGER)) == []
    client.force_login(make_user("Lou", role=Role.LIAISON))
    page = client.get(TODAY).text
    assert reverse("accounts:keys") not in page
    assert reverse("accounts:invite") not in page
    assert reverse("tenets:guide") in page


def test_a_promise_waits_on_the_page_of_who_may_approve_it(client, world):
    tenet = Tenet.objects.create(
        slug="t", name="Orders work", service=make_service("Web"), kind="business"
    )
    TenetVersion.objects.create(
        tenet=tenet, number=1, promise="p", state="in_review", author=world.alice
    )
    other = make_user("Lea", role=Role.LEAD)
    for person, sees in ((world.alice, False), (world.liaison, False), (other, True)):
        client.force_login(person)
        page = client.get(TODAY).text
        assert ("1 promise to approve" in page) is sees
        assert (reverse("tenets:detail", args=["t"]) in page) is sees
