"""One's own account: a name, a password, and the browsers in which one is signed in."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEvent
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1"
NEW = "a long new password"


@pytest.fixture
def alice():
    return make_user("Alice")


def signed_in(user, agent=FIREFOX, address="192.0.2.7"):
    browser = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    answer = browser.post(reverse("login"), {"username": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return browser


def test_a_name_is_changed_and_noted(alice, client):
    client.force_login(alice)

    assert client.post(reverse("accounts:account"), {"name": "Alice Smith"}).status_code == 303

    assert "Alice Smith" in client.get(reverse("accounts:account")).text
    event = AuditEvent.objects.get(action="person.rename")
    assert (event.before, event.after) == ({"name": "Alice"}, {"name": "Alice Smith"})
    assert client.post(reverse("accounts:account"), {"name": " "}).status_code == 422


def test_sessions_say_from_where_and_end_one_by_one(alice):
    laptop = signed_in(alice)
    phone = signed_in(alice, SAFARI, "2001:db8::7")

    page = laptop.get(reverse("accounts:account")).text
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert "2001:db8::7" in page
    assert "This browser" in page

    row = alice.sessions.get(session_key=phone.session.session_key)
    laptop.post(reverse("accounts:end_sessions"), {"session": row.pk})
    assert phone.get(reverse("today")).status_code == 302
    assert laptop.get(reverse("today")).status_code == 200


def test_all_other_sessions_end_together(alice):
    laptop, *others = [signed_in(alice) for _ in range(3)]

    laptop.post(reverse("accounts:end_sessions"))

    assert [one.get(reverse("today")).status_code for one in others] == [302, 302]
    assert laptop.get(reverse("today")).status_code == 200
    assert AuditEvent.objects.get(action="person.end_sessions").after == {"sessions_ended": 2}


def test_nobody_ends_anothers_session(alice):
    bob = make_user("Bob", role="viewer")
    mine, his = signed_in(alice), signed_in(bob)
    row = bob.sessions.get()

    for given in (row.pk, "9" * 30, "x", "-1"):
        assert mine.post(reverse("accounts:end_sessions"), {"session": given}).status_code == 303
    mine.post(reverse("accounts:end_sessions"))

    assert his.get(reverse("today")).status_code == 200


def test_ending_ones_own_session_signs_out(alice):
    browser = signed_in(alice)

    answer = browser.post(reverse("accounts:end_sessions"), {"session": alice.sessions.get().pk})

    assert answer["Location"] == reverse("login")
    assert browser.get(reverse("today")).status_code == 302


def test_signing_out_takes_the_session_from_the_list(alice):
    browser = signed_in(alice)
    browser.post(reverse("logout"))

    assert not alice.sessions.exists()


def test_another_password_signs_out_everywhere_else(alice):
    laptop, phone = signed_in(alice), signed_in(alice)

    answer = laptop.post(
        reverse("accounts:password"), {"current": PASSWORD, "password": NEW, "again": NEW}
    )

    assert answer.status_code == 303
    assert laptop.get(reverse("today")).status_code == 200
    assert phone.get(reverse("today")).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert NEW not in str(AuditEvent.objects.values())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"current": "wrong"}, "not your password"),
        ({"password": "short", "again": "short"}, "too short"),
        ({"again": "another long password"}, "different"),
        ({"password": "", "again": ""}, "required"),
    ],
)
def test_a_password_that_cannot_be_says_why(alice, client, given, words):
    client.force_login(alice)

    answer = client.post(
        reverse("accounts:password"), {"current": PASSWORD, "password": NEW, "again": NEW, **given}
    )

    assert answer.status_code == 422
    assert words in answer.text
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_the_address_is_what_our_own_proxy_wrote(alice, settings):
    settings.PORTAL_TRUSTED_PROXIES = 1
    browser = Client(headers={"X-Forwarded-For": "6.6.6.6, 198.51.100.4"}, REMOTE_ADDR="10.0.0.1")
    browser.post(reverse("login"), {"username": alice.email, "password": PASSWORD})

    assert alice.sessions.get().address == "198.51.100.4"
