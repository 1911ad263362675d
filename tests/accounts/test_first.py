"""The first admin of a new installation."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from apps.accounts import actions
from apps.accounts.models import AuditEvent, Role, User
from tests.factories import make_user

pytestmark = pytest.mark.django_db
GIVEN = {
    "name": "Ada",
    "email": "Ada@Example.com",
    "password": "a quiet night at sea",
    "again": "a quiet night at sea",
}


def page(token=None):
    return reverse("first_admin", args=[token or actions.first_token()])


def test_the_link_makes_one_admin_who_can_sign_in(client):
    make_user("Vic", role=Role.VIEWER)
    address = page()
    assert "Nobody can sign in here yet" in client.get(address).text
    assert client.post(address, GIVEN, follow=True).redirect_chain[-1][0] == reverse("login")
    ada = User.objects.get(role=Role.ADMIN)
    assert ada.email == "ada@example.com"
    assert AuditEvent.objects.filter(action="person.first", user=ada).exists()
    assert client.login(username="ada@example.com", password=GIVEN["password"])
    again = client.post(address, {**GIVEN, "email": "eve@example.com"})
    assert again.status_code == 410
    assert "There is an admin already" in again.text
    assert User.objects.filter(role=Role.ADMIN).count() == 1


def test_a_link_that_nobody_printed_opens_nothing(client):
    for token in ("x", "first:1vM:abc", actions.first_token()[:-1] + "~"):
        answer = client.post(page(token), GIVEN)
        assert answer.status_code == 410
        assert "not the link that the portal printed" in answer.text
    assert not User.objects.exists()


def test_a_link_runs_out(client):
    with time_machine.travel(0, tick=False) as clock:
        address = page()
        clock.shift(timedelta(days=1, minutes=1))
        answer = client.get(address)
    assert answer.status_code == 410
    assert "run out" in answer.text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"again": "something else"}, "These two are different"),
        ({"password": "12345678", "again": "12345678"}, "too common"),
        ({"email": "no address"}, "valid email"),
        ({"name": ""}, "required"),
        ({"email": "vic@example.com"}, "Somebody has this address already"),
    ],
)
def test_what_is_wrong_is_said(client, change, says):
    make_user("Vic", role=Role.VIEWER, email="vic@example.com")
    answer = client.post(page(), {**GIVEN, **change})
    assert answer.status_code == 422
    assert says.lower() in answer.text.lower()
    assert not actions.has_admin()


def test_an_admin_who_cannot_sign_in_is_none():
    User.objects.filter(pk=make_user("Ada", role=Role.ADMIN).pk).update(is_active=False)
    invited = User.objects.create_user(email="i@example.com", name="I", role=Role.ADMIN)
    assert not invited.has_usable_password()
    assert not actions.has_admin()
