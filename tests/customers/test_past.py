"""How the last 90 days were for a customer: from the events that came in to the words on the profile."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import ApiKey, Role, Scope
from apps.customers.models import Attribute, IdentificationRule
from apps.telemetry import actions, customer_days, jobs
from apps.telemetry.models import CustomerDay, Segment
from tests.factories import make_customer, make_user

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(microsecond=0)
TODAY = int(NOW.timestamp()) // 86_400


def deliver(*events):
    key = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]
    body = b"".join(
        json.dumps({"status": 200, "service": "shop"} | e).encode() + b"\n" for e in events
    )
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=NOW)


def request(days_ago: int, customer: str = "acme", **more):
    at = NOW - timedelta(days=days_ago)
    return {"ts": at.isoformat(), "customer": customer} | more


def profile(client, slug="acme"):
    page = client.get(reverse("customers:profile", args=[slug]))
    assert page.status_code == 200
    return page


@pytest.fixture
def acme(client):
    client.force_login(make_user("Ben", role=Role.LIAISON))
    return make_customer("Acme", bears_error_share="0.1")


def test_days_hold_what_the_events_say_and_count_each_file_once(acme):
    deliver(
        request(0), request(0, status=500), request(3), request(3, "stranger"),
        request(5, "stranger", status=500), request(0, user_agent="Googlebot/2.1"),
    )  # fmt: skip

    assert jobs.count_customers() == 3
    first = sorted(
        CustomerDay.objects.values_list("day", "customer", "requests", "failed"), key=str
    )
    assert first == sorted(
        [
            (TODAY, None, 2, 1), (TODAY, acme.pk, 2, 1), (TODAY - 3, None, 2, 0),
            (TODAY - 3, acme.pk, 1, 0), (TODAY - 5, None, 1, 1),
        ],
        key=str,
    )  # fmt: skip
    assert jobs.count_customers() == 0
    deliver(request(0), request(3, "stranger"))
    assert jobs.count_customers() == 2
    days = customer_days.of_customer(acme.pk, last=NOW.date(), days=7)
    assert [(day.requests, day.failed) for day in days.days] == [
        (None, None), (0, 0), (None, None), (1, 0), (None, None), (None, None), (3, 1)
    ]  # fmt: skip
    assert (days.requests, days.failed, days.latest_at, days.counting) == (4, 1, NOW, False)


def test_old_days_are_forgotten(acme):
    deliver(request(customer_days.KEPT_DAYS + 2), request(0))
    jobs.count_customers()

    jobs.drop_old_counts()

    assert set(CustomerDay.objects.values_list("day", flat=True)) == {TODAY}


def test_a_profile_tells_the_days_and_what_they_can_bear(client, acme):
    deliver(
        *[request(2)] * 8, *[request(2, status=500)] * 2, request(1, "stranger"), *[request(0)] * 20
    )
    jobs.count_customers()

    page = profile(client)

    for words in (
        "They sent requests on 2 of the 3 days that we hold data of.",
        "20\xa0% of 10 requests failed", "On 1 day more failed than the 10\xa0% that they can bear.",
        "data of 3 of 90 days", "20 requests on",
    ):  # fmt: skip
        assert words in page.text, words
    past = page.context["past"]
    assert [chart.kind for chart in past.charts] == ["line", "line"]
    assert [row[1] for row in past.charts[0].rows] == ["10", "0", "20"]
    assert [row[1] for row in past.charts[1].rows] == ["20.0 %", "cannot tell", "0.0 %"]


def test_what_cannot_be_told_is_said_with_why(client, acme):
    assert "holds no requests of these days" in profile(client).text

    deliver(request(0, "stranger"))
    assert "are being counted" in profile(client).text
    jobs.count_customers()
    page = profile(client)
    assert "No request of theirs is among those" in page.text
    assert "No rule names them" in page.text
    assert "are being counted" not in page.text

    IdentificationRule.objects.create(customer=acme, attribute=Attribute.HOST, value="acme.example")
    assert "Try the rules" in profile(client).text


def test_a_profile_asks_as_often_with_many_days_as_with_none(
    client, acme, django_assert_max_num_queries
):
    CustomerDay.objects.bulk_create(
        CustomerDay(day=TODAY - n, customer=who, requests=9, failed=1, latest_ms=(TODAY - n) * 86_400_000)
        for n in range(92) for who in (acme, None)
    )  # fmt: skip

    with django_assert_max_num_queries(15):
        page = profile(client)

    assert "on 90 of the 90 days" in page.text
    assert Segment.objects.count() == 0
