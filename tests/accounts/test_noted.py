"""Every action on people, keys and oneself stands in the log: who, what, before, after, and from where."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import actions
from apps.accounts.models import ApiKey, AuditEvent, Invitation, User
from tests.accounts.test_second_factor import password, set_up
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

NEW = "a long new password"
FROM = "192.0.2.77"


@pytest.fixture
def ada():
    return make_user("Ada", role="admin")


@pytest.fixture
def console(ada):
    browser = Client(REMOTE_ADDR=FROM, headers={"User-Agent": "Firefox/140"})
    browser.force_login(ada)
    return browser


def post(browser, to, *args, **given):
    return browser.post(reverse(f"accounts:{to}", args=args), given)


def line(action, *, who, about, before, after, where=FROM):
    event = AuditEvent.objects.get(action=action)
    assert event.user == who
    assert event.target == about
    assert event.before == before
    assert event.after == after
    assert event.before is None or event.before != event.after
    assert event.address == where
    assert event.agent == ("Firefox/140" if where else "")


def test_what_is_done_with_people(console, ada):
    post(console, "invite", name="Nora", email="nora@example.com", role="viewer")
    nora = User.objects.get(email="nora@example.com")
    me = f"user:{nora.pk}"
    line("person.invite", who=ada, about=me, before=None,
         after={"email": "nora@example.com", "name": "Nora", "role": "viewer"})  # fmt: skip
    first = Invitation.objects.get().expires_at.isoformat()
    post(console, "invite_again", nora.pk)
    made = Invitation.objects.order_by("pk").last()
    line("person.invite_again", who=ada, about=me,
         before={"until": first}, after={"until": made.expires_at.isoformat()})  # fmt: skip

    stranger = Client(REMOTE_ADDR=FROM, headers={"User-Agent": "Firefox/140"})
    stranger.post(reverse("invitation", args=[made.token]), {"password": NEW, "again": NEW})
    line("person.accept", who=nora, about=me, before={"password": False}, after={"password": True})
    post(console, "role", nora.pk, role="liaison")
    line("person.role", who=ada, about=me, before={"role": "viewer"}, after={"role": "liaison"})

    for _ in range(2):
        Client().login(email=nora.email, password=NEW)
    post(console, "deactivate", nora.pk)
    line("person.deactivate", who=ada, about=me, before={"active": True},
         after={"active": False, "sessions_ended": 2})  # fmt: skip
    post(console, "reactivate", nora.pk)
    line("person.reactivate", who=ada, about=me, before={"active": False}, after={"active": True})


def test_doing_nothing_is_no_line(console, ada):
    vic = make_user("Vic", role="viewer")
    post(console, "role", vic.pk, role="viewer")
    post(console, "reactivate", vic.pk)
    post(console, "account", name="Ada")
    post(console, "end_sessions")

    assert not AuditEvent.objects.exists()


def test_what_people_do_with_themselves(console, ada):
    me = f"user:{ada.pk}"
    post(console, "account", name="Ada L")
    line("person.rename", who=ada, about=me, before={"name": "Ada"}, after={"name": "Ada L"})
    post(console, "password", current=PASSWORD, password=NEW, again=NEW)
    line("person.password", who=ada, about=me, before=None, after=None)
    other = Client()
    other.post(reverse("login"), {"username": ada.email, "password": NEW})
    post(console, "end_sessions")
    line("person.end_sessions", who=ada, about=me, before=None, after={"sessions_ended": 1})


def test_a_second_factor_is_noted_as_it_comes_and_as_it_goes(
    ada, django_capture_on_commit_callbacks
):
    browser = Client(REMOTE_ADDR=FROM, headers={"User-Agent": "Firefox/140"})
    password(browser, ada)
    with django_capture_on_commit_callbacks(execute=True):
        set_up(browser)
    kinds = AuditEvent.objects.filter(action="person.second_factor_add").values_list("after__kind")
    assert ("app with codes",) in list(kinds)
    with django_capture_on_commit_callbacks(execute=True):
        browser.post(reverse("mfa_deactivate_totp"))
    event = AuditEvent.objects.filter(action="person.second_factor_remove").order_by("pk").first()
    assert (event.before, event.after) == ({"kind": "app with codes"}, None)
    assert (event.user, event.address) == (ada, FROM)


def test_what_is_done_with_keys(console, ada):
    post(console, "issue_key", name="edge", scopes=["ingest"])
    old = ApiKey.objects.get()
    about = f"apikey:{old.pk}"
    plain = {"name": "edge", "prefix": old.prefix, "scopes": ["ingest"], "expires_at": None}
    line("key.issue", who=ada, about=about, before=None, after=plain)

    until = timezone.now() + timedelta(days=1)
    post(console, "rotate_key", old.pk, until=until.strftime("%Y-%m-%dT%H:%M:%S"))
    old.refresh_from_db()
    ends = plain | {"expires_at": old.expires_at.isoformat()}
    line("key.rotate", who=ada, about=about, before=plain,
         after=ends | {"replaced_by": old.replaced_by_id})  # fmt: skip
    post(console, "revoke_key", old.pk)
    line("key.revoke", who=ada, about=about,
         before=ends | {"revoked": False}, after=ends | {"revoked": True})  # fmt: skip


def test_the_command_line_is_noted_as_nobody_and_from_nowhere():
    call_command("apikey", "issue", "edge")
    key = ApiKey.objects.get()
    plain = {"name": "edge", "prefix": key.prefix, "scopes": ["ingest"], "expires_at": None}
    line("key.issue", who=None, about=f"apikey:{key.pk}", before=None, after=plain, where=None)
    call_command("apikey", "revoke", key.prefix)
    line("key.revoke", who=None, about=f"apikey:{key.pk}", where=None,
         before=plain | {"revoked": False}, after=plain | {"revoked": True})  # fmt: skip


def test_the_first_admin():
    browser = Client(REMOTE_ADDR=FROM, headers={"User-Agent": "Firefox/140"})
    given = {"name": "Olga", "email": "olga@example.com", "password": NEW, "again": NEW}
    browser.post(reverse("first_admin", args=[actions.first_token()]), given)
    olga = User.objects.get()
    line("person.first", who=olga, about=f"user:{olga.pk}", before=None,
         after={"email": "olga@example.com", "name": "Olga", "role": "admin"})  # fmt: skip
