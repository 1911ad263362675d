"""Sign-in with the company's account, against a provider over a real socket."""

import logging
import time
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from tests.accounts.provider import serving
from tests.accounts.test_second_factor import password, set_up
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db

BEGIN, BACK = "/sign-in/oidc/company/", "/sign-in/oidc/company/callback/"
PROVES_NOTHING = "proves nothing"


@pytest.fixture
def provider(settings):
    with serving(settings) as running:
        yield running


@pytest.fixture
def alice(provider):
    provider.person["email"] = "alice@example.com"
    return make_user("Alice", role="liaison")


def go_out(browser, **query):
    """Begin at the portal and sign in at the provider; return the address it sends the browser back to."""
    begun = browser.get(BEGIN, query)
    assert begun.status_code == 302
    sent = requests.get(begun["Location"], allow_redirects=False, timeout=5)
    return sent.headers["Location"]


def come_back(browser, address):
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"http://127.0.0.1:8000{BACK}"
    return browser.get(f"{parts.path}?{parts.query}")


def sign_in(browser, **query):
    return come_back(browser, go_out(browser, **query))


def is_in(browser):
    return browser.get(reverse("today")).status_code == 200


def test_one_of_us_comes_in_with_their_role_and_keeps_their_password(alice, client, settings):
    page = client.get(reverse("login"), {"next": "/console/gaps/"})
    assert f'href="{BEGIN}?next=/console/gaps/">Sign in with Acme</a>' in page.text
    answer = sign_in(client, next="/console/gaps/")

    assert answer["Location"] == "/console/gaps/"
    assert is_in(client)
    assert client.get(reverse("accounts:people")).status_code == 403  # a liaison still
    assert alice.sessions.count() == 1
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)
    assert Client().login(email=alice.email, password=PASSWORD)
    assert User.objects.count() == 1


def test_the_whole_way_over_http(alice, provider, live_server, settings):
    settings.PORTAL_URL = live_server.url
    browser = requests.Session()

    landed = browser.get(f"{live_server.url}{BEGIN}", timeout=20)

    assert landed.status_code == 200
    assert urlsplit(landed.url).path == reverse("today")
    assert "Alice" in landed.text
    assert provider.asked[-3:] == ["/authorize", "/token", "/keys"]
    browser.close()


@pytest.mark.parametrize("methods", [["client_secret_basic"], ["client_secret_post"]])
def test_the_client_shows_itself_as_the_provider_wants(alice, provider, client, methods):
    provider.methods = methods
    sign_in(client)
    assert is_in(client)


def test_an_address_is_found_whatever_its_case(alice, provider, client):
    provider.person["email"] = "ALICE@Example.com"
    sign_in(client)
    assert is_in(client)


def test_an_address_that_only_userinfo_knows_counts(alice, provider, client):
    provider.userinfo = {"email": "alice@example.com", "email_verified": "true"}
    sign_in(client)
    assert is_in(client)


def test_userinfo_about_somebody_else_proves_nothing(alice, provider, client):
    provider.userinfo = {"sub": "43", "email": "alice@example.com", "email_verified": True}
    assert PROVES_NOTHING in sign_in(client).text
    assert not is_in(client)


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ({"email": "nora@example.com"}, "Nobody has invited nora@example.com here"),
        ({"email": "alıce@example.com"}, "Nobody has invited"),
        ({"email": "a\0@example.com"}, "Nobody has invited"),
        ({"email": "<b>@example.com"}, "&lt;b&gt;@example.com"),
        ({"email_verified": False}, "has not verified that alice@example.com is yours"),
        ({"email_verified": None}, "has not verified"),
        ({"email_verified": ["true"]}, "has not verified"),
        ({"email": None}, "told us no e-mail address"),
        ({"email": ["alice@example.com"]}, "has not verified"),
    ],
)
def test_who_is_not_here_or_not_verified_stays_out_and_reads_why(
    alice, provider, client, person, words
):
    if person.get("email") == ["alice@example.com"]:
        provider.person["email_verified"] = False
    provider.person |= person
    answer = sign_in(client)

    assert answer.status_code == 403
    assert words in answer.text
    assert not is_in(client)
    assert User.objects.count() == 1


