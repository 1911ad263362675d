"""Contacts of customers sign in with a code that is mailed to them, over a real mail server."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts import codes
from apps.accounts.models import AuditEvent, CodeMail, User
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
    answer = browser.post(reverse(ASK), {"email": email})
    codes.mail(now=timezone.now())  # the worker's turn
    return answer


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


def test_a_code_waits_while_the_mail_server_is_away_and_goes_later(bob, mails, settings, client):
    now = timezone.now()
    port = settings.EMAIL_PORT
    with Rude({"connect": "drop"}).serving(settings):
        ask(client, bob.email)
    assert "on its way" in client.get(reverse(CONFIRM)).text
    assert CodeMail.objects.get().state == "queued"

    settings.EMAIL_PORT = port
    codes.mail(now=now + timedelta(seconds=20))
    assert not mails.mails
    codes.mail(now=now + timedelta(seconds=40))
    confirm(client, code_in(mails.to(bob.email)[0]))
    assert client.get("/for/").status_code == 200
    assert not CodeMail.objects.exists()


def test_a_code_that_ran_out_is_not_mailed_and_not_kept(bob, mails, client):
    client.post(reverse(ASK), {"email": bob.email})
    codes.mail(now=timezone.now() + timedelta(minutes=11))

    assert not mails.mails
    assert not CodeMail.objects.exists()


def test_a_code_whose_worker_died_is_mailed_after_its_lease(bob, mails, client):
    client.post(reverse(ASK), {"email": bob.email})
    now = timezone.now()
    CodeMail.objects.update(state="sending", lease_until=now + timedelta(seconds=120))

    codes.mail(now=now)
    assert not mails.mails
    codes.mail(now=now + timedelta(seconds=121))
    assert len(mails.mails) == 1


def test_asking_is_as_much_work_for_an_address_that_nobody_has(bob, mails):
    """What takes as long tells nothing: as many questions to the database, and no mail in the request."""
    asked = {}
    for email in (bob.email, "carol@acme.example", bob.email, "dora@acme.example"):
        browser = Client()
        browser.get(reverse(ASK))
        with CaptureQueriesContext(connection) as queries:
            browser.post(reverse(ASK), {"email": email})
        asked.setdefault(email == bob.email, []).append(len(queries))
    # The first time of a contact makes a person; from then on some look-ups by key are all that differs.
    assert abs(asked[True][1] - asked[False][1]) <= 2
    assert not mails.mails
    left = CodeMail.objects.order_by("pk")
    assert [row.email for row in left] == [bob.email, "", bob.email, ""]
    assert len({len(row.sealed) for row in left}) == 1
    assert codes.mail(now=timezone.now()) == 4
    assert len(mails.mails) == 2


def test_a_waiting_code_cannot_be_read_from_the_database(bob, mails, client):
    client.post(reverse(ASK), {"email": bob.email})
    kept = str(list(CodeMail.objects.values()))
    codes.mail(now=timezone.now())

    assert code_in(mails.to(bob.email)[0]) not in kept


def test_next_stays_within_the_portal(bob, mails, client):
    client.post(f"{reverse(ASK)}?next=https://evil.example/", {"email": bob.email})
    codes.mail(now=timezone.now())
    answer = client.post(
        f"{reverse(CONFIRM)}?next=https://evil.example/", {"code": code_in(mails.to(bob.email)[0])}
    )

    assert answer["Location"] == "/"
