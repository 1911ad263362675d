"""Keys on their page: issued, shown once, replaced with an overlap, ended. What a machine is answered."""

import logging
import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import actions
from apps.accounts.models import ApiKey, AuditEvent
from tests.factories import make_user

pytestmark = pytest.mark.django_db

EVENT = b'{"time": "2026-11-22T10:00:00Z", "method": "GET", "path": "/", "status": 200}\n'


@pytest.fixture
def ada():
    return make_user("Ada", role="admin")


@pytest.fixture
def console(ada, client):
    client.force_login(ada)
    return client


def issue(console, **changes):
    given = {"name": "edge nginx", "scopes": ["ingest"], **changes}
    return console.post(reverse("accounts:issue_key"), given)


def token_in(answer):
    return re.search(r"<code>(crp_[^<]+)</code>", answer.text)[1]


def rotate(console, key, until):
    return console.post(reverse("accounts:rotate_key", args=[key.pk]), {"until": until})


def send(token):
    return (
        Client()
        .post(
            "/api/v1/events",
            EVENT,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {token}"},
        )
        .status_code
    )


def test_a_key_is_shown_once_and_opens_what_it_may(console, caplog):
    caplog.set_level(logging.DEBUG)
    answer = issue(console)
    token = token_in(answer)

    assert answer["Cache-Control"] == "no-store"
    assert send(token) == 200
    everything = (
        f"{list(ApiKey.objects.values())} {list(AuditEvent.objects.values())} {caplog.text}"
    )
    assert token not in everything
    page = console.get(reverse("accounts:keys")).text
    assert token not in page
    assert token[:8] in page
    assert "edge nginx" in page
    assert "just now" in page  # when it was used


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"scopes": []}, "at least one thing"),
        ({"name": ""}, "required"),
        ({"name": "x" * 201}, "at most 200"),
    ],
)
def test_a_key_that_cannot_be_says_why(console, changes, words):
    answer = issue(console, **changes)

    assert answer.status_code == 422
    assert words in answer.text
    assert not ApiKey.objects.exists()


def test_no_code_path_makes_a_key_of_an_unknown_scope(ada):
    with pytest.raises(actions.Refused, match="ingest, read, manage"):
        actions.issue_key(name="edge", scopes=["root"], by=ada, now=timezone.now())


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("ingest", (True, False, False)),
        ("read", (False, True, False)),
        ("manage", (False, True, True)),
    ],
)
def test_a_key_does_what_its_scope_says_and_nothing_else(console, scope, may):
    bearer = {"Authorization": f"Bearer {token_in(issue(console, scopes=[scope]))}"}
    events = send(bearer["Authorization"].removeprefix("Bearer "))
    read = Client().get("/api/v1/customers", headers=bearer).status_code
    written = (
        Client()
        .put(
            "/api/v1/customers/acme",
            {"name": "Acme", "kind": "business"},
            content_type="application/json",
            headers=bearer,
        )
        .status_code
    )

    assert [status < 300 for status in (events, read, written)] == list(may)
    assert {s for s in (events, read, written) if s >= 300} == {401}
    # A key opens no page of the console.
    assert Client().get(reverse("today"), headers=bearer).status_code == 302


def test_a_revoked_key_is_refused_at_once_and_stands_among_the_ended(console):
    token = token_in(issue(console))
    key = ApiKey.objects.get()
    assert "Refuse this key from now on" in console.get(reverse("accounts:keys")).text

    console.post(reverse("accounts:revoke_key", args=[key.pk]))

    assert send(token) == 401
    assert "edge nginx" not in console.get(reverse("accounts:keys")).text
    assert "edge nginx" in console.get(reverse("accounts:keys"), {"state": "ended"}).text
    again = console.post(reverse("accounts:revoke_key", args=[key.pk]), follow=True)
    assert "is revoked already" in again.text
    assert AuditEvent.objects.get(action="key.revoke").after["revoked"] is True


def test_a_rotated_key_goes_on_beside_the_new_one_until_its_end(console):
    old = token_in(issue(console, scopes=["ingest", "read"]))
    key = ApiKey.objects.get()
    until = timezone.now() + timedelta(days=2)

    new = token_in(rotate(console, key, until.strftime("%Y-%m-%dT%H:%M:%S")))

    made = ApiKey.objects.get(replaces=key)
    assert made.scopes == ["ingest", "read"]
    assert send(old) == send(new) == 200
    with time_machine.travel(until + timedelta(seconds=1)):
        assert send(old) == 401
        assert send(new) == 200
    event = AuditEvent.objects.get(action="key.rotate")
    assert event.before["expires_at"] is None
    assert event.after["replaced_by"] == made.pk


@pytest.mark.parametrize(
    ("days", "words"),
    [(31, "at most 30 days"), (-1, "at most 30 days"), (None, "Give a day and a time")],
)
def test_an_overlap_that_cannot_be_says_why(console, days, words):
    issue(console)
    key = ApiKey.objects.get()
    until = (
        "soon"
        if days is None
        else (timezone.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")
    )

    answer = rotate(console, key, until)

    assert answer.status_code == 422
    assert words in answer.text
    assert ApiKey.objects.count() == 1


def test_what_is_replaced_or_ended_is_not_rotated_again(console):
    issue(console)
    key = ApiKey.objects.get()
    soon = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    rotate(console, key, soon)
    assert "being replaced already" in rotate(console, key, soon).text

    console.post(reverse("accounts:revoke_key", args=[key.pk]))
    assert "has ended" in rotate(console, key, soon).text


def test_a_rotation_never_lets_a_key_live_longer(console, ada):
    issue(console)
    now = timezone.now()
    ApiKey.objects.update(expires_at=now + timedelta(days=1))

    old, _, _ = actions.rotate_key(
        key=ApiKey.objects.get(), until=now + timedelta(days=9), by=ada, now=now
    )

    assert old.expires_at == now + timedelta(days=1)


def test_the_list_asks_the_same_however_many_there_are(console, django_assert_max_num_queries):
    issue(console)
    with django_assert_max_num_queries(10) as asked:
        console.get(reverse("accounts:keys"))
        few = len(asked)
    for number in range(60):
        issue(console, name=f"edge {number}")
    with django_assert_max_num_queries(few):
        assert "Page 2" in console.get(reverse("accounts:keys")).text
