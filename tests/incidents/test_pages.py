"""The pages of incidents through HTTP: who may, what is refused, what is shown, how many queries."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Role
from apps.impact.models import CustomerImpact, Gap
from apps.incidents import actions, jobs
from apps.incidents.models import Incident, IncidentRun, State, TimelineEvent, Update
from tests.factories import (
    make_contact,
    make_customer,
    make_incident,
    make_service,
    make_snapshot,
    make_user,
)
from tests.incidents.world import declared, drafted

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def alice():
    return make_user()


@pytest.fixture
def incident(alice, now):
    return declared(alice, started_at=now - timedelta(minutes=20), now=now)


@pytest.fixture
def signed_in(client, alice):
    client.force_login(alice)
    return client


def snapshot_of(incident, *customers, **columns):
    snapshot = make_snapshot(*customers, **columns)
    IncidentRun.objects.create(incident=incident, run=snapshot.run)
    return snapshot


def room(incident, page="room", **more):
    return reverse(f"incidents:{page}", kwargs={"pk": incident.pk, **more})


def pages(incident):
    """Every address of the console's incidents: name -> (address, is it a form or a button)."""
    return {
        "list": (reverse("incidents:list"), False),
        "declare": (reverse("incidents:declare"), True),
        "room": (room(incident), False),
        "customers": (room(incident, "customers"), False),
        "timeline": (room(incident, "timeline"), False),
        "edit": (room(incident, "edit"), True),
        "state": (room(incident, "state"), True),
        "severity": (room(incident, "severity", kind="business"), True),
        "impact": (room(incident, "impact"), True),
        "update": (room(incident, "update"), True),
        "publish": (room(incident, "publish"), True),
        "discard": (room(incident, "discard"), True),
        "resolve": (room(incident, "resolve"), True),
        "gaps": (reverse("impact:gaps"), False),
    }


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


# Declaring


def declaration(now, **fields):
    return {
        "title": "Checkout fails for some",
        "cannot": "pay by card",
        "started_at": f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M}",
        "fault": "unknown",
        "visibility": "public",
        **fields,
    }


def test_declaring_by_form(signed_in, alice, now):
    shop = make_service()
    address = reverse("incidents:declare")
    assert f'value="{now:%Y-%m-%dT%H:%M}' in signed_in.get(address).content.decode()

    answer = signed_in.post(address, declaration(now, services=[shop.pk]))

    incident = Incident.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, room(incident))
    assert incident.declared_by == alice
    assert list(incident.services.all()) == [shop]
    assert "Waiting for a worker" in signed_in.get(room(incident)).content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": "a\0b"},
        {"cannot": "x" * 301},
        {"started_at": "yesterday"},
        {"started_at": "0001-01-01T00:00"},
        {"started_at": "9999-12-31T23:59"},
        {"started_at": ""},
        {"fault": "x"},
        {"visibility": "x"},
        {"services": ["x"]},
        {"services": [str(2**80)]},
        {"services": ["\0"]},
    ],
)
def test_what_cannot_be_declared_comes_back(signed_in, now, fields):
    answer = signed_in.post(reverse("incidents:declare"), declaration(now, **fields))
    assert answer.status_code == 422
    assert "has-error" in answer.content.decode()
    assert not Incident.objects.exists()


# The room


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
        "covers 97",
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
    assert "Customer 10" not in text
    assert "All 12 customers" in text
    for sort in ("name", "-name", "tried", "-retried", "gave_up", "-requests", "no such"):
        answer = signed_in.get(room(incident, "customers"), {"sort": sort})
        assert len(answer.context["rows"]) == 12
    assert CustomerImpact.objects.filter(snapshot=snapshot).count() == 12


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


# Telling


def words(**fields):
    return {
        "state": "identified",
        "text": "Some card payments are failing.",
        "advice": "Try once more.",
        "next_in": "30",
        "revision": "",
        **fields,
    }


def test_from_draft_to_published(signed_in, incident, now):
    answer = signed_in.post(room(incident, "update"), words())
    assert (answer.status_code, answer["Location"]) == (303, room(incident, "publish"))
    draft = Update.objects.get()
    assert draft.next_update_at - now >= timedelta(minutes=30)
    preview = signed_in.get(room(incident, "publish")).content.decode()
    assert "Publish to everyone" in preview
    assert "Some card payments are failing." in preview

    answer = signed_in.post(
        room(incident, "publish"), {"update": draft.pk, "revision": draft.revision}
    )

    assert (answer.status_code, answer["Location"]) == (303, room(incident))
    draft.refresh_from_db()
    incident.refresh_from_db()
    assert draft.published_at is not None
    assert incident.state == State.IDENTIFIED


def test_a_first_draft_is_proposed_from_the_facts(signed_in, incident):
    snapshot_of(incident, make_customer())
    text = signed_in.get(room(incident, "update")).content.decode()
    assert "Some customers cannot pay by card." in text
    assert "60 of 480 requests failed" in text


