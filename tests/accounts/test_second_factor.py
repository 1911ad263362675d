"""The second factor: an app with codes, recovery codes; asked of us where the setting says so."""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEvent
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def code_now(secret, steps=0):
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def password(browser, user, given=PASSWORD, **more):
    return browser.post(reverse("login"), {"username": user.email, "password": given, **more})


def secret_in(answer):
    return re.search(r"<code>([A-Z2-7]{32})</code>", answer.text)[1]


def set_up(browser):
    """Set up an app; return its secret and the recovery codes."""
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    secret = secret_in(browser.get(reverse("mfa_activate_totp")))
    answer = browser.post(reverse("mfa_activate_totp"), {"code": code_now(secret)}, follow=True)
    codes = re.search(r"<pre><code>([^<]+)</code>", answer.text)[1].split()
    return secret, codes


@pytest.fixture
def alice():
    return make_user("Alice")


@pytest.fixture
def browser(alice, client):
    password(client, alice)
    return client


def test_an_app_is_asked_for_after_the_password(alice, browser, settings):
    _, codes = set_up(browser)
    assert len(codes) == 10

    other = Client()
    answer = password(other, alice, next="/console/gaps/")
    assert answer["Location"] == reverse("mfa_authenticate")
    assert other.get(reverse("today")).status_code == 302
    wrong = other.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert "This is not the code" in wrong.text
    answer = other.post(reverse("mfa_authenticate"), {"code": codes[0]})
    assert answer["Location"] == "/console/gaps/"
    assert other.get(reverse("today")).status_code == 200


def test_a_code_of_the_app_signs_in(alice, browser):
    secret, _ = set_up(browser)
    from django.core.cache import cache

    cache.clear()  # as half a minute later, when a code may be used again

    other = Client()
    password(other, alice)
    assert other.post(reverse("mfa_authenticate"), {"code": code_now(secret)}).status_code == 302
    assert other.get(reverse("today")).status_code == 200


def test_a_recovery_code_works_once(alice, browser):
    _, codes = set_up(browser)

    for expected in (302, 200):
        other = Client()
        password(other, alice)
        answer = other.post(reverse("mfa_authenticate"), {"code": codes[3]})
        assert answer.status_code == expected


def test_recovery_codes_are_shown_once_and_kept_encrypted(alice, browser):
    secret, codes = set_up(browser)

    assert codes[0] not in browser.get(reverse("mfa_view_recovery_codes")).text
    stored = str(list(Authenticator.objects.values()))
    assert secret not in stored
    assert "9 are left" not in stored
    assert "10 are left" in browser.get(reverse("mfa_index")).text


def test_codes_are_not_guessed_for_long(alice, browser):
    set_up(browser)
    other = Client()
    password(other, alice)

    texts = [other.post(reverse("mfa_authenticate"), {"code": "000000"}).text for _ in range(12)]

    assert "Too many tries" in texts[-1]


def test_a_wrong_code_sets_nothing_up(browser, alice):
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    secret_in(browser.get(reverse("mfa_activate_totp")))

    answer = browser.post(reverse("mfa_activate_totp"), {"code": "000000"})

    assert "This is not the code" in answer.text
    assert not Authenticator.objects.exists()


def test_what_comes_and_goes_stands_in_the_log(alice, browser, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        set_up(browser)
    browser.post(reverse("mfa_deactivate_totp"))

    actions = AuditEvent.objects.order_by("pk").values_list("action", "user")
    assert ("person.second_factor_add", alice.pk) in list(actions)
    assert ("person.second_factor_remove", alice.pk) in list(actions)
    assert set(AuditEvent.objects.values_list("target", flat=True)) == {f"user:{alice.pk}"}
    page = browser.get(reverse("accounts:account")).text
    assert "Your password alone opens this account" in page


def test_who_changes_how_they_sign_in_shows_that_it_is_them(alice, client):
    client.force_login(alice)

    answer = client.get(reverse("mfa_activate_totp"))
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    confirm = answer["Location"]
    assert "not your password" in client.post(confirm, {"password": "wrong"}).text
    answer = client.post(confirm, {"password": PASSWORD})
    assert answer["Location"] == reverse("mfa_activate_totp")
    assert client.get(reverse("mfa_activate_totp")).status_code == 200


def test_where_it_is_asked_for_nothing_else_opens(alice, settings):
    settings.PORTAL_REQUIRE_MFA = True
    browser = Client()
    password(browser, alice)

    for name in ("today", "incidents:list"):
        assert browser.get(reverse(name))["Location"] == reverse("mfa_index")
    assert "Set up a second factor first" in browser.get(reverse("today"), follow=True).text
    set_up(browser)
    assert browser.get(reverse("today")).status_code == 200
    answer = browser.get(reverse("mfa_deactivate_totp"))
    assert "asks for a second factor" in answer.text
    assert browser.post(reverse("mfa_deactivate_totp")).status_code == 200
    assert Authenticator.objects.filter(type="totp").exists()


def test_it_is_never_asked_of_customers(settings):
    settings.PORTAL_REQUIRE_MFA = True
    bob = make_user("Bob", role="customer")
    browser = Client()
    browser.force_login(bob)

    assert browser.get("/for/").status_code == 200
    assert browser.get("/").status_code == 200


def test_passwords_are_not_guessed_for_long(alice):
    browser = Client()
    for _ in range(5):
        assert "do not go together" in password(browser, alice, "wrong").text

    assert "Too many tries" in password(browser, alice, "wrong").text
    # The right one waits as well, from anywhere: else the limit would tell which it is.
    assert "Too many tries" in password(Client(REMOTE_ADDR="192.0.2.1"), alice).text


def test_one_address_tries_only_so_often():
    browser = Client()
    answers = [
        browser.post(reverse("login"), {"username": f"a{n}@example.com", "password": "x"})
        for n in range(32)
    ]

    assert answers[-1].status_code == 429
    assert "Too many tries" in answers[-1].text


def test_nobody_signs_up(client):
    assert client.get("/sign-up/").status_code == 404
    assert client.get("/sign-in/signup/").status_code == 404
