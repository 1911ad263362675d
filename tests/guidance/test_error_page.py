"""`GET /errors/<code>`: what a person, a program and a proxy get at the moment of an error."""

import json
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.urls import reverse

from apps.accounts.models import User
from apps.guidance import defaults, errors
from apps.guidance.actions import save_advice
from apps.guidance.queries import advice_for, known_problems
from apps.incidents.models import Incident, Update
from tests.factories import NOW, make_incident, make_user

pytestmark = pytest.mark.django_db


def publish(incident, *, state="investigating", at=NOW, next_update_at=None):
    author = incident.declared_by
    Update.objects.create(
        incident=incident,
        state=state,
        text="Text.",
        author=author,
        created_at=at,
        published_at=at,
        published_by=author,
        next_update_at=next_update_at,
    )


def write(code="502", kind="", **columns):
    author = User.objects.first() or make_user()
    words = {"title": "Ours", "what_happened": "It broke.", "what_to_do": "Wait.", **columns}
    return save_advice(by=author, now=NOW, code=code, kind=kind, **words)


@pytest.mark.parametrize("code", ["429", "500", "502", "503", "504", "5xx", "507"])
@pytest.mark.parametrize("kind", ["", "consumers", "business", "internal"])
def test_there_is_something_to_say_from_the_first_minute(client, code, kind):
    response = client.get(f"/errors/{code}?kind={kind}")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"
    advice = advice_for(code, kind)
    assert advice.title in response.text
    assert advice.retry_from_s <= int(response["Retry-After"]) <= advice.retry_to_s


def test_what_staff_wrote_comes_before_what_comes_with_the_portal(client):
    assert advice_for("502", "business").pk is None
    anyone = write()
    assert advice_for("502", "business") == anyone
    own = write(kind="business", title="For business")
    assert advice_for("502", "business") == own
    assert advice_for("502", "consumers") == anyone
    assert advice_for("card_declined", "business") is None


def test_a_class_stands_in_for_its_codes(client):
    written = write(code="5xx", title="All of them")
    assert advice_for("507", "internal") == written
    # What comes with the portal on the code itself is nearer than ours on its class.
    assert advice_for("502", "internal").title != "All of them"
    assert advice_for("404") is None


def test_the_wait_is_spread(client):
    waits = {client.get("/errors/503?format=json").json()["retry_after_seconds"] for _ in range(60)}
    assert len(waits) > 20
    assert min(waits) >= 60
    assert max(waits) <= 180


def test_where_trying_again_does_not_help_no_time_is_given(client):
    write(code="card_declined")
    response = client.get("/errors/card_declined")
    assert "Retry-After" not in response
    assert "Trying again will not help." in response.text
    assert client.get("/errors/card_declined?format=json").json()["retry_after_seconds"] is None


def test_it_says_whether_it_is_known(client):
    assert "We know of nothing that is wrong for many people" in client.get("/errors/502").text
    incident = make_incident()
    assert not known_problems()  # nothing is published yet
    publish(incident, next_update_at=NOW + timedelta(minutes=12))
    text = client.get("/errors/502").text
    assert "Yes: Checkout fails for some." in text
    assert "10:42 UTC" in text
    known = client.get("/errors/502?format=json").json()["known"]
    assert known == [
        {
            "reference": incident.reference,
            "title": "Checkout fails for some",
            "since": "2026-11-22T10:30:00Z",
            "next_update_at": "2026-11-22T10:42:00Z",
            "url": f"http://127.0.0.1:8000/i/{incident.reference}",
        }
    ]
    publish(incident, state="resolved", at=NOW + timedelta(minutes=1))
    assert not known_problems()


@pytest.mark.parametrize("visibility", ["internal", "affected"])
def test_what_is_not_public_is_not_known_here(client, visibility):
    publish(make_incident("Zebra", visibility=visibility))
    for wanted in ("html", "json", "text"):
        assert "Zebra" not in client.get(f"/errors/502?format={wanted}").text


def test_a_dismissed_incident_is_not_known(client):
    incident = make_incident("Zebra")
    publish(incident)
    Incident.objects.update(state="dismissed")
    assert "Zebra" not in client.get("/errors/502").text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json;q=0.9, text/html;q=0.1", "application/json"),
        ("text/plain", "text/plain"),
        ("image/png", "text/html"),
        ("application/json;q=zzz", "text/html"),
    ],
)
def test_the_format_follows_the_asker(client, accept, kind):
    response = client.get("/errors/502", headers={"accept": accept})
    assert response["Content-Type"].startswith(kind)
    assert "Accept" in response["Vary"]
    assert client.get("/errors/502?format=text", headers={"accept": accept})[
        "Content-Type"
    ].startswith("text/plain")


