"""The pages of messages, through HTTP."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.outreach import actions, jobs
from apps.outreach.content import content_hash
from apps.outreach.models import Delivery, DeliveryState, Outreach, State
from tests.factories import NOW, make_contact, make_customer, make_snapshot, make_user
from tests.outreach.world import attach, make_world, new_snapshot

POSTS = [
    "edit", "write_anew", "submit", "approve", "send_back", "pause", "resume", "withdraw", "close",
]  # fmt: skip


@pytest.fixture
def outreach(world):
    return world.draft()


def url(name, outreach):
    return reverse(f"outreach:{name}", args=[outreach.pk])


def form_of(outreach, **changes):
    return {
        "subject": outreach.subject,
        "text": outreach.text,
        "recipients": [one.pk for one in outreach.recipients.all()],
        "content_hash": content_hash(outreach, outreach.recipients.all()),
        "incident_version": outreach.incident.version,
        **changes,
    }


def test_from_the_proposal_to_the_mail_without_javascript(client, world, outreach, sink):
    client.force_login(world.amy)
    page = client.get(url("detail", outreach))
    assert "60 of Acme&#x27;s 480 requests failed" in page.text
    answer = client.post(
        url("edit", outreach), form_of(outreach, text="Our own words.", then="submit")
    )
    assert (answer.status_code, answer["Location"]) == (303, url("detail", outreach))
    page = client.get(url("detail", outreach))
    assert "cannot approve" in page.text
    assert "Approve and send" not in page.text

    client.force_login(world.liaison)
    page = client.get(url("detail", outreach))
    assert "Approve and send to 1 person" in page.text
    seen = re.search(r'name="content_hash" value="(\w+)"><button', page.text)[1]
    answer = client.post(url("approve", outreach), {"content_hash": seen})
    assert answer.status_code == 303
    jobs.drain(now=Delivery.objects.get().send_after)

    assert sink.addresses == {"bob@acme.example": 1}
    page = client.get(url("detail", outreach))
    assert "1 of 1 accepted" in page.text
    assert "Sent" in page.text


def test_refusals_are_422_and_keep_what_was_typed(client, world, outreach):
    client.force_login(world.amy)

    answer = client.post(
        url("edit", outreach), form_of(outreach, subject="a\nb", text="My long words.")
    )

    assert answer.status_code == 422
    assert "must be one line" in answer.text
    assert "My long words." in answer.text
    outreach.refresh_from_db()
    assert outreach.subject != "a\nb"


def test_a_form_that_makes_no_sense_is_422(client, world, outreach):
    client.force_login(world.amy)

    for nonsense in (
        {},
        form_of(outreach, subject="x" * 201),
        form_of(outreach, recipients=["999999999"]),
        form_of(outreach, recipients=["x"]),
        form_of(outreach, snapshot="9" * 30),
        form_of(outreach, incident_version="-1"),
        form_of(outreach, text="a\x00b"),
    ):
        answer = client.post(url("edit", outreach), nonsense)
        assert answer.status_code == 422, nonsense
        assert "Not saved" in answer.text or "Not done" in answer.text


def test_two_writers_do_not_write_over_each_other(client, world, outreach):
    client.force_login(world.amy)
    stale_form = form_of(outreach, text="Amy’s words.")
    actions.edit(
        outreach=outreach, user=world.liaison, subject="S", text="Ben’s words.",
        recipients=[world.bob], now=NOW,
    )  # fmt: skip

    answer = client.post(url("edit", outreach), stale_form)

    assert answer.status_code == 422
    assert "Ben changed it since you opened it" in answer.text
    assert "Amy’s words." in answer.text
    outreach.refresh_from_db()
    assert outreach.text == "Ben’s words."


def test_approving_what_one_did_not_see_is_422(client, world):
    outreach = world.in_review()
    client.force_login(world.liaison)

    for given in ({}, {"content_hash": "0" * 64}, {"content_hash": "x" * 200}):
        answer = client.post(url("approve", outreach), given)
        assert answer.status_code == 422
        assert "changed since you opened it" in answer.text
    assert not Delivery.objects.exists()


def test_every_step_that_does_not_fit_the_state_is_422(client, world):
    outreach = world.draft()
    client.force_login(world.liaison)

    for name in ("approve", "send_back", "pause", "resume", "withdraw", "close"):
        assert client.post(url(name, outreach)).status_code == 422, name


def test_the_other_ways_on(client, world):
    outreach = world.in_review()
    client.force_login(world.liaison)
    ways = [
        ("send_back", {"reason": "Shorter."}, State.DRAFT),
        ("submit", {}, State.IN_REVIEW),
        ("withdraw", {}, State.DRAFT),
        ("write_anew", {}, State.DRAFT),
        ("close", {"reason": "We called."}, State.CLOSED),
    ]
    for name, given, state in ways:
        assert client.post(url(name, outreach), given).status_code == 303, name
        outreach.refresh_from_db()
        assert outreach.state == state, name
    page = client.get(url("detail", outreach))
    assert "We called." in page.text


def test_hold_and_let_go(client, world):
    outreach = world.approved()
    client.force_login(world.amy)

    assert client.post(url("pause", outreach)).status_code == 303
    page = client.get(url("detail", outreach))
    assert "Let it go on" in page.text
    assert client.post(url("resume", outreach)).status_code == 303
    outreach.refresh_from_db()
    assert outreach.state == State.APPROVED


def test_what_nobody_knows_is_settled_on_the_page(client, world):
    outreach = world.approved()
    Delivery.objects.update(state=DeliveryState.CLAIMED)
    Delivery.objects.update(state=DeliveryState.SUBMITTING)
    Delivery.objects.update(state=DeliveryState.UNKNOWN)
    row = Delivery.objects.get()
    client.force_login(world.amy)
    assert "It did not: send it again" in client.get(url("detail", outreach)).text
    settle = reverse("outreach:settle", args=[outreach.pk, row.pk])

    assert client.post(settle, {"outcome": "nonsense"}).status_code == 422
    assert client.post(settle, {"outcome": "arrived"}).status_code == 303
    assert client.post(settle, {"outcome": "arrived"}).status_code == 422

    row.refresh_from_db()
    assert row.state == DeliveryState.ACCEPTED


def test_what_is_out_of_date_is_shown_and_saving_clears_it(client, world):
    outreach = world.in_review()
    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")
    world.incident.version = 2
    world.incident.save()
    jobs.notice_stale(now=NOW)
    client.force_login(world.amy)
    page = client.get(url("detail", outreach))
    assert "The incident has changed since this was written" in page.text
    assert "Newer numbers" in page.text
    assert "90 of 700 failed." in page.text
    fields = dict(
        re.findall(r'type="hidden" name="(snapshot|incident_version)" value="(\d+)"', page.text)
    )
    outreach.refresh_from_db()

    answer = client.post(
        url("edit", outreach), form_of(outreach, text="90 then.", then="submit", **fields)
    )

    assert answer.status_code == 303
    outreach.refresh_from_db()
    assert outreach.state == State.IN_REVIEW
    page = client.get(url("detail", outreach))
    assert "Newer numbers" not in page.text


def test_account_managers_find_only_their_own(client, world, outreach):
    client.force_login(make_user("Mallory", role=Role.ACCOUNT_MANAGER))

    assert client.get(url("detail", outreach)).status_code == 404
    assert client.get(url("preview", outreach)).status_code == 404
    for name in POSTS:
        assert client.post(url(name, outreach)).status_code == 404, name
    assert "Acme" not in client.get(reverse("outreach:list") + "?tab=proposed").text


@pytest.mark.parametrize("role", [Role.CUSTOMER])
def test_customers_have_no_console(client, world, outreach, role):
    bob = make_user("Bob", role=role)
    world.bob.user = bob
    world.bob.save()
    client.force_login(bob)

    for address in (
        url("detail", outreach), url("preview", outreach), reverse("outreach:list"),
        reverse("customers:list"), reverse("customers:profile", args=["acme"]),
    ):  # fmt: skip
        assert client.get(address).status_code == 403, address
    assert client.get(reverse("today")).headers["Location"] == "/", "they are led to their own page"
    for name in POSTS:
        assert client.post(url(name, outreach)).status_code == 403, name


def test_strangers_are_asked_to_sign_in(client, world, outreach):
    for address in (url("detail", outreach), reverse("outreach:list"), reverse("today")):
        assert client.get(address).status_code == 302
    for name in POSTS:
        answer = client.post(url(name, outreach))
        assert answer.status_code == 302
        assert "sign-in" in answer["Location"]


def test_viewers_look_and_touch_nothing(client, world, outreach):
    client.force_login(make_user("Vic", role=Role.VIEWER))

    page = client.get(url("detail", outreach))

    assert page.status_code == 200
    assert "Save" not in page.text
    for name in POSTS:
        assert client.post(url(name, outreach)).status_code == 403, name
    for name in POSTS:
        assert client.get(url(name, outreach)).status_code == 405


def test_the_preview_is_a_page_that_can_do_nothing(client, world, outreach):
    client.force_login(world.amy)

    page = client.get(url("preview", outreach))

    policy = page["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    assert "Hello Bob," in page.text
    detail = client.get(url("detail", outreach))
    assert "frame-src 'self'" in detail["Content-Security-Policy"]
    assert "unsafe" not in detail["Content-Security-Policy"]
    assert "frame-src" not in client.get(reverse("outreach:list"))["Content-Security-Policy"]


def test_the_list_opens_where_something_waits_and_counts(client, world, outreach):
    client.force_login(world.liaison)

    page = client.get(reverse("outreach:list"))
    assert 'href="?tab=proposed" aria-current="page"' in page.text
    assert "Acme" in page.text
    for tab in ("drafts", "review", "sending", "sent", "closed", "nonsense"):
        assert client.get(reverse("outreach:list"), {"tab": tab, "page": "x"}).status_code == 200


def test_the_clock_is_the_one_of_who_reads(client, world):
    world.bob.time_zone = "Asia/Tokyo"
    world.bob.save()
    draft = world.draft()
    client.force_login(world.amy)

    text = client.get(reverse("outreach:detail", args=[draft.pk])).text

    tokyo = timezone.now().astimezone(ZoneInfo("Asia/Tokyo"))
    clocks = [f"{at:%H:%M}" for at in (tokyo - timedelta(minutes=1), tokyo)]
    assert any(f"It is {clock} where they are" in text for clock in clocks)


def test_queries_do_not_grow_with_rows(client, django_assert_max_num_queries, db):
    world = make_world()
    world.draft()
    client.force_login(world.liaison)
    addresses = [
        reverse("outreach:list") + "?tab=proposed",
        reverse("today"),
        reverse("customers:list"),
    ]

    def count():
        found = []
        for address in addresses:
            with django_assert_max_num_queries(40) as captured:
                assert client.get(address).status_code == 200
            found.append(len(captured))
        return found

    few = count()
    more = [make_customer(f"Customer {n}", account_manager=world.amy) for n in range(12)]
    for customer in more:
        make_contact(customer, "Kim")
    attach(world.incident, make_snapshot(world.acme, *more))
    jobs.propose(now=NOW)

    assert Outreach.objects.count() == 13
    assert count() == few == [5, 14, 6]


def test_the_detail_page_asks_a_fixed_number_of_questions(client, world, django_assert_num_queries):
    outreach = world.approved()
    for number in range(10):
        make_contact(world.acme, f"Person {number}")
    client.force_login(world.liaison)

    with django_assert_num_queries(12):
        assert client.get(url("detail", outreach)).status_code == 200
