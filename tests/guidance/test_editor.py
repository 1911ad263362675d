"""The editor of guidance."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import AuditEvent, Role
from apps.guidance.actions import InvalidAdvice, save_advice
from apps.guidance.models import Advice
from tests.factories import NOW, make_user

pytestmark = pytest.mark.django_db

WORDS = {
    "title": "Your card was declined",
    "what_happened": "Your bank said no.",
    "what_to_do": "Use another card.",
    "tell_your_customers": "",
    "retry_from_s": "",
    "retry_to_s": "",
}


@pytest.fixture
def alice(client):
    user = make_user("Alice")
    client.force_login(user)
    return user


def test_writes_advice_that_shows_at_once(client, alice):
    response = client.post("/console/guidance/new/", {"code": "card_declined", "kind": "business"})
    assert response["Location"] == "/console/guidance/card_declined/business/"
    assert "Nobody has written about this code" in client.get(response["Location"]).text
    response = client.post(response["Location"], WORDS, follow=True)
    assert response.redirect_chain[-1][0] == "/console/guidance/"
    assert "Your card was declined" in response.text
    assert "Use another card." in client.get("/errors/card_declined?kind=business").text
    advice = Advice.objects.get()
    assert (advice.author, advice.retry_from_s) == (alice, None)
    event = AuditEvent.objects.get()
    assert (event.user, event.action, event.before) == (alice, "guidance.save", None)


def test_changes_what_comes_with_the_portal(client, alice):
    page = client.get("/console/guidance/502/anyone/")
    assert "Nobody here has written this yet" in page.text
    assert "A part of our service does not answer properly" in page.text
    client.post("/console/guidance/502/anyone/", {**WORDS, "retry_from_s": 5, "retry_to_s": 9})
    client.post("/console/guidance/502/anyone/", {**WORDS, "title": "Again"})
    assert Advice.objects.get().title == "Again"
    before = AuditEvent.objects.order_by("pk").last().before
    assert (before["title"], before["retry_to_s"]) == ("Your card was declined", 9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"what_to_do": "a\x00b"},
        {"retry_from_s": "5"},
        {"retry_to_s": "5"},
        {"retry_from_s": "9", "retry_to_s": "5"},
        {"retry_from_s": "0", "retry_to_s": "5"},
        {"retry_from_s": "1", "retry_to_s": "99999999999999999999"},
        {"retry_from_s": "x", "retry_to_s": "y"},
    ],
    ids=["no-title", "long", "nul", "first", "last", "backwards", "zero", "huge", "words"],
)
def test_wrong_words_are_refused_and_kept_in_the_form(client, alice, wrong):
    response = client.post("/console/guidance/502/anyone/", {**WORDS, **wrong})
    assert response.status_code == 422
    assert not Advice.objects.exists()


@pytest.mark.parametrize("code", ["", "a b", "<b>", "x" * 61, "é"])
def test_a_wrong_code_is_refused(client, alice, code):
    assert client.post("/console/guidance/new/", {"code": code}).status_code == 422


@pytest.mark.parametrize("path", ["502/martian", "a%20b/anyone", "%3Cb%3E/anyone"])
def test_addresses_that_cannot_be(client, alice, path):
    assert client.get(f"/console/guidance/{path}/").status_code == 404


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        (Role.VIEWER, 200, 403),
        (Role.ACCOUNT_MANAGER, 200, 403),
        (Role.LIAISON, 200, 302),
        (Role.CUSTOMER, 403, 403),
    ],
)
def test_who_may(client, role, reads, writes):
    client.force_login(make_user("Una", role=role))
    assert client.get("/console/guidance/").status_code == reads
    assert client.get("/console/guidance/502/anyone/").status_code == reads
    assert client.post("/console/guidance/502/anyone/", WORDS).status_code == writes
    assert Advice.objects.exists() == (writes == 302)


def test_strangers_are_asked_to_sign_in(client):
    assert client.get("/console/guidance/").status_code == 302


def test_the_list_costs_the_same_however_long(client, alice):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get("/console/guidance/")
        return len(seen)

    few = queries()
    for i in range(20):
        save_advice(by=alice, now=NOW, code=f"c{i}", title="t", what_happened="w", what_to_do="d")
    assert queries() == few


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "a b"},
        {"retry_from_s": 5},
        {"retry_from_s": 9, "retry_to_s": 5},
        {"retry_from_s": 0, "retry_to_s": 0},
        {"retry_from_s": 1, "retry_to_s": 86_401},
    ],
    ids=["code", "half", "backwards", "zero", "long"],
)
def test_the_action_refuses_what_the_form_refuses(alice, wrong):
    words = {"code": "502", "title": "t", "what_happened": "w", "what_to_do": "d"}
    with pytest.raises(InvalidAdvice):
        save_advice(by=alice, now=NOW, **{**words, **wrong})
