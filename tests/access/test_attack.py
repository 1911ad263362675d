"""What somebody tries who means harm: other people's things in forms and queries, other sites, other methods.

Max looks after Globex and goes for Acme, which Amy looks after; Bob of Acme goes for Globex.
"""

import re

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role, UserSession
from apps.customers.models import Contact, Customer
from apps.incidents.models import Update
from apps.outreach.models import Delivery, Outreach
from apps.statuspage.models import CustomerReport
from tests.access.test_table import rows_of, said
from tests.access.world import contents, make_access_world
from tests.factories import NOW, PASSWORD, make_incident

pytestmark = pytest.mark.django_db

EVIL = "https://evil.example/"
#: Forms of other sites that get further than 403: nothing of theirs carries a session.
WITHOUT_SESSION = {
    "/v1/traces", "/v1/logs",
    "/api/v1/events", "/api/v1/customers", "/api/v1/customers/import", "/api/v1/customers/a-1",
}  # fmt: skip


@pytest.fixture
def world():
    return make_access_world()


@pytest.fixture
def browser(world):
    def sign_in(who: str, **options) -> Client:
        client = Client(headers={"Sec-Fetch-Site": "same-origin"}, **options)
        if user := world.people[who]:
            client.force_login(user)
        return client

    return sign_in


# Other people's things in what is typed


def test_queries_about_somebody_elses_customer_answer_as_about_nobody(world, browser):
    """Neither a page nor a partial of it tells that what was asked for belongs to somebody."""
    Customer.objects.filter(pk=world.acme.pk).update(tags=["acme-gold"], external_id="acme-1")
    asked = {
        "q": "acme",
        "parent": "acme",
        "customer": "acme",
        "customers": "acme",
        "tag": "acme-gold",
        "target": "acme",
        "value": "api.acme.example",
        "seen": "acme",
    }
    client = browser("Max")
    for path, _ in rows_of("GET"):
        if path.startswith(("/errors/", "/console/style/")):
            continue  # the same for everybody: a delay by chance, made-up customers
        for headers in ({}, {"HX-Request": "true"}):
            theirs, nothing = (
                client.get(
                    path.format(**world.names),
                    {key: text.replace("acme", name) for key, text in asked.items()},
                    headers=headers,
                )
                for name in ("acme", "zzzz")
            )
            assert said(theirs) == said(nothing), path
            if theirs["Content-Type"].startswith("text/html"):
                assert _bare(theirs.text.replace("acme", "zzzz")) == _bare(nothing.text), path


def _bare(text: str) -> str:
    """Leave out what differs from one answer to the next: tokens, and clocks that tick."""
    return re.sub(r'value="[A-Za-z0-9]{64}"|x-csrftoken[^}]+|<time.*?</time>', "", text)


def test_an_account_manager_cannot_move_their_customer_or_take_another(world, browser):
    columns = ("name", "kind", "parent", "account_manager", "external_id", "slug")
    before = Customer.objects.values(*columns).get(pk=world.globex.pk)

    browser("Max").post(
        f"/console/customers/{world.globex.slug}/edit/",
        {
            "name": "Globex",
            "kind": "internal",
            "parent": "acme",
            "account_manager": world.told.amy.pk,
            "external_id": "mine",
            "slug": "acme",
            "journey-TOTAL_FORMS": 0,
            "journey-INITIAL_FORMS": 0,
        },
    )

    assert Customer.objects.values(*columns).get(pk=world.globex.pk) == before


@pytest.mark.parametrize("what", ["", "remove/"])
def test_a_contact_is_not_reached_through_another_customer(world, browser, what):
    before = Contact.objects.values().get(pk=world.told.bob.pk)
    data = {"name": "Max", "email": "max@example.com", "purpose": "operations"}
    through = "/console/customers/globex/contacts"

    theirs = browser("Max").post(f"{through}/{world.told.bob.pk}/{what}", data)
    nothing = browser("Max").post(f"{through}/999999/{what}", data)

    assert (theirs.status_code, nothing.status_code) == (404, 404)
    assert Contact.objects.values().get(pk=world.told.bob.pk) == before


