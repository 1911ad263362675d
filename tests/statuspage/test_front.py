"""The middleware ahead of Django, asked directly, without a database."""

import gzip
import json
import time
from datetime import timedelta

import pytest
from django.conf import settings as portal
from django.test import Client

from apps.guidance.queries import known_problems
from apps.incidents.models import Incident
from apps.statuspage import cookie, jobs, pages
from tests.factories import NOW
from tests.statuspage.world import Answer, Front, publish


@pytest.fixture
def front(rendered, django_db_blocker):
    """The front, whose every query would fail the test."""
    front = Front()
    with django_db_blocker.block():
        yield front


def as_customer(pk: int, *, at: float | None = None) -> str:
    return f"{cookie.NAME}={cookie.sign(pk, now=time.time() if at is None else at)}"


def test_the_public_page(front):
    answer = front.get("/")
    assert answer.status == 200
    assert "Checkout fails for some" in answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == (
        "public, max-age=15, s-maxage=15, stale-while-revalidate=60, stale-if-error=86400"
    )
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    # Else a browser would show the page kept from before a sign-in.
    assert answer.headers["Vary"] == "Cookie, Accept-Encoding"


def test_other_public_pages(front, rendered):
    assert json.loads(front.get("/index.json").body)["incidents"]
    assert front.get("/index.json").headers["Vary"] == "Accept-Encoding"
    assert "What we said" in front.get(f"/i/{rendered.incident.reference}").text
    address = pages.style_address()
    path, _, query = address.partition("?")
    css = front.get(path, query=query)
    assert css.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in css.headers["Cache-Control"]
    assert address in front.get("/").text


def test_compressed_for_whom_it_is(front):
    plain = front.get("/")
    for accept in ("gzip", "br, gzip;q=0.5", "GZIP, deflate"):
        packed = front.get("/", accept_encoding=accept.lower())
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["ETag"] != plain.headers["ETag"]
    for accept in ("", "br", "gzip;q=0", "gzip;q=0.000", "identity"):
        assert "Content-Encoding" not in front.get("/", accept_encoding=accept).headers


def test_head_has_the_headers_and_no_body(front):
    got, head = front.get("/"), front.get("/", method="HEAD")
    assert head.body == b""
    assert head.headers == got.headers


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_what_has_not_changed_is_not_sent_again(front, form):
    first = front.get("/")
    again = front.get("/", if_none_match=form.format(first.headers["ETag"]))
    assert again.status == 304
    assert again.body == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert front.get("/", if_none_match='"other"').status == 200


def test_a_customer_gets_their_own_page(front, rendered):
    answer = front.get("/", cookie=f"theme=dark; {as_customer(rendered.acme.pk)}")
    assert "For you, Acme" in answer.text
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in answer.headers["Vary"]
    other = front.get("/", cookie=as_customer(rendered.globex.pk))
    assert "For you, Globex" in other.text
    assert "Acme" not in other.text
    # A customer without a page reads the public one.
    assert "For you" not in front.get("/", cookie=as_customer(10**17)).text


@pytest.mark.parametrize(
    "forge",
    [
        lambda t, pk: t[:-1] + ("0" if t[-1] != "0" else "1"),
        lambda t, pk: t.replace(f"{pk}.", f"{pk}0.", 1),
        lambda t, pk: ".".join([str(pk), "99999999999", *t.split(".")[2:]]),
        lambda t, pk: f"0{t}",
        lambda t, pk: t.replace(f"{pk}.", f"../{pk}.", 1),
        lambda t, pk: t.rsplit(".", 1)[0] + ".",
        lambda t, pk: t + "\x00",
        lambda t, pk: "",
        lambda t, pk: "٣" + t[1:],
        lambda t, pk: "." * 5000,
        lambda t, pk: f"{pk}.99999999999.00000000." + "0" * 64,
    ],
    ids=[
        "mac",
        "customer",
        "expiry",
        "zero",
        "path",
        "short",
        "nul",
        "empty",
        "digits",
        "dots",
        "key",
    ],
)
def test_a_forged_cookie_opens_nothing(front, rendered, forge):
    token = cookie.sign(rendered.acme.pk, now=time.time())
    assert cookie.read(token) is not None
    forged = forge(token, rendered.acme.pk)
    assert cookie.read(forged) is None
    answer = front.get("/", cookie=f"{cookie.NAME}={forged}")
    assert answer.status == 200
    assert "For you" not in answer.text


def test_a_cookie_signed_under_a_former_secret_still_opens(front, rendered, settings):
    token = as_customer(rendered.acme.pk)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one" * 10
    assert "For you, Acme" in front.get("/", cookie=token).text
    settings.SECRET_KEY_FALLBACKS = []
    assert "For you" not in front.get("/", cookie=token).text


