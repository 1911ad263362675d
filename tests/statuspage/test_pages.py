"""What Django serves: signing in and out, choosing an account, telling us what we got wrong."""

import pytest
from django.db import DatabaseError, connection
from django.test import Client

from apps.accounts.models import AuditEvent, Role
from apps.statuspage import cookie
from apps.statuspage.models import CustomerReport
from tests.factories import PASSWORD, make_contact, make_customer, make_incident, make_user
from tests.statuspage.world import publish

HERE = {"sec-fetch-site": "same-origin"}


def held(client: Client) -> int | None:
    morsel = client.cookies.get(cookie.NAME)
    found = cookie.read(morsel.value) if morsel and morsel.value else None
    return found.customer if found else None


def sign_in(client: Client, user, **data):
    return client.post("/sign-in/", {"username": user.email, "password": PASSWORD, **data})


def test_a_contact_lands_on_their_own_page(rendered, client):
    response = sign_in(client, rendered.bob)
    assert (response.status_code, response["Location"]) == (302, "/")
    morsel = client.cookies[cookie.NAME]
    assert held(client) == rendered.acme.pk
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"
    assert not morsel["secure"]
    page = client.get("/")
    assert "For you, Acme" in page.text
    assert page["Cache-Control"] == "private, no-store"


def test_the_cookie_is_secure_on_https(rendered, client, settings):
    settings.SESSION_COOKIE_SECURE = True
    sign_in(client, rendered.bob)
    assert client.cookies[cookie.NAME]["secure"]


def test_staff_land_on_today_and_get_no_cookie(rendered, client):
    response = sign_in(client, rendered.alice)
    assert response["Location"] == "/console/"
    assert held(client) is None


def test_signing_out_takes_the_cookie(rendered, client):
    sign_in(client, rendered.bob)
    response = client.post("/leave/", headers=HERE)
    assert (response.status_code, response["Location"]) == (303, "/")
    assert held(client) is None
    assert "For you" not in client.get("/").text
    sign_in(client, rendered.bob)
    client.post("/sign-out/")
    assert held(client) is None


def test_who_signs_in_next_does_not_keep_the_page_of_who_was_before(rendered, client):
    sign_in(client, rendered.bob)
    del client.cookies["sessionid"]
    sign_in(client, rendered.charlie)
    assert held(client) == rendered.globex.pk
    del client.cookies["sessionid"]
    manager = make_user("Mia", role=Role.ACCOUNT_MANAGER)
    sign_in(client, manager)
    assert held(client) is None


def test_who_is_no_contact_any_more_loses_it_with_the_next_page(rendered, client):
    sign_in(client, rendered.bob)
    rendered.acme.contacts.update(user=None)
    assert "For you" not in client.get("/").text
    assert held(client) is None


