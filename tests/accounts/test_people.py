"""Who may sign in: invited, given a role, let go, taken back."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import jobs
from apps.accounts.models import PERMISSIONS, AuditEvent, Invitation, User
from tests.factories import PASSWORD, make_user
from tests.outreach.sinks import Rude, sink

pytestmark = pytest.mark.django_db

NEW = "a long new password"


@pytest.fixture
def ada():
    return make_user("Ada", role="admin")


@pytest.fixture(autouse=True)
def over_a_socket(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def console(ada, client):
    client.force_login(ada)
    return client


def invite(console, **changes):
    given = {"name": "Nora", "email": "Nora@Example.com", "role": "liaison", **changes}
    return console.post(reverse("accounts:invite"), given)


def link_in(text):
    return re.search(r"http://[^\s<]+(/invitation/[^\s<]+)", text)[1]


def accept(link, password=NEW, again=None, client=None):
    return (client or Client()).post(link, {"password": password, "again": again or password})


def test_who_is_invited_by_mail_sets_a_password_and_signs_in(console, settings):
    with sink(settings) as received:
        answer = invite(console)
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        assert jobs.mail_invitations(now=timezone.now()) == 1
        assert jobs.mail_invitations(now=timezone.now()) == 0

    (mail,) = received.to("nora@example.com")
    link = link_in(mail.get_content())
    assert link == link_in(answer.text)
    assert "Nora" in Client().get(link).text
    guest = Client()
    assert accept(link, client=guest).status_code == 302
    assert "Your password is set" in guest.get(reverse("login")).text
    assert guest.login(email="nora@example.com", password=NEW)
    nora = User.objects.get(email="nora@example.com")
    assert nora.role == "liaison"
    assert list(
        AuditEvent.objects.filter(target=f"user:{nora.pk}").order_by("pk").values_list("action")
    ) == [("person.invite",), ("person.accept",)]


def test_nothing_that_opens_an_invitation_is_stored(console):
    link = link_in(invite(console).text)

    stored = f"{list(Invitation.objects.values())} {list(AuditEvent.objects.values())}"

    assert link.split("/")[2] not in stored
    assert "/invitation/" not in stored


def test_an_invitation_works_once(console):
    link = link_in(invite(console).text)
    accept(link)

    again = accept(link, "another long password")

    assert again.status_code == 410
    assert "was used" in again.text
    assert User.objects.get(email="nora@example.com").check_password(NEW)


def test_an_invitation_runs_out_after_seven_days(console):
    link = link_in(invite(console).text)

    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        answer = accept(link)

    assert answer.status_code == 410
    assert "has run out" in answer.text
    assert not User.objects.get(email="nora@example.com").has_usable_password()


def test_a_link_that_is_not_ours_opens_nothing(console):
    link = link_in(invite(console).text)

    for wrong in ("/invitation/1/", "/invitation/x:y/", f"{link[:-2]}x/", "/invitation/%00/"):
        answer = accept(wrong)
        assert answer.status_code == 410
        assert "not a link of ours" in answer.text


def test_a_weak_password_is_said_to_be_one_and_two_different_ones_are(console):
    link = link_in(invite(console).text)

    assert "too short" in accept(link, "short").text
    assert "different" in accept(link, NEW, "another long password").text
    assert accept(link).status_code == 302


def test_a_new_invitation_ends_the_one_before(console):
    first = link_in(invite(console).text)
    nora = User.objects.get(email="nora@example.com")
    second = link_in(console.post(reverse("accounts:invite_again", args=[nora.pk])).text)

    assert accept(first).status_code == 410
    assert accept(second).status_code == 302
    answer = console.post(reverse("accounts:invite_again", args=[nora.pk]), follow=True)
    assert "has set a password already" in answer.text


def test_who_is_deactivated_cannot_accept(console):
    link = link_in(invite(console).text)
    nora = User.objects.get(email="nora@example.com")
    console.post(reverse("accounts:deactivate", args=[nora.pk]))

    assert "withdrawn" in accept(link).text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "ada@EXAMPLE.com"}, "Ada has this address already"),
        ({"email": "nobody"}, "valid email"),
        ({"role": "customer"}, "not one of the available choices"),
        ({"role": ""}, "Choose what the person is here"),
        ({"name": " "}, "required"),
    ],
)
def test_an_invitation_that_cannot_be_says_why(console, changes, words):
    answer = invite(console, **changes)

    assert answer.status_code == 422
    assert words in answer.text
    assert not Invitation.objects.exists()


def test_an_invitation_waits_while_the_mail_server_is_away_and_goes_later(console, settings):
    invite(console)
    now = timezone.now()
    with Rude({"connect": "drop"}).serving(settings):
        jobs.mail_invitations(now=now)
    row = Invitation.objects.get()
    assert row.state == "queued"
    assert row.reply
    assert "The mail server" in console.get(reverse("accounts:person", args=[row.user_id])).text

    with sink(settings) as received:
        jobs.mail_invitations(now=now + timedelta(seconds=29))
        assert not received.mails
        jobs.mail_invitations(now=now + timedelta(seconds=31))
    assert len(received.mails) == 1
    assert Invitation.objects.get().state == "sent"


def test_no_mail_goes_to_a_domain_that_may_not_be_mailed(console, settings):
    answer = invite(console, email="nora@real-company.com")

    assert "is not among those" in answer.text
    with sink(settings) as received:
        jobs.mail_invitations(now=timezone.now())
    assert not received.mails
    assert Invitation.objects.get().state == "failed"


def test_an_invitation_whose_worker_died_is_mailed_after_its_lease(console, settings):
    invite(console)
    now = timezone.now()
    Invitation.objects.update(state="sending", lease_until=now + timedelta(seconds=120))

    with sink(settings) as received:
        jobs.mail_invitations(now=now)
        assert not received.mails
        jobs.mail_invitations(now=now + timedelta(seconds=121))
    assert len(received.mails) == 1


def test_a_role_changes_and_the_log_says_from_what_to_what(console, ada):
    vic = make_user("Vic", role="viewer")

    console.post(reverse("accounts:role", args=[vic.pk]), {"role": "lead"})

    vic.refresh_from_db()
    assert vic.role == "lead"
    event = AuditEvent.objects.get(action="person.role")
    assert (event.user, event.before, event.after) == (ada, {"role": "viewer"}, {"role": "lead"})
    assert event.address == "127.0.0.1"
    page = console.get(reverse("accounts:person", args=[vic.pk])).text
    assert "Changed the role" in page


@pytest.mark.parametrize("name", ["role", "deactivate"])
def test_the_last_admin_stays(console, ada, name):
    # Neither of these two can sign in.
    User.objects.create_user(email="new@example.com", name="New", role="admin")
    gone = make_user("Gone", role="admin")
    User.objects.filter(pk=gone.pk).update(is_active=False)

    answer = console.post(
        reverse(f"accounts:{name}", args=[ada.pk]), {"role": "viewer"}, follow=True
    )

    assert "last admin" in answer.text
    ada.refresh_from_db()
    assert ada.is_active
    assert ada.role == "admin"


def test_an_admin_may_go_while_another_stays(console, ada):
    make_user("Grace", role="admin")

    answer = console.post(reverse("accounts:role", args=[ada.pk]), {"role": "viewer"})

    assert answer.status_code == 303
    assert console.get(reverse("accounts:people")).status_code == 403


@pytest.mark.parametrize(("role", "to"), [("customer", "admin"), ("viewer", "customer")])
def test_a_customers_contact_never_becomes_one_of_us(console, role, to):
    bob = make_user("Bob", role=role)

    answer = console.post(reverse("accounts:role", args=[bob.pk]), {"role": to}, follow=True)

    assert "cannot become one of us" in answer.text
    bob.refresh_from_db()
    assert bob.role == role


def test_deactivation_ends_every_session_at_once_and_for_good(console):
    vic = make_user("Vic", role="viewer")
    laptop, phone = Client(), Client()
    for browser in (laptop, phone):
        browser.force_login(vic)
        assert browser.get(reverse("today")).status_code == 200
    # One that no list knows, as from before there was one.
    vic.sessions.filter(session_key=phone.session.session_key).delete()

    console.post(reverse("accounts:deactivate", args=[vic.pk]))
    assert laptop.get(reverse("today")).status_code == 302
    assert phone.get(reverse("today")).status_code == 302

    console.post(reverse("accounts:reactivate", args=[vic.pk]))
    assert laptop.get(reverse("today")).status_code == 302
    assert phone.get(reverse("today")).status_code == 302
    assert Client().login(email=vic.email, password=PASSWORD)


def test_people_are_found_by_name_address_role_and_state(console):
    make_user("Vic", role="viewer")
    gone = make_user("Gone", role="lead")
    User.objects.filter(pk=gone.pk).update(is_active=False)
    invite(console)

    def found(**query):
        page = console.get(reverse("accounts:people"), query).context["page"]
        return [person.name for person in page.object_list]

    assert found() == ["Ada", "Nora", "Vic"]
    assert found(q="vic@") == ["Vic"]
    assert found(role="admin") == ["Ada"]
    assert found(state="invited") == ["Nora"]
    assert found(state="inactive") == ["Gone"]
    assert found(state="any", q="gone") == ["Gone"]
    assert found(state="nonsense", role="nonsense", page="nonsense") == ["Ada", "Nora", "Vic"]


def test_the_list_asks_the_same_however_many_there_are(console, django_assert_max_num_queries):
    for number in range(3):
        make_user(f"Some {number}", role="viewer")
    with django_assert_max_num_queries(10) as asked:
        console.get(reverse("accounts:people"))
        few = len(asked)
    for number in range(120):
        User.objects.create(email=f"m{number}@example.com", name=f"Many {number}", role="viewer")
    with django_assert_max_num_queries(few):
        page = console.get(reverse("accounts:people"))
    assert "Page 2" in page.text


def test_what_a_role_may_do_is_said_in_words(console):
    page = console.get(reverse("accounts:invite")).text

    assert "approve tenets of others" in page
    assert not [action for action in PERMISSIONS if "." in action and action in page]
