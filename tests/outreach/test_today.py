"""Today: what needs this person now, and nothing of anybody else's."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.impact.models import CustomerImpact, Gap
from apps.incidents.models import State as IncidentState
from apps.outreach import jobs, queries
from apps.tenets.models import Tenet, TenetVersion
from tests.factories import (
    NOW,
    make_contact,
    make_customer,
    make_incident,
    make_service,
    make_snapshot,
    make_user,
)
from tests.outreach.world import attach

TODAY = reverse("today")


def test_staff_see_what_is_open_late_and_waiting(client, world):
    world.incident.next_update_at = timezone.now() - timedelta(minutes=4)
    world.incident.save()
    world.draft()
    client.force_login(world.liaison)

    page = client.get(TODAY)

    assert "1 incident open · 1 update overdue · 1 message waits for you" in page.text
    assert "410 people tried to buy something" in page.text
    assert "1 of 1 businesses and teams hit" in page.text
    assert "overdue" in page.text


def test_an_account_manager_sees_only_their_own(client, world):
    globex = make_customer("Globex", account_manager=make_user("Max", role=Role.ACCOUNT_MANAGER))
    make_contact(globex, "Charlie")
    attach(world.incident, make_snapshot(world.acme, globex, now=NOW + timedelta(minutes=1)))
    jobs.propose(now=NOW)
    Gap.objects.create(
        code="x", question="How often do apps retry?", why="No session.", opened_at=timezone.now(),
        first_snapshot=world.snapshot, latest_snapshot=world.snapshot,
    )  # fmt: skip
    client.force_login(world.amy)

    page = client.get(TODAY)

    assert "1 incident open · 1 message waits for you" in page.text
    assert "60 of Acme&#x27;s 480 requests failed" in page.text
    assert "1 of your 1 customers" in page.text
    assert "Globex" not in page.text
    assert "410 people" not in page.text
    assert "How often do apps retry" not in page.text


def test_the_accounts_that_were_hit_hardest_are_named(client, world):
    def hit(snapshot, *failed):
        for number, n in enumerate(failed):
            CustomerImpact.objects.create(
                snapshot=snapshot,
                customer=make_customer(f"Hit {snapshot.pk}/{number}"),
                kind="business",
                grade="hit",
                result={} if n is None else {"requests": {"failed": n}},
            )

    first, second = make_snapshot(), make_snapshot()
    hit(first, None, 9, 100, 30, 30)
    hit(second, 1)
    wonka = make_customer("Wonka", kind="consumers")
    CustomerImpact.objects.create(
        snapshot=second, customer=wonka, kind="consumers", grade="hit",
        result={"requests": {"failed": 900}},
    )  # fmt: skip
    attach(world.incident, first)
    attach(make_incident(declared_by=world.liaison), second)

    found = queries.today(world.liaison, now=NOW).incidents

    named = {one.incident: [customer.name for customer in one.named] for one in found}
    assert named.pop(world.incident) == [f"Hit {first.pk}/{n}" for n in (2, 3, 4, 1)]
    assert list(named.values()) == [[f"Hit {second.pk}/0"]]
    assert {one.others for one in found} == {0, 1}


def test_nothing_for_you_is_a_calm_screen(client, world):
    client.force_login(make_user("Max", role=Role.ACCOUNT_MANAGER))

    page = client.get(TODAY)

    assert page.status_code == 200
    assert "Nothing for you" in page.text


def test_all_quiet_for_staff(client, world):
    world.incident.state = IncidentState.DISMISSED
    world.incident.save()
    client.force_login(world.alice)

    assert "All quiet" in client.get(TODAY).text


def test_reviews_gaps_and_calls(client, world):
    world.bob.delete()
    tenet = Tenet.objects.create(
        slug="t", name="Orders work", service=make_service(), kind="business"
    )
    TenetVersion.objects.create(
        tenet=tenet, number=1, promise="p", state="active", valid_from=NOW,
        review_by=date.today() - timedelta(days=1),
    )  # fmt: skip
    Gap.objects.create(
        code="x", question="How often do apps retry?", why="No session.", opened_at=timezone.now(),
        first_snapshot=world.snapshot, latest_snapshot=world.snapshot,
    )  # fmt: skip
    client.force_login(world.liaison)

    page = client.get(TODAY)

    assert "1 customer to call · 1 promise to review" in page.text
    assert "Orders work" in page.text
    assert "How often do apps retry?" in page.text
    assert "nobody there may be mailed" in page.text


def test_what_waits_depends_on_who_asks(world):
    outreach = world.in_review()

    def waits(user):
        return list(queries.today(user, now=NOW).waiting)

    assert waits(world.liaison) == [outreach]
    assert waits(world.alice) == [outreach]
    assert waits(world.amy) == []


def test_htmx_gets_the_part_that_changes(client, world):
    client.force_login(world.liaison)

    page = client.get(TODAY, headers={"HX-Request": "true"})

    assert "<html" not in page.text
    assert 'id="now"' in page.text
    assert "HX-Request" in page["Vary"]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.LEAD, Role.LIAISON, Role.VIEWER])
def test_every_member_of_staff_can_open_it(client, world, role):
    client.force_login(make_user("Sue", role=role))

    assert client.get(TODAY).status_code == 200