def test_a_visitor_without_a_session_costs_no_query(rendered, client, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get("/")


def test_when_the_database_does_not_answer_the_cookie_is_left_alone(rendered, client):
    from django.http import HttpResponse
    from django.test import RequestFactory

    from apps.statuspage.middleware import keep_in_step

    class Gone:
        role = Role.CUSTOMER

    request = RequestFactory().get("/")
    request.COOKIES[cookie.NAME] = cookie.sign(rendered.acme.pk, now=0)

    def down(execute, sql, params, many, context):
        raise DatabaseError

    request.user = rendered.bob
    response = HttpResponse()
    with connection.execute_wrapper(down):
        keep_in_step(request, response)
    assert cookie.NAME not in response.cookies


def test_contacts_of_several_customers_switch_between_them(rendered, client):
    initech = make_customer("Initech")
    make_contact(initech, "Bob", user=rendered.bob)
    sign_in(client, rendered.bob)
    assert held(client) == rendered.acme.pk
    listing = client.get("/for/").text
    assert "Initech" in listing
    assert "Globex" not in listing
    response = client.get(f"/for/{initech.pk}/")
    assert (response.status_code, response["Location"]) == (303, "/")
    assert held(client) == initech.pk
    client.get("/for/")  # a renewal keeps the choice
    assert held(client) == initech.pk


@pytest.mark.parametrize("path", ["/for/", "/for/{pk}/", "/reports/", "/console/reports/"])
def test_strangers_are_asked_to_sign_in(rendered, client, path):
    response = client.get(path.format(pk=rendered.acme.pk))
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/")
    assert held(client) is None


def test_nobody_opens_anothers_page(rendered, client):
    client.force_login(rendered.charlie)
    assert client.get(f"/for/{rendered.acme.pk}/").status_code == 404
    assert client.get(f"/for/{2**70}/").status_code in {400, 404}
    assert held(client) == rendered.globex.pk


def test_a_forged_cookie_does_not_choose_anothers_page(rendered, client):
    client.force_login(rendered.charlie)
    client.cookies[cookie.NAME] = cookie.sign(rendered.acme.pk, now=0)
    assert "For you, Globex" in client.get("/").text
    assert held(client) == rendered.globex.pk


def test_staff_may_look_at_a_customers_page(rendered, client):
    client.force_login(rendered.alice)
    assert client.get(f"/for/{rendered.acme.pk}/").status_code == 303
    assert held(client) == rendered.acme.pk


# ---- what does not match ---------------------------------------------------------------------------


def test_what_a_customer_sees_reaches_the_incident_room(rendered, client):
    client.force_login(rendered.bob)
    text = "<b>All</b> our checkouts fail since 10:01."
    response = client.post(
        "/reports/", {"customer": rendered.acme.pk, "text": text}, headers=HERE, follow=True
    )
    assert "We have what you wrote." in response.text
    report = CustomerReport.objects.get()
    assert (report.customer, report.by, report.text) == (rendered.acme, rendered.bob, text)
    event = rendered.incident.timeline.get()
    assert event.kind == "report"
    assert "Acme sees something else" in event.text


def test_today_says_that_a_customer_sees_something_else_until_it_is_read(rendered, client):
    client.force_login(rendered.bob)
    for text in ("It still fails.", "And again."):
        client.post("/reports/", {"customer": rendered.acme.pk, "text": text}, headers=HERE)
    said = "1 customer does not see what our page says"
    stranger = make_user("Max", role=Role.ACCOUNT_MANAGER)

    client.force_login(stranger)
    assert said not in client.get("/console/").text

    client.force_login(rendered.alice)
    assert said in client.get("/console/").text
    assert "It still fails." in client.get("/console/reports/").text
    for report in CustomerReport.objects.all():
        client.post("/console/reports/", {"report": report.pk})
    assert said not in client.get("/console/").text


def test_nobody_speaks_for_another(rendered, client):
    client.force_login(rendered.charlie)
    data = {"customer": rendered.acme.pk, "text": "hello"}
    assert client.post("/reports/", data, headers=HERE).status_code == 404
    client.force_login(rendered.alice)
    assert client.post("/reports/", data, headers=HERE).status_code == 403
    assert not CustomerReport.objects.exists()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://testserver"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"referer": "http://testserver.evil.example/"},
    ],
    ids=["none", "cross", "same-site", "origin", "null", "referer"],
)
def test_forms_on_other_sites_are_refused(rendered, client, headers):
    client.force_login(rendered.bob)
    for path in ("/reports/", "/leave/"):
        assert client.post(path, {"text": "hello"}, headers=headers).status_code == 403
    assert client.post("/reports/", {"text": "x"}, headers={"origin": "http://testserver"})
    assert CustomerReport.objects.count() == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({}, 422),
        ({"text": "   "}, 422),
        ({"text": "x" * 2001}, 422),
        ({"text": "a\x00b"}, 422),
        ({"text": "x", "customer": "abc"}, 422),
        ({"text": "x", "customer": "9" * 40}, 422),
        ({"text": "x", "customer": "999999"}, 404),
    ],
    ids=["nothing", "blank", "long", "nul", "word", "huge", "unknown"],
)
def test_what_cannot_be_taken_is_refused_in_words(rendered, client, data, status):
    client.force_login(rendered.bob)
    response = client.post("/reports/", data, headers=HERE)
    assert response.status_code == status
    assert not CustomerReport.objects.exists()


def test_a_flood_of_reports_is_stopped(rendered, client):
    client.force_login(rendered.bob)
    codes = [
        client.post("/reports/", {"text": f"{i}"}, headers=HERE).status_code for i in range(12)
    ]
    assert codes == [303] * 10 + [429] * 2
    assert CustomerReport.objects.count() == 10


def test_another_open_incident_hears_of_it_too(rendered, client):
    publish(make_incident("Search is slow", declared_by=rendered.alice))
    client.force_login(rendered.bob)
    client.post("/reports/", {"text": "hm"}, headers=HERE)
    assert AuditEvent.objects.count() == 0
    assert rendered.incident.timeline.count() == 1