def test_a_message_goes_to_nobody_elses_contacts(world, browser):
    Outreach.objects.update(state="draft")
    charlie = Contact.objects.get(customer=world.globex)
    before = set(world.outreach.recipients.values_list("pk", flat=True))

    answer = browser("Amy").post(
        f"/console/outreach/{world.outreach.pk}/edit/",
        {"subject": "Yours", "text": "Words", "recipients": [world.told.bob.pk, charlie.pk]},
    )

    assert answer.status_code == 422
    assert charlie.email not in answer.text
    assert set(world.outreach.recipients.values_list("pk", flat=True)) == before


def test_a_mail_is_not_settled_through_another_message(world, browser):
    mine = Outreach.objects.create(
        incident=world.told.incident,
        customer=world.globex,
        incident_version=1,
        created_at=NOW,
        changed_at=NOW,
    )
    before = Delivery.objects.values().get(pk=world.delivery.pk)

    for pk in (world.delivery.pk, 999_999):
        answer = browser("Max").post(
            f"/console/outreach/{mine.pk}/deliveries/{pk}/settle/", {"outcome": "accepted"}
        )
        assert answer.status_code == 404

    assert Delivery.objects.values().get(pk=world.delivery.pk) == before


def test_a_report_of_somebody_elses_customer_stays_unread(world, browser):
    theirs, nothing = (
        browser("Max").post("/console/reports/", {"report": pk})
        for pk in (world.names["report"], 999_999)
    )

    assert (theirs.status_code, nothing.status_code) == (404, 404)
    assert CustomerReport.objects.get().seen_at is None


def test_nobody_reports_for_another_customer(world, browser):
    for pk in (world.globex.pk, 999_999):
        assert browser("Bob").post("/reports/", {"customer": pk, "text": "x"}).status_code == 404
    assert CustomerReport.objects.count() == 1


def test_nobody_ends_the_session_of_another(world, browser):
    browser("Ada").get("/console/account/")
    theirs = UserSession.objects.get(user=world.people["Ada"])

    browser("Max").post("/console/account/sessions/end/", {"session": theirs.pk})

    assert UserSession.objects.filter(pk=theirs.pk).exists()
    assert Session.objects.filter(pk=theirs.session_key).exists()


def test_nobody_removes_the_passkey_of_another(world):
    theirs = Authenticator.objects.create(
        user=world.people["Ada"], type=Authenticator.Type.WEBAUTHN, data={"name": "key"}
    )
    client = _signed_in(world.people["Max"])
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})

    for pk in (theirs.pk, 999_999):
        path = f"/console/account/second-factor/passkeys/{pk}/remove/"
        assert client.post(path).status_code == 404

    assert Authenticator.objects.filter(pk=theirs.pk).exists()


def test_a_draft_is_not_published_through_another_incident(world, browser):
    other = make_incident("Search is slow")
    draft = Update.objects.get(published_at=None)

    answer = browser("Alice").post(
        f"/console/incidents/{other.pk}/publish/",
        {"update": draft.pk, "revision": draft.revision},
    )

    assert answer.status_code == 409
    assert Update.objects.get(pk=draft.pk).published_at is None


# Other methods, other sites, other hosts


@pytest.mark.parametrize("who", ["nobody", "Max", "Ada"])
def test_no_other_method_does_or_shows_anything(world, browser, who):
    client = browser(who)
    before = contents()
    for path, _ in rows_of("GET"):
        address = path.format(**world.names)
        shown = said(client.get(address))
        assert said(client.head(address)) == shown, address
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = client.generic(method, address)
            refused = {"in", "302", "401", "403", "404", "405", "410"}
            # Nothing is shown that GET would not show: the page, or what may be asked.
            assert said(answer) in {*refused, shown} or not answer.content, (method, address)
    after = contents()
    assert {t for t in after if after[t] != before[t]} <= {"accounts_user"}


def test_forms_of_another_site_do_nothing(world, browser):
    """Every form of every page, with the cookie of somebody who may, but without the token of ours."""
    client = browser("Ada", enforce_csrf_checks=True)
    before = contents()
    let_in = set()
    for path, _ in rows_of("POST"):
        answer = client.post(
            path.format(**world.names),
            {"x": "1"},
            headers={"Sec-Fetch-Site": "cross-site", "Origin": EVIL.rstrip("/"), "Referer": EVIL},
        )
        if answer.status_code != 403:
            let_in.add(path)
            assert answer.status_code in {401, 404, 405, 415}, path
    assert let_in - WITHOUT_SESSION <= {
        path for path, cells in rows_of("POST") if set(cells) <= {"404", "405", "in"}
    }
    after = contents()
    assert {t for t in after if after[t] != before[t]} <= {"accounts_user"}


