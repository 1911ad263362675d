"""The room of an incident: what it shows, to whom, and how it keeps up."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Role
from apps.analytics.results import Fact
from apps.impact.models import CustomerImpact
from apps.incidents import actions, wording
from apps.incidents.models import IncidentRun, TimelineEvent
from tests.factories import make_contact, make_customer, make_incident, make_user
from tests.incidents.world import drafted, finish_all, pages, room, snapshot_of

pytestmark = pytest.mark.django_db


def test_the_room_shows_what_is_so(signed_in, incident, alice, now):
    actions.publish_update(
        update=drafted(incident, alice, next_update_at=now + timedelta(minutes=12)),
        user=alice,
        now=now,
    )
    snapshot_of(incident, make_customer(), make_customer("Globex"))
    text = signed_in.get(room(incident)).content.decode()
    for words in (
        "pay by card",
        "Some card payments are failing. We know the cause.",
        "Try once more in a minute.",
        "Between 10:04 and 10:30, 410 people tried to buy something.",
        "Acme",
        "Globex",
        "in 11",
        "customer known for 97",
        "provisional",
        "Declared",
    ):
        assert words in text, words


def test_the_room_asks_again_and_gets_nothing_until_something_happens(signed_in, incident, alice):
    first = signed_in.get(room(incident))
    assert 'hx-trigger="every 5s"' in first.content.decode()
    poll = room(incident) + first.context["poll"]
    ask = {"HTTP_HX_REQUEST": "true"}

    assert signed_in.get(poll, **ask).status_code == 204
    assert signed_in.get(poll).status_code == 200
    IncidentRun.objects.get().run.__class__.objects.update(state="running", progress=40)
    changed = signed_in.get(poll, **ask)

    assert changed.status_code == 200
    text = changed.content.decode()
    assert "Computing the impact" in text
    assert "<html" not in text
    assert changed["Vary"].count("HX-Request") == 1


def test_the_room_rests_when_it_is_over(signed_in, incident, alice, now):
    actions.resolve(incident=incident, text="Over.", user=alice, now=now)
    IncidentRun.objects.first().run.__class__.objects.update(state="done")
    assert "hx-trigger" not in signed_in.get(room(incident)).content.decode()


def test_a_failed_computation_is_said_so(signed_in, incident):
    IncidentRun.objects.get().run.__class__.objects.update(state="failed", error="Out of memory")
    text = signed_in.get(room(incident)).content.decode()
    assert "came to nothing" in text
    assert "Out of memory" in text
    assert "Compute now" in text


def test_computing_now_is_one_press(signed_in, incident):
    IncidentRun.objects.get().run.__class__.objects.update(state="done")
    for _ in range(2):
        answer = signed_in.post(room(incident, "impact"), follow=True)
        assert answer.redirect_chain == [(room(incident), 303)]
    assert IncidentRun.objects.count() == 2
    assert "being computed already" in answer.content.decode()


def test_customers_sort_and_go_on_to_a_page_of_their_own(signed_in, incident):
    customers = [make_customer(f"Customer {n:02}") for n in range(12)]
    snapshot = snapshot_of(incident, *customers)
    text = signed_in.get(room(incident), {"sort": "name"}).content.decode()
    assert "Customer 09" in text
    assert "Customer 10" not in text.partition("More pictures")[0]
    assert "All 12 customers" in text
    for sort in ("name", "-name", "tried", "-retried", "gave_up", "-requests", "no such"):
        answer = signed_in.get(room(incident, "customers"), {"sort": sort})
        assert len(answer.context["rows"]) == 12
    assert CustomerImpact.objects.filter(snapshot=snapshot).count() == 12


def test_the_room_says_whom_to_ask_about_a_customer(signed_in, incident, django_assert_num_queries):
    snapshot_of(incident, make_customer("Alone"))
    signed_in.get(room(incident))
    with CaptureQueriesContext(connection) as few:
        assert "looked after by" not in signed_in.get(room(incident)).content.decode()

    managers = [make_user(f"Kim {n}", role=Role.ACCOUNT_MANAGER) for n in range(4)]
    snapshot_of(
        incident, *(make_customer(one.name + " Ltd", account_manager=one) for one in managers)
    )
    with django_assert_num_queries(len(few)):
        text = signed_in.get(room(incident)).content.decode()
    assert all(f"looked after by {one.name}" in text for one in managers)


def told_facts():
    """What a snapshot keeps of a window in which Globex stood still, as data."""
    window = {"from": "2026-11-22T10:04:00Z", "to": "2026-11-22T10:30:00Z"}
    hit = {"whom": "people", "failed": 90, "total": 300, "actors": 100}
    return [
        Fact("some_lost", "attempts", value=30, detail={**window, "failed": 90, "total": 300, "attempts": 30}),
        Fact("waiting", "extra_wait_s", value=600, low=600, high=600, score=2.1,
             detail={"attempts": 10, "p50": None, "p95": None, "sum": 600}),
        Fact("gone", "not_returned", value=41.2, low=30.4, high=57.9, usual=0, score=2.0,
             detail={"exposed": 210}),
        Fact("hit", "actors.hit", value=40, low=40, high=40, score=1.9, public=True, detail=hit),
        Fact("dark", "customers.outage", who="Globex", value=1320, low=1320, high=1320, score=1.5,
             detail={"seconds": 1320, "over": True, "failures": 31, "others": 0}),
        Fact("gap", "gaps.actor", detail={"code": "actor", "question": "How many?", "why": "few"}),
    ]  # fmt: skip


def test_the_story_is_told_to_who_reads_it_each_sentence_with_its_figure(signed_in, incident):
    snapshot_of(incident, result={"facts": [fact.as_json() for fact in told_facts()]})

    page = signed_in.get(room(incident))
    staff = [one.text for one in page.context["room"].impact.story]
    boss = [
        one.text
        for one in signed_in.get(room(incident), {"reader": "executive"})
        .context["room"]
        .impact.story
    ]
    odd = signed_in.get(room(incident), {"reader": "nobody"}).context["room"].impact.story

    assert staff[0] == boss[0]
    assert staff[1].startswith("10 attempts got through on another try, after 10 minutes")
    assert boss[1].startswith("About 41 more people than usual, between 30 and 58, have not been")
    assert sorted(staff) == sorted(boss)
    assert [one.text for one in odd] == staff
    text = page.content.decode()
    assert "How many?" not in " ".join(staff)
    for number, one in enumerate(page.context["room"].impact.story, start=1):
        assert f'href="#basis-{number}"' in text
        assert f'<li id="basis-{number}">' in text
        assert f"<code>{one.figure.key}</code>" in text
        assert one.figure.how.endswith(".")
    assert "about 41, between 30 and 58, at 95 %" in text
    assert "?reader=executive#impact" in text


def test_what_the_story_has_no_room_for_is_folded_below_it_with_its_figure(signed_in, incident):
    dark = told_facts()[4]
    many = [replace(dark, who=f"Initech {n}", score=3.0 - n / 10) for n in range(6)]
    facts = [told_facts()[0], *many, *told_facts()[1:]]
    snapshot_of(incident, result={"facts": [fact.as_json() for fact in facts]})

    page = signed_in.get(room(incident))
    impact, text = page.context["room"].impact, page.content.decode()

    assert len(impact.story) == 8
    assert [one.figure.key for one in impact.more] == [
        "not_returned",
        "actors.hit",
        "customers.outage",
    ]
    assert "What else we know" in text
    for one in impact.more:
        assert text.count(f'id="basis-{one.figure.number}"') == 1
    assert [one.figure.number for one in impact.sentences] == list(range(1, 12))


def test_a_fact_that_a_later_version_kept_is_left_out(signed_in, incident):
    later = Fact("of tomorrow", "tomorrow", score=9).as_json() | {"colour": "blue"}
    facts = [*(fact.as_json() for fact in told_facts()), later]
    snapshot_of(incident, result={"facts": facts})
    page = signed_in.get(room(incident))
    assert page.status_code == 200
    assert len(page.context["room"].impact.story) == 5


def test_only_what_nobody_can_be_made_out_in_is_proposed_for_everybody():
    kept = {"facts": [fact.as_json() for fact in told_facts()]}
    assert list(wording.public_sentences({**kept, "requests": {"total": 300, "failed": 90}})) == [
        "40 of 100 people met a failure: 90 of 300 requests failed."
    ]


def test_an_account_manager_reads_no_sentence_that_names_a_customer(client, incident):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme = make_customer(account_manager=amy)
    snapshot_of(incident, acme, result={"facts": [fact.as_json() for fact in told_facts()]})
    client.force_login(amy)
    text = client.get(room(incident)).content.decode()
    assert "Globex" not in text
    assert "40 of 100 people met a failure" in text


def test_an_account_manager_sees_only_their_customers(client, incident):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme, globex = make_customer(account_manager=amy), make_customer("Globex")
    snapshot_of(
        incident,
        acme,
        globex,
        result={
            "story": ["Many tried.", "Globex had no success for 22 minutes."],
            "story_basis": ["journeys.Purchase", "customers.outage"],
        },
    )
    TimelineEvent.objects.create(
        incident=incident, at=timezone.now(), kind="note", text="Mail to Globex", user=None
    )
    client.force_login(amy)
    for page in ("room", "customers", "timeline"):
        answer = client.get(room(incident, page))
        assert answer.status_code == 200
        assert "Globex" not in answer.content.decode(), page
        assert 'method="post"' not in answer.content.decode().partition("<main")[2], page
    assert "Acme" in client.get(room(incident, "customers")).content.decode()


def test_a_customer_sees_nothing_of_the_console(client, incident):
    bob = make_contact(make_customer())
    bob.user = make_user("Bob", role=Role.CUSTOMER)
    bob.save()
    client.force_login(bob.user)
    for address, _ in pages(incident).values():
        assert client.get(address).status_code == 403


def test_an_incident_without_anything_shows_calmly(signed_in):
    incident = make_incident(cannot="")
    text = signed_in.get(room(incident)).content.decode()
    assert "Not computed yet" in text
    assert "Not said yet." in text


def test_where_it_was_worse_stands_in_the_room(signed_in, incident):
    def value(name, *, times, stands_out):
        return {
            "name": "app_version",
            "value": name,
            "attempts": {"total": 90, "failed": 60},
            "actors": {"total": 80, "failed": 54},
            "times": times,
            "stands_out": stands_out,
        }

    worse = {"estimate": 12.4, "low": 8.1, "high": 19.0, "level": 0.95}
    finish_all(
        incident,
        {
            "story": ["It failed for some."],
            "traits": [
                value("<b>3.2</b>", times=worse, stands_out=True),
                value("3.1", times=None, stands_out=False),
            ],
        },
    )
    text = signed_in.get(room(incident)).content.decode()
    assert "&lt;b&gt;3.2&lt;/b&gt;" in text
    assert "12.4 times as many" in text
    assert "8.1 to 19.0" in text
    assert "3.1</th>" not in text