def test_the_second_to_publish_is_told_who_was_first(client, signed_in, incident, alice, now):
    draft = drafted(incident, alice, next_update_at=now + timedelta(hours=1))
    form = {"update": draft.pk, "revision": draft.revision}
    assert signed_in.post(room(incident, "publish"), form).status_code == 303
    client.force_login(make_user("Ada"))
    answer = client.post(room(incident, "publish"), form)
    assert answer.status_code == 409
    assert "Alice published this update" in answer.content.decode()
    assert Update.objects.count() == 1


def test_publishing_what_changed_since_shows_it_anew(signed_in, incident, alice, now):
    later = now + timedelta(hours=1)
    read = drafted(incident, alice, next_update_at=later)
    drafted(incident, alice, text="Other words.", next_update_at=later, revision_seen=1)
    answer = signed_in.post(room(incident, "publish"), {"update": read.pk, "revision": 1})
    assert answer.status_code == 409
    assert "Other words." in answer.content.decode()


@pytest.mark.parametrize(
    "form",
    [{}, {"update": "x", "revision": "1"}, {"update": "1", "revision": "9" * 30}, {"update": "²"}],
)
def test_publishing_nonsense_publishes_nothing(signed_in, incident, alice, form):
    drafted(incident, alice)
    assert signed_in.post(room(incident, "publish"), form).status_code == 409
    assert not Update.objects.filter(published_at__isnull=False).exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "gone"},
        {"state": "dismissed"},
        {"text": ""},
        {"text": "a\0b"},
        {"text": "x" * 5001},
        {"advice": "x" * 2001},
        {"next_in": ""},
        {"next_in": "7"},
        {"revision": "x"},
        {"revision": "-1"},
        {"revision": str(2**70)},
    ],
)
def test_an_update_that_cannot_be_comes_back(signed_in, incident, fields):
    answer = signed_in.post(room(incident, "update"), words(**fields))
    assert answer.status_code == 422
    assert not Update.objects.exists()


def test_a_draft_conflict_shows_theirs_and_keeps_mine(signed_in, incident, alice):
    drafted(incident, make_user("Ben", role=Role.LIAISON), text="Ben's words.")
    answer = signed_in.post(room(incident, "update"), words(text="My words."))
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Ben's words." in text
    assert "My words." in text
    assert Update.objects.get().text == "Ben's words."

    again = signed_in.post(room(incident, "update"), words(text="My words.", revision="1"))
    assert again.status_code == 303
    assert Update.objects.get().text == "My words."


def test_throwing_a_draft_away(signed_in, incident, alice):
    drafted(incident, alice)
    assert signed_in.post(room(incident, "discard"), {"revision": "7"}).status_code == 303
    assert Update.objects.exists()
    signed_in.post(room(incident, "discard"), {"revision": "1"})
    assert not Update.objects.exists()
    assert signed_in.post(room(incident, "discard")).status_code == 303


def test_resolving_by_form(signed_in, incident, alice, now):
    draft = drafted(incident, alice, text="Half a draft.", next_update_at=now + timedelta(hours=1))
    page = signed_in.get(room(incident, "resolve")).content.decode()
    assert "Half a draft." in page
    form = {
        "text": "It works again.",
        "ended_at": f"{incident.started_at + timedelta(minutes=9):%Y-%m-%dT%H:%M:%S}",
        "revision": "",
    }
    conflict = signed_in.post(room(incident, "resolve"), form)
    assert conflict.status_code == 409
    answer = signed_in.post(room(incident, "resolve"), {**form, "revision": draft.revision})
    assert (answer.status_code, answer["Location"]) == (303, room(incident))
    incident.refresh_from_db()
    assert incident.state == State.RESOLVED
    assert timedelta(minutes=8) < incident.lasted <= timedelta(minutes=9)
    assert signed_in.get(room(incident, "resolve")).status_code == 303


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"ended_at": "2999-01-01T00:00"},
        {"ended_at": "1999-01-01T00:00"},
        {"ended_at": "soon"},
    ],
)
def test_a_resolution_that_cannot_be_comes_back(signed_in, incident, now, fields):
    form = {"text": "Over.", "ended_at": f"{now:%Y-%m-%dT%H:%M:%S}", **fields}
    assert signed_in.post(room(incident, "resolve"), form).status_code == 422
    assert not Update.objects.exists()


# Changing


def test_the_state_by_form(signed_in, incident):
    form = {"state": "monitoring"}
    assert signed_in.post(room(incident, "state"), form).status_code == 303
    back = signed_in.post(room(incident, "state"), {"state": "investigating", "reason": " "})
    assert back.status_code == 422
    assert "Say why." in back.content.decode()
    for wrong in ("resolved", "gone", ""):
        assert signed_in.post(room(incident, "state"), {"state": wrong}).status_code == 422