def test_who_is_deactivated_stays_out(alice, client):
    User.objects.update(is_active=False)
    answer = sign_in(client)

    assert answer.status_code == 403
    assert "Your account here is deactivated" in answer.text
    assert not is_in(client)


def test_a_customers_contact_comes_by_code_alone(alice, client):
    User.objects.update(role="customer")
    assert "a code that we mail" in sign_in(client).text
    assert client.get("/for/").status_code == 302


def test_who_was_invited_comes_in_without_a_password_and_is_not_waited_for(provider, client):
    User.objects.create_user(email="nora@example.com", name="Nora", role="viewer")
    provider.person["email"] = "nora@example.com"
    sign_in(client)
    assert is_in(client)

    page = client.get(reverse("accounts:account")).text
    assert "You have no password here" in page
    assert "Change password" not in page
    answer = client.get(reverse("accounts:password"), follow=True)
    assert "You have no password here" in answer.text
    admin = Client()
    admin.force_login(make_user("Ada", role="admin"))
    people = admin.get(reverse("accounts:people"), {"state": "invited"}).context["page"]
    assert [person.name for person in people] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 5},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["portal", "another"], "azp": "another"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 9_999_999_999},
        {"sub": None},
    ],
    ids=str,
)
def test_an_id_token_that_says_something_else_proves_nothing(alice, provider, client, wrong):
    provider.claims = wrong
    answer = sign_in(client)

    assert answer.status_code == 400
    assert PROVES_NOTHING in answer.text
    assert not is_in(client)


@pytest.mark.parametrize(
    ("signed_by", "algorithm"), [("another", "RS256"), ("ours", "none"), ("ours", "HS256")]
)
def test_an_id_token_that_the_provider_did_not_sign_proves_nothing(
    alice, provider, client, signed_by, algorithm
):
    provider.signed_by, provider.algorithm = signed_by, algorithm
    answer = sign_in(client)

    assert answer.status_code == 400
    assert PROVES_NOTHING in answer.text
    assert not is_in(client)


def test_only_the_browser_that_began_comes_back_and_only_once(alice, client):
    address = go_out(client)
    assert "begun in another browser" in come_back(Client(), address).text
    assert "begun in another browser" in client.get(BACK, {"code": "x", "state": "\0"}).text
    assert "begun in another browser" in client.get(BACK).text

    assert come_back(client, address).status_code == 302
    client.post(reverse("logout"))
    assert come_back(client, address).status_code == 400
    assert not is_in(client)