def test_as_text(client):
    text = client.get("/errors/502?format=text&request_id=abc-1&kind=business").text
    assert text.startswith("Error 502: A part of our service does not answer properly\n")
    assert "Request id: abc-1" in text
    assert "<" not in text
    assert "%%" not in text
    assert "Request id" not in client.get("/errors/502?format=text").text


@pytest.mark.parametrize(
    "code",
    ["a" * 61, "a b", "..", "%00", "<script>", "é", "-x", "5%202", "502%0a", "%252e"],
)
def test_what_cannot_be_a_code_is_refused(client, code):
    response = client.get(f"/errors/{code}")
    assert response.status_code == 400
    assert "<" not in response.text


@pytest.mark.parametrize(
    "query", ["kind=martian", "format=xml", "&".join("a=1" for _ in range(40))]
)
def test_what_cannot_be_asked_is_refused(client, query):
    assert client.get(f"/errors/502?{query}").status_code == 400


def test_an_unknown_code_still_helps(client):
    response = client.get("/errors/card_declined?request_id=r-1")
    assert response.status_code == 404
    assert "We have no advice on this error yet" in response.text
    assert "r-1" in response.text
    assert "Retry-After" in response


@pytest.mark.parametrize(
    "given", ["<script>", 'a"b', "a b", "x" * 129, "\u0660", "%%wait%%", "a\nb", "-x"]
)
def test_a_request_id_is_only_echoed_when_it_is_one(client, given):
    for wanted in ("html", "text", "json"):
        response = client.get("/errors/502", {"request_id": given, "format": wanted})
        assert given not in response.text
    assert (
        client.get("/errors/502", {"request_id": given, "format": "json"}).json()["request_id"]
        is None
    )


def test_a_proxy_shows_it_in_place_of_its_own_page(client):
    """As nginx does with `error_page … = @guidance` and X-Original-Status."""
    headers = {
        "x-original-uri": "/checkout?<script>",
        "x-original-status": "504",
        "x-request-id": "7f3a",
    }
    response = client.get("/errors/", headers=headers)
    assert response.status_code == 200
    assert "Error 504" in response.text
    assert "7f3a" in response.text
    assert "<script" not in response.text
    assert client.get("/errors/?keep_status=1", headers=headers).status_code == 504
    assert client.get("/errors/502?keep_status=1").status_code == 502
    assert client.get("/errors/5xx?keep_status=1").status_code == 200
    assert client.get("/errors/").status_code == 400
    assert client.get("/errors/", headers={"x-original-status": "<b>"}).status_code == 400


def test_it_stands_alone(client):
    response = client.get("/errors/502")
    policy = response["Content-Security-Policy"]
    assert policy == errors.content_security_policy()
    assert "<link" not in response.text
    assert "src=" not in response.text
    assert "style=" not in response.text
    assert len(response.content) < 8_000
    assert response["Cache-Control"] == "no-store"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_only_reading(client):
    assert client.post("/errors/502").status_code == 405
    assert client.head("/errors/502").content == b""


def test_it_answers_when_the_database_does_not(client):
    def down(execute, sql, params, many, context):
        raise DatabaseError

    with connection.execute_wrapper(down):
        response = client.get("/errors/502?format=json")
    assert response.status_code == 200
    assert response.json()["known"] is None
    assert response.json()["title"]


def test_stored_words_are_inert(client):
    evil = "<script>alert(1)</script>"
    write(title=evil, what_happened=evil, what_to_do=evil, tell_your_customers=evil)
    assert "<script" not in client.get("/errors/502").text
    assert client.get("/errors/502?format=json").json()["title"] == evil


def test_pages_survive_being_written_to_a_file():
    page = errors.build(defaults.general(), known=[], name="n", url="http://x", status=404)
    again = errors.ErrorPage.from_json(json.loads(json.dumps(page.as_json())))
    assert again == page


def test_its_address_has_a_name():
    assert reverse("guidance_public:error", args=["502"]) == "/errors/502"