def broken(environ, start_response):
    start_response("500 Internal Server Error", [])
    return [b"the database is down"]


def raising(environ, start_response):
    raise OSError("no more threads")


@pytest.mark.parametrize("application", [broken, raising])
def test_a_cookie_that_ran_out_opens_only_while_django_cannot_answer(
    rendered, django_db_blocker, application
):
    asked = []

    def counted(environ, start_response):
        asked.append(environ)
        return application(environ, start_response)

    with django_db_blocker.block():
        front = Front(counted)
        late = as_customer(rendered.acme.pk, at=time.time() - cookie.LIFE - 60)
        for _ in range(3):
            assert "For you, Acme" in front.get("/", cookie=late).text
        assert len(asked) == 1  # then it is left alone for a while
        gone = as_customer(rendered.acme.pk, at=time.time() - cookie.LIFE - cookie.GRACE - 1)
        assert "For you" not in Front(counted).get("/", cookie=gone).text


def test_django_renews_a_cookie_that_ran_out(rendered):
    def renews(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "status_for=new")])
        return [b"renewed"]

    late = as_customer(rendered.acme.pk, at=time.time() - cookie.LIFE - 60)
    answer = Front(renews).get("/", cookie=late)
    assert answer.body == b"renewed"
    assert answer.headers["Set-Cookie"] == "status_for=new"
    assert Front(renews).get("/", cookie="sessionid=abc").body == b"renewed"
    assert b"renewed" not in Front(renews).get("/", cookie="theme=dark").body


def test_only_so_many_wait_for_django(rendered):
    front = Front(broken)
    held = [front.wsgi._asking.acquire(blocking=False) for _ in range(2)]
    assert all(held)
    answer = Front.get(front, "/", cookie="sessionid=abc")
    assert "Checkout fails for some" in answer.text
    assert front.wsgi._ask_again_at == 0.0  # it was not asked


def test_everything_else_is_djangos(rendered):
    def django(environ, start_response):
        start_response("404 Not Found", [])
        return [b"django"]

    front = Front(django)
    for path in (
        "/console/",
        "/i/INC-999999",
        "/i/../index",
        "/i/INC-1.html",
        "/i/INC-1\n",
        "/index.html",
        "/manifest.json",
        f"/customers/{rendered.acme.pk}.html",
        "/static/../secret",
        "//",
        "",
    ):
        assert front.get(path).body == b"django", path
    assert front.get("/", method="POST").body == b"django"


def test_before_the_first_render_it_says_so(settings, tmp_path, django_db_blocker):
    with django_db_blocker.block():
        answer = Front().get("/")
        assert answer.status == 200
        assert "Nothing has been published here yet." in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        assert Front().get("/status.css").status == 200


def test_a_page_that_nobody_renews_says_so_by_itself(rendered, django_db_blocker, time_machine):
    with django_db_blocker.block():
        front = Front()
        fresh = front.get("/")
        assert "As of <time" in fresh.text
        time_machine.move_to(NOW + timedelta(minutes=5, seconds=1))
        for path, headers in (
            ("/", {}),
            ("/", {"cookie": as_customer(rendered.acme.pk)}),
            (f"/i/{rendered.incident.reference}", {}),
        ):
            stale = front.get(path, **headers)
            assert "We cannot refresh this page since" in stale.text
            assert "10:30 UTC, 22 November 2026" in stale.text
            assert "As of <time" not in stale.text
        assert front.get("/", if_none_match=fresh.headers["ETag"]).status == 200


def test_a_new_generation_shows_within_a_moment(rendered):
    front = Front()
    front.wsgi._shelf._look_every = 0
    assert "All payments work." not in front.get("/").text
    publish(rendered.incident, "All payments work.", state="resolved", at=NOW)
    jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert "All payments work." in front.get("/").text
    assert "All payments work." in front.get("/index.json").text


def test_pages_stay_when_their_files_are_lost(rendered, settings):
    import shutil

    front = Front()
    front.wsgi._shelf._look_every = 0
    front.get("/")
    shutil.rmtree(settings.STATUS_DIR)
    assert "Checkout fails for some" in front.get("/").text


def test_every_customer_is_given_their_own_words_only(front, rendered):
    """Walk every public address and every customer's page as every other customer."""
    names = {rendered.acme.pk: "Acme", rendered.globex.pk: "Globex"}
    for pk in names:
        page = front.get("/", cookie=as_customer(pk)).text
        for other, name in names.items():
            if other != pk:
                assert name not in page
    for path in ("/", "/index.json", f"/i/{rendered.incident.reference}", "/errors/502"):
        assert not any(name in front.get(path).text for name in names.values())