def test_an_attempt_runs_out(alice, client):
    address = go_out(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert come_back(client, address).status_code == 400


def test_a_code_of_another_attempt_opens_nothing(alice, client):
    """The code is bound to the verifier of the browser that asked for it (PKCE)."""
    stolen = parse_qs(urlsplit(go_out(Client())).query)["code"][0]
    state = parse_qs(urlsplit(go_out(client)).query)["state"][0]

    answer = client.get(BACK, {"code": stolen, "state": state})

    assert PROVES_NOTHING in answer.text
    assert not is_in(client)


def test_who_goes_back_reads_that_and_can_begin_again(alice, client):
    state = parse_qs(urlsplit(go_out(client)).query)["state"][0]
    answer = client.get(BACK, {"error": "access_denied", "state": state})

    assert answer.status_code == 403
    assert "You went back" in answer.text
    assert BEGIN in answer.text


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (302, {}),
        (200, b"<html>"),
        (200, []),
        (200, b"{" + b" " * 1_000_001 + b"}"),
        (200, {"issuer": "https://evil.example"}),
        (200, {"issuer": "ours"}),
    ],
    ids=["500", "302", "html", "list", "endless", "another issuer", "no addresses"],
)
def test_a_provider_that_is_none_is_said_to_be_away(provider, client, answer):
    status, body = answer
    if isinstance(body, dict) and body.get("issuer") == "ours":
        body = {"issuer": provider.issuer}
    provider.answers["/.well-known/openid-configuration"] = (status, body)

    page = client.get(BEGIN)

    assert page.status_code == 503
    assert "does not answer" in page.text
    assert reverse("login") in page.text


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        ("/token", (500, {}), 503),
        ("/token", (200, b"access_token=x"), 503),
        ("/token", (401, {"error": "invalid_client"}), 400),
        ("/token", (200, {}), 400),
        ("/token", (200, {"id_token": "a.b.c"}), 400),
        ("/token", (200, {"id_token": {"a": 1}}), 400),
        ("/keys", (503, b""), 503),
        ("/keys", (200, {}), 400),
        ("/keys", (200, {"keys": "none"}), 400),
        ("/keys", (200, {"keys": [{"kty": "RSA", "kid": "k1"}]}), 400),
        ("/keys", (200, {"keys": [{"kty": "oct", "kid": "k1", "k": "eA"}]}), 400),
    ],
)
def test_whatever_the_provider_answers_it_is_a_page(alice, provider, client, path, answer, status):
    provider.answers[path] = answer
    page = sign_in(client)

    assert page.status_code == status
    assert "You are not signed in" in page.text
    assert not is_in(client)


def test_while_the_provider_is_down_the_password_still_signs_in(alice, provider, client):
    address = go_out(client)
    provider.close()

    assert come_back(client, address).status_code == 503
    assert "Sign in with Acme" in client.get(reverse("login")).text
    password(client, alice)
    assert is_in(client)


def test_a_provider_that_never_began_to_answer_does_not_hold_the_page(settings, client):
    settings.PORTAL_OIDC = {
        "issuer": "http://127.0.0.1:9", "client": "x", "secret": "", "name": "Acme",
    }  # fmt: skip
    began = time.monotonic()
    assert client.get(BEGIN).status_code == 503
    assert time.monotonic() - began < 5


def test_the_second_factor_is_asked_for_whoever_says_who_it_is(alice, client, settings):
    settings.PORTAL_REQUIRE_MFA = True
    sign_in(client)
    assert client.get(reverse("today"))["Location"] == reverse("mfa_index")
    _, codes = set_up(client)
    assert is_in(client)

    other = Client()
    assert sign_in(other)["Location"] == reverse("mfa_authenticate")
    assert other.get(reverse("today")).status_code == 302
    other.post(reverse("mfa_authenticate"), {"code": codes[0]})
    assert is_in(other)


def test_who_is_signed_in_as_somebody_else_becomes_who_the_provider_says(alice, client):
    client.force_login(make_user("Ben"))
    sign_in(client)
    assert "Alice" in client.get(reverse("accounts:account")).text


def test_nothing_of_the_tokens_is_kept_or_logged(alice, provider, client, caplog):
    caplog.set_level(logging.DEBUG, logger="apps")
    provider.claims = {"nonce": "another"}
    address = go_out(client)
    come_back(client, address)
    provider.claims = {}
    sign_in(client)

    code = parse_qs(urlsplit(address).query)["code"][0]
    said = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("apps"))
    assert "answers another attempt" in said
    assert code not in said
    kept = str(dict(client.session))
    assert "eyJ" not in kept
    assert "opaque" not in kept


def test_one_address_asks_the_provider_only_so_often(provider, client):
    answers = [client.get(BEGIN).status_code for _ in range(31)]
    assert answers[-1] == 429
    assert answers[0] == 302
    assert provider.asked == ["/.well-known/openid-configuration"]  # remembered for some minutes


def test_next_stays_within_the_portal(alice, client):
    assert sign_in(client, next="https://evil.example/")["Location"] == reverse("today")


def test_without_settings_there_is_none(client):
    assert client.get(BEGIN).status_code == 404
    assert client.get(BACK).status_code == 404
    assert BEGIN not in client.get(reverse("login")).text