def test_no_answer_leads_elsewhere(world, browser):
    client = browser("Ada")
    for method in ("GET", "POST"):
        for path, _ in rows_of(method):
            with transaction.atomic():
                answer = client.generic(
                    method,
                    f"{path.format(**world.names)}?next={EVIL}&page=//evil.example",
                    f"next={EVIL}&page=//evil.example&email=ada@example.com",
                    content_type="application/x-www-form-urlencoded",
                    headers={"Referer": EVIL, "X-Forwarded-Host": "evil.example"},
                )
                transaction.set_rollback(True)
            place = answer.get("Location", "")
            assert not place or (place[:1] in "/?" and place[:2] not in {"//", "/\\"}), path


@pytest.mark.parametrize("elsewhere", [EVIL, "//evil.example", "/\\evil.example", "\thttps:evil"])
def test_signing_in_leads_nowhere_else(world, elsewhere):
    answer = Client().post(
        reverse("login"),
        {"username": "ada@example.com", "password": PASSWORD, "next": elsewhere},
    )

    assert answer["Location"] == reverse("today")


def test_another_host_is_not_answered(world):
    for path, _ in rows_of("GET"):
        answer = Client().get(path.format(**world.names), headers={"Host": "evil.example"})
        assert answer.status_code == 400, path


# Sessions


def _signed_in(user, client=None) -> Client:
    client = client or Client()
    answer = client.post(reverse("login"), {"username": user.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.text
    return client


def test_a_session_from_before_opens_nothing_after_signing_in(world):
    """Whoever planted a cookie in another's browser does not hold the session that they sign in with."""
    attacker = Client()
    attacker.get(reverse("login"))
    session = attacker.session
    session["planted"] = True
    session.save()
    victim = Client()
    victim.cookies["sessionid"] = session.session_key

    _signed_in(world.people["Ada"], victim)

    assert victim.cookies["sessionid"].value != session.session_key
    attacker.cookies["sessionid"] = session.session_key
    assert said(attacker.get("/console/")) == "in"
    morsel = victim.cookies["sessionid"]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"


def test_a_session_that_was_signed_out_of_opens_nothing(world):
    client = _signed_in(world.people["Ada"])
    key = client.cookies["sessionid"].value

    client.post(reverse("logout"))

    thief = Client()
    thief.cookies["sessionid"] = key
    assert said(thief.get("/console/")) == "in"


def test_signing_in_as_another_keeps_nothing_of_the_first(world, browser):
    client = _signed_in(world.people["Ada"])
    first = client.session
    first["of_ada"] = "secret"
    first.save()

    client.post(reverse("logout"))
    _signed_in(world.people["Max"], client)

    assert "of_ada" not in client.session


def test_a_role_that_was_taken_is_gone_with_the_next_request(world, browser):
    client = browser("Ada")
    assert client.get("/console/people/").status_code == 200

    type(world.people["Ada"]).objects.filter(pk=world.people["Ada"].pk).update(role=Role.VIEWER)

    assert client.get("/console/people/").status_code == 403


def test_a_customer_who_is_given_to_another_is_lost_with_the_next_request(world, browser):
    client = browser("Amy")
    assert client.get("/console/customers/acme/").status_code == 200

    Customer.objects.filter(pk=world.acme.pk).update(account_manager=world.people["Max"])

    assert client.get("/console/customers/acme/").status_code == 404
    assert client.get(f"/console/outreach/{world.outreach.pk}/").status_code == 404


def test_a_parent_that_somebody_may_not_see_is_not_named(world, browser):
    Customer.objects.filter(pk=world.globex.pk).update(parent=world.acme)
    for path in ("/console/customers/", "/console/customers/globex/"):
        assert "Acme" not in browser("Max").get(path).text
        assert "Acme" in browser("Vic").get(path).text
