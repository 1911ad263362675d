"""The pages of incidents through HTTP: who may, the list, stored markup, how many queries."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.incidents import actions
from apps.incidents.models import IncidentRun, TimelineEvent
from tests.factories import make_customer, make_user
from tests.incidents.world import MARKUP, declared, drafted, pages, room, snapshot_of

pytestmark = pytest.mark.django_db

READ = {"list", "room", "customers", "timeline", "gaps"}
EDIT = {"declare", "edit", "state", "severity", "impact", "update", "discard"}
MAY = {
    Role.ADMIN: READ | EDIT | {"publish", "resolve"},
    Role.LEAD: READ | EDIT | {"publish", "resolve"},
    Role.LIAISON: READ | EDIT,
    Role.VIEWER: READ,
    Role.ACCOUNT_MANAGER: READ,
    Role.CUSTOMER: set(),
}


@pytest.mark.parametrize("role", list(MAY))
def test_who_may_open_and_press_what(client, incident, role):
    client.force_login(make_user("Reader", role=role))
    for name, (address, writes) in pages(incident).items():
        for method in ("get", "post"):
            if method == "post" and not writes:
                continue
            status = getattr(client, method)(address).status_code
            if name in MAY[role]:
                assert status in {200, 302, 303, 405, 409, 422}, (role, name, method, status)
            else:
                assert status == 403, (role, name, method, status)


def test_strangers_are_sent_to_the_sign_in(client, incident):
    for address, _ in pages(incident).values():
        for answer in (client.get(address), client.post(address)):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/sign-in/?next=")


def test_what_does_not_exist_is_404(signed_in):
    for pk in (999, 99999999999999999999999):
        assert signed_in.get(f"/console/incidents/{pk}/").status_code == 404
    assert signed_in.get("/console/incidents/x/").status_code == 404


# The list


def test_the_list_is_narrowed_and_searched(signed_in, alice, now):
    declared(alice, title="Checkout fails", now=now, started_at=now)
    over = declared(alice, title="Search was slow", now=now, started_at=now)
    actions.resolve(incident=over, text="Over.", user=alice, now=now)

    def titles(query):
        answer = signed_in.get(reverse("incidents:list"), query)
        assert answer.status_code == 200
        return [one.title for one in answer.context["page"]]

    assert titles({}) == ["Checkout fails"]
    assert titles({"show": "over"}) == ["Search was slow"]
    assert len(titles({"show": "all"})) == 2
    assert titles({"show": "all", "q": "SEARCH"}) == ["Search was slow"]
    assert titles({"show": "all", "q": over.reference}) == ["Search was slow"]
    assert titles({"show": "all", "q": "inc-999999999"}) == []
    assert titles({"show": "'; --", "page": "-3", "q": "%"}) == []


def test_the_list_says_what_it_did(signed_in, incident):
    snapshot_of(incident, make_customer(), result={"people": {"gave_up": 1390}})
    text = signed_in.get(reverse("incidents:list")).content.decode()
    assert "<strong>1,390</strong> people gave up" in text
    assert "1 customer hit" in text


@pytest.mark.parametrize("word", ["\0", "a\0b", "x" * 100_000, "%_\\", "😀", MARKUP])
def test_strange_words_are_no_error(signed_in, incident, word):
    for name in ("list", "room"):
        address = pages(incident)[name][0]
        query = {"q": word, "sort": word, "page": word, "seen": word, "show": word}
        answer = signed_in.get(address, query)
        assert answer.status_code in {200, 400, 414}
        assert MARKUP not in answer.content.decode()


# Stored markup


def test_stored_markup_stays_text(signed_in, alice, now):
    incident = declared(alice, title=MARKUP, cannot=MARKUP, started_at=now, now=now)
    customer = make_customer(MARKUP, slug="m")
    snapshot_of(incident, customer, result={"story": [MARKUP], "story_basis": ["x"]})
    later = now + timedelta(hours=1)
    link = "[x](javascript:alert(1))"
    draft = drafted(incident, alice, text=MARKUP + link, advice=MARKUP, next_update_at=later)
    for page in ("room", "publish", "update", "resolve", "edit", "customers"):
        text = signed_in.get(room(incident, page)).content.decode()
        assert MARKUP not in text, page
        assert 'href="javascript' not in text, page
    actions.publish_update(update=draft, user=alice, now=now)
    drafted(incident, alice, text=MARKUP, next_update_at=later)
    for page in ("room", "timeline"):
        text = signed_in.get(room(incident, page)).content.decode()
        assert MARKUP not in text
        assert 'href="javascript' not in text
    assert MARKUP not in signed_in.get(reverse("incidents:list")).content.decode()


# Queries


def fill(alice, now, *, incidents, customers):
    shops = [make_customer(f"Customer {n}") for n in range(customers)]
    found = []
    for n in range(incidents):
        incident = declared(alice, title=f"Incident {n}", started_at=now, now=now)
        snapshot_of(incident, *shops)
        incident.severities.create(kind="business", level=2, reason="r", confirmed_by=alice)
        incident.severities.create(kind="consumers", level=2, reason="r")
        for m in range(customers):
            TimelineEvent.objects.create(
                incident=incident, at=now, kind="note", text=f"Note {m}", user=alice
            )
        found.append(incident)
    IncidentRun.objects.update(proposals={})  # what settling would have kept
    return found


@pytest.mark.parametrize("rows", [1, 30])
def test_a_page_asks_as_often_whatever_it_shows(
    signed_in, alice, now, rows, django_assert_num_queries
):
    incident = fill(alice, now, incidents=min(rows, 12), customers=rows)[0]
    actions.publish_update(
        update=drafted(incident, alice, next_update_at=now + timedelta(hours=1)),
        user=alice,
        now=now,
    )
    drafted(incident, alice, next_update_at=now + timedelta(hours=1))
    for address, queries in [
        (reverse("incidents:list"), 6),
        (room(incident), 15),
        (room(incident, "customers"), 6),
        (room(incident, "timeline"), 6),
    ]:
        with django_assert_num_queries(queries):
            assert signed_in.get(address).status_code == 200
    poll = room(incident) + signed_in.get(room(incident)).context["poll"]
    with django_assert_num_queries(4):
        assert signed_in.get(poll, HTTP_HX_REQUEST="true").status_code == 204