# ---- errors --------------------------------------------------------------------------------------


def test_error_pages_are_served_from_files(front):
    answer = front.get("/errors/502", accept="application/json", x_request_id="abc-1")
    said = json.loads(answer.body)
    assert said["code"] == "502"
    assert said["request_id"] == "abc-1"
    assert said["known"][0]["title"] == "Checkout fails for some"
    assert 30 <= said["retry_after_seconds"] <= 120
    assert front.get("/errors/502", method="HEAD").body == b""


def test_codes_of_which_nobody_wrote(front):
    assert "Something failed on our side" in front.get("/errors/599").text
    assert "Error 599" in front.get("/errors/599").text
    answer = front.get("/errors/card_declined")
    assert answer.status == 404
    assert "We have no advice on this error yet" in answer.text
    assert "card_declined" in answer.text
    for path in ("/errors/../x", "/errors/a b", "/errors/%00", "/errors/" + "9" * 61, "/errors/"):
        assert front.get(path).status == 400, path


def test_error_pages_speak_to_the_kind_of_who_is_signed_in(front, rendered):
    assert "idempotency key" not in front.get("/errors/502").text
    own = front.get("/errors/502", cookie=as_customer(rendered.acme.pk))
    assert "idempotency key" in own.text
    asked = front.get("/errors/502", query="kind=consumers", cookie=as_customer(rendered.acme.pk))
    assert "idempotency key" not in asked.text


def test_before_the_first_render_django_answers(settings):
    def django(environ, start_response):
        start_response("200 OK", [])
        return [b"django"]

    assert Front(django).get("/errors/502").body == b"django"


def test_files_and_django_give_the_same_error_page(rendered, client: Client):
    assert known_problems()
    wait = {"retry_after_seconds"}
    for code in ("502", "429", "599", "unheard_of"):
        for kind in ("", "business", "internal", "consumers"):
            ours = Front().get(f"/errors/{code}", query=f"format=json&kind={kind}")
            theirs = client.get(f"/errors/{code}?format=json&kind={kind}")
            assert ours.status == theirs.status_code
            a, b = json.loads(ours.body), theirs.json()
            assert {k: v for k, v in a.items() if k not in wait} == {
                k: v for k, v in b.items() if k not in wait
            }
            names = {name for name in ours.headers if name != "Content-Length"}
            assert names <= set(theirs.headers)


# ---- static files --------------------------------------------------------------------------------


def test_static_files(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "static"
    (settings.STATIC_ROOT / "css").mkdir(parents=True)
    (tmp_path / "secret.css").write_text("secret")
    (settings.STATIC_ROOT / "css/a.0123456789ab.css").write_text("a{}")
    (settings.STATIC_ROOT / "css/a.css").write_text("a{}")
    (settings.STATIC_ROOT / "css/out.css").symlink_to(tmp_path / "secret.css")
    (settings.STATIC_ROOT / ".env").write_text("secret")

    def django(environ, start_response):
        start_response("404 Not Found", [])
        return [b"django"]

    front = Front(django)
    hashed = front.get("/static/css/a.0123456789ab.css")
    assert hashed.body == b"a{}"
    assert "immutable" in hashed.headers["Cache-Control"]
    assert hashed.headers["Content-Type"] == "text/css; charset=utf-8"
    plain = front.get("/static/css/a.css")
    assert plain.headers["Cache-Control"] == "public, max-age=60"
    assert front.get("/static/css/a.css", if_none_match=plain.headers["ETag"]).status == 304
    (settings.STATIC_ROOT / "css/a.css").write_text("a{color:red}")
    assert front.get("/static/css/a.css").body == b"a{color:red}"
    for path in (
        "/static/../secret.css",
        "/static/css/../../secret.css",
        "/static/css/..%2f..%2fsecret.css",
        "/static//etc/passwd",
        "/static/css/out.css",
        "/static/.env",
        "/static/css",
        "/static/css/",
        "/static/",
        "/static/a\x00.css",
        "/static/" + "a/" * 300,
    ):
        assert front.get(path).body == b"django", path


def test_on_https_plain_requests_are_sent_there_by_django(rendered, settings):
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 3600

    def django(environ, start_response):
        start_response("301 Moved", [])
        return [b""]

    front = Front(django)
    assert front.get("/").status == 301
    answer: Answer = front.get("/", x_forwarded_proto="https")
    assert answer.status == 200
    assert "max-age=3600" in answer.headers["Strict-Transport-Security"]


def test_the_portal_is_behind_it():
    from portal.wsgi import application

    assert type(application).__name__ == "Front"
    assert portal.WSGI_APPLICATION == "portal.wsgi.application"
    assert Incident is not None