def test_a_severity_is_confirmed_with_one_press(signed_in, incident, alice):
    snapshot = snapshot_of(incident, make_customer())
    jobs.settle_all(now=snapshot.created_at)
    text = signed_in.get(room(incident)).content.decode()
    level = incident.severities.get().level
    assert f"Confirm {level}" in text
    address = room(incident, "severity", kind="business")
    assert signed_in.post(address, {"level": level}).status_code == 303
    assert incident.severities.get().confirmed_by == alice
    assert signed_in.post(address, {"level": 4}).status_code == 422
    assert signed_in.post(address, {"level": 9}).status_code == 422
    wrong = reverse("incidents:severity", args=[incident.pk, "pets"])
    assert signed_in.post(wrong, {"level": 1}).status_code == 404


def edit_form(incident, **fields):
    return {
        "title": incident.title,
        "cannot": incident.cannot,
        "started_at": f"{incident.started_at:%Y-%m-%dT%H:%M:%S}",
        "fault": incident.fault,
        "visibility": incident.visibility,
        "lead": incident.lead_id or "",
        "liaison": "",
        "version": incident.version,
        **fields,
    }


def test_editing_by_form_leaves_the_start_alone(signed_in, incident):
    before = incident.started_at
    answer = signed_in.post(room(incident, "edit"), edit_form(incident, title="Payments fail"))
    assert answer.status_code == 303
    incident.refresh_from_db()
    assert (incident.title, incident.started_at, incident.version) == ("Payments fail", before, 2)


def test_an_edit_of_an_old_version_shows_both(signed_in, incident):
    stale = edit_form(incident, title="Mine")
    signed_in.post(room(incident, "edit"), edit_form(incident, title="Theirs"))
    answer = signed_in.post(room(incident, "edit"), stale)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "<td>Theirs</td><td>Mine</td>" in text
    assert 'name="version" value="2"' in text
    assert signed_in.post(room(incident, "edit"), {**stale, "version": 2}).status_code == 303
    assert Incident.objects.get().title == "Mine"


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"version": ""},
        {"version": str(2**70)},
        {"lead": "x"},
        {"lead": str(2**70)},
        {"started_at": "1999-01-01T00:00"},
        {"visibility": "x"},
    ],
)
def test_an_edit_that_cannot_be_comes_back(signed_in, incident, fields):
    answer = signed_in.post(room(incident, "edit"), edit_form(incident, **fields))
    assert answer.status_code == 422


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
        (room(incident), 12),
        (room(incident, "customers"), 6),
        (room(incident, "timeline"), 6),
    ]:
        with django_assert_num_queries(queries):
            assert signed_in.get(address).status_code == 200
    poll = room(incident) + signed_in.get(room(incident)).context["poll"]
    with django_assert_num_queries(4):
        assert signed_in.get(poll, HTTP_HX_REQUEST="true").status_code == 204


# Gaps


@pytest.mark.parametrize("rows", [1, 20])
def test_gaps_are_listed_and_taken_on(signed_in, alice, rows, django_assert_num_queries):
    snapshot = make_snapshot()
    gaps = [
        Gap.objects.create(
            code=f"code-{n}",
            question=f"How many {n}?",
            why="nothing tells",
            closes_by=MARKUP,
            service=make_service(f"Service {n}"),
            first_snapshot=snapshot,
            latest_snapshot=snapshot,
            opened_at=snapshot.created_at,
        )
        for n in range(rows)
    ]
    with django_assert_num_queries(4):
        text = signed_in.get(reverse("impact:gaps")).content.decode()
    assert "How many 0?" in text
    assert MARKUP not in text
    address = reverse("impact:assign", args=[gaps[0].pk])
    assert signed_in.post(address, {"to": "me"}).status_code == 303
    assert Gap.objects.get(pk=gaps[0].pk).owner == alice
    signed_in.post(address, {"to": "nobody"})
    assert Gap.objects.get(pk=gaps[0].pk).owner is None


def test_a_closed_gap_is_not_taken_on(signed_in, client):
    snapshot = make_snapshot()
    gap = Gap.objects.create(
        code="actor",
        question="How many?",
        why="w",
        first_snapshot=snapshot,
        latest_snapshot=snapshot,
        opened_at=snapshot.created_at,
        closed_at=snapshot.created_at,
    )
    address = reverse("impact:assign", args=[gap.pk])
    assert "has closed" in signed_in.post(address, follow=True).content.decode()
    assert "No open gaps" in signed_in.get(reverse("impact:gaps")).content.decode()
    assert signed_in.post(reverse("impact:assign", args=[10**12])).status_code == 404
    client.force_login(make_user("Vera", role=Role.VIEWER))
    assert client.post(address).status_code == 403


def test_an_incident_without_anything_shows_calmly(signed_in):
    incident = make_incident(cannot="")
    text = signed_in.get(room(incident)).content.decode()
    assert "Not computed yet" in text
    assert "Not said yet." in text
