"""Declaring an incident by form, and changing its state, severity and facts."""

from datetime import timedelta

import pytest
from django.urls import reverse

from apps.incidents import jobs
from apps.incidents.models import Incident
from tests.factories import make_customer, make_service
from tests.incidents.world import room, snapshot_of

pytestmark = pytest.mark.django_db


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
