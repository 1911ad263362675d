"""Contacts of customers sign in with a code that is mailed to them, over a real mail server."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEvent, User
from apps.statuspage import cookie
from tests.factories import make_contact, make_customer, make_user
from tests.outreach.sinks import Rude, sink

pytestmark = pytest.mark.django_db

ASK, CONFIRM = "account_request_login_code", "account_confirm_login_code"


@pytest.fixture(autouse=True)
def mails(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with sink(settings) as received:
        yield received


@pytest.fixture
def bob():
    return make_contact(make_customer("Acme"), "Bob", email="bob@acme.example")


def ask(browser, email):
    return browser.post(reverse(ASK), {"email": email})


def confirm(browser, code):
    return browser.post(reverse(CONFIRM), {"code": code})


def code_in(mail):
    return re.search(r"^([A-Z0-9]{4}-[A-Z0-9]{4})\s*$", mail.get_content(), re.MULTILINE)[1]


def test_a_contact_signs_in_with_the_code_and_stands_on_their_page(bob, mails, client):
    assert reverse(ASK) in client.get(reverse("login")).text
    answer = ask(client, "BOB@acme.example")
    assert answer["Location"] == reverse(CONFIRM)
    (mail,) = mails.to("bob@acme.example")
    assert mail["Subject"] == "Your code for Status"
    assert "on its way" in client.get(reverse(CONFIRM)).text

    answer = confirm(client, code_in(mail))

    assert answer["Location"] == "/"
    assert cookie.read(answer.cookies[cookie.NAME].value).customer == bob.customer_id
    assert client.get("/for/").status_code == 200
    user = User.objects.get()
    assert (user.email, user.name, user.role) == ("bob@acme.example", "Bob", "customer")
    assert not user.has_usable_password()
    assert AuditEvent.objects.get().action == "person.open"


def test_one_address_at_two_customers_is_one_person(bob, mails, client):
    make_contact(make_customer("Globex"), "Robert", email="Bob@acme.example")
    ask(client, "bob@acme.example")
    confirm(client, code_in(mails.to("bob@acme.example")[0]))

    page = client.get("/for/").text
    assert "Acme" in page
    assert "Globex" in page


def test_whether_we_know_an_address_is_not_said(bob, mails):
    make_user("Alice")  # one of us: a mailbox alone is not enough
    gone = make_user("Gone", role="customer")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    pages = []
    for email in ("nobody@example.com", "alice@example.com", "gone@example.com"):
        browser = Client()
        assert ask(browser, email)["Location"] == reverse(CONFIRM)
        pages.append(browser.get(reverse(CONFIRM)))
        assert confirm(browser, "123456").status_code == 200
    assert not mails.mails
    assert {page.status_code for page in pages} == {200}


def test_three_wrong_codes_end_it(bob, mails, client):
    ask(client, bob.email)
    code = code_in(mails.to(bob.email)[0])

    assert "This is not the code" in confirm(client, "wrong").text
    confirm(client, "wrong")
    confirm(client, "wrong")

    assert confirm(client, code).status_code == 302
    assert client.get("/for/").status_code == 302  # not signed in


def test_a_code_runs_out(bob, mails, client):
    ask(client, bob.email)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        confirm(client, code_in(mails.to(bob.email)[0]))
        assert client.get("/for/").status_code == 302


def test_a_code_works_once_and_only_where_it_was_asked_for(bob, mails, client):
    ask(client, bob.email)
    code = code_in(mails.to(bob.email)[0])

    assert confirm(Client(), code).status_code == 302
    other = Client()
    ask(other, bob.email)
    assert confirm(other, code).status_code == 200  # the code of another browser
    confirm(client, code)
    client.post(reverse("logout"))
    confirm(client, code)
    assert client.get("/for/").status_code == 302


def test_codes_are_not_mailed_without_end(bob, mails):
    answers = [ask(Client(), bob.email) for _ in range(4)]

    assert "Too many tries" in answers[-1].text
    assert len(mails.mails) == 3


def test_a_mail_server_that_is_away_is_said(bob, settings, client):
    with Rude({"connect": "drop"}).serving(settings):
        ask(client, bob.email)

    assert "does not answer" in client.get(reverse(CONFIRM)).text


def test_next_stays_within_the_portal(bob, mails, client):
    client.post(f"{reverse(ASK)}?next=https://evil.example/", {"email": bob.email})
    answer = client.post(
        f"{reverse(CONFIRM)}?next=https://evil.example/", {"code": code_in(mails.to(bob.email)[0])}
    )

    assert answer["Location"] == "/"
