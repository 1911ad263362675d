"""Telling customers by form: drafts, publishing, resolving, and who was first."""

from datetime import timedelta

import pytest

from apps.accounts.models import Role
from apps.incidents.models import State, Update
from tests.factories import make_customer, make_user
from tests.incidents.world import drafted, room, snapshot_of

pytestmark = pytest.mark.django_db


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
