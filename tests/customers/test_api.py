"""Customers for programs: keys, pages, tags of state, and bodies that are read as lines are."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import ApiKey, AuditEvent
from apps.customers.models import Contact, Customer
from tests.factories import make_contact, make_customer

pytestmark = pytest.mark.django_db
URL = "/api/v1/customers"


@pytest.fixture
def ask(client):
    tokens = {
        scope: ApiKey.objects.issue(name=scope, scopes=[scope])[1]
        for scope in ("read", "manage", "ingest")
    }

    def ask(method, path="", body=None, *, scope="manage", **headers):
        token = tokens.get(scope)
        raw = (
            body
            if isinstance(body, bytes)
            else json.dumps(body).encode()
            if body is not None
            else b""
        )
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return client.generic(
            method, URL + path, raw, content_type="application/json", headers=headers
        )

    return ask


def test_only_keys_that_may(ask):
    for scope in ("none", "ingest"):
        answer = ask("GET", scope=scope)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="customers"')
    assert ask("GET", scope="read").status_code == 200
    assert ask("GET", scope="manage").status_code == 200
    assert ask("POST", body={}, scope="read").status_code == 401
    assert ask("PUT", "/a", {}, scope="read").status_code == 401
    assert ask("POST", "/import", b"external_id\n", scope="read").status_code == 401
    assert ask("DELETE").status_code == 405
    assert ask("GET", Accept="text/html").status_code == 200


def test_put_makes_then_changes_nothing_then_changes_what_is_named(ask):
    body = {
        "name": "Acme", "kind": "business", "tags": ["gold", "eu"], "bears_error_share": 0.001,
        "bears_outage_minutes": 5,
        "contacts": [{"email": "jo@acme.example", "name": "Jo"}],
        "rules": [{"attribute": "api_key", "value": "k"}],
        "journeys": [{"journey": "buy", "value": 9.9, "currency": "EUR"}],
    }  # fmt: skip

    made = ask("PUT", "/a-1", body)
    again = ask("PUT", "/a-1", body)

    assert (made.status_code, again.status_code) == (201, 200), made.text
    assert made["ETag"] == again["ETag"]
    told = again.json()
    assert (told["external_id"], told["tags"], told["bears_error_share"]) == (
        "a-1",
        ["eu", "gold"],
        "0.001000",
    )
    assert told["contacts"][0]["email"] == "jo@acme.example"
    assert told["journeys"] == [{"journey": "buy", "value": "9.90", "currency": "EUR", "note": ""}]
    events = AuditEvent.objects.filter(action="customers.import").count()
    assert events == 1
    changed = ask("PUT", "/a-1", {"notes": "x"}, **{"If-Match": made["ETag"]})
    assert changed.status_code == 200
    assert changed.json()["name"] == "Acme"
    assert ask("PUT", "/a-1", {"notes": "y"}, **{"If-Match": made["ETag"]}).status_code == 412
    read = ask("GET", "/a-1")
    assert ask("GET", "/a-1", **{"If-None-Match": read["ETag"]}).status_code == 304
    assert ask("PUT", "/a-1", read.json()).json() == read.json()


def test_a_bad_body_changes_nothing_and_names_the_place(ask):
    answer = ask("PUT", "/a", {"name": "A", "kind": "business", "contacts": [{"email": "nobody"}]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["in"] == "contacts[0]"
    assert answer.json()["errors"][0]["column"] == "email"
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", b"{", 400), ("POST", "", b"[]", 400), ("POST", "", {}, 422), ("POST", "", {"external_id": 4}, 422),
        ("POST", "", {"external_id": "a", "name": "x", "colour": 1}, 422),
        ("POST", "", {"external_id": "a", "contacts": [1]}, 422),
        ("POST", "", {"external_id": "a", "name": {"x": 1}}, 422),
        ("PUT", "/b", {"external_id": "a"}, 422), ("PUT", "/b", {"name": "\0"}, 422), ("GET", "/nobody", None, 404),
        ("GET", "?cursor=!!", None, 400), ("GET", "?cursor=%C3%A9", None, 400), ("GET", "?limit=0", None, 400),
        ("GET", "?limit=٣", None, 200), ("POST", "/import", b"", 422), ("POST", "/import", b"colour\n", 422),
        ("GET", "/a%00b", None, 404), ("POST", "", b"x" * (2**20 + 1), 413),
    ],
)  # fmt: skip
def test_what_cannot_be_is_answered_in_one_form(ask, method, path, body, status):
    answer = ask(method, path, body)

    assert answer.status_code == status, answer.text
    if status != 200:
        assert {"code", "message", "hint"} == set(answer.json()["error"])


def test_post_makes_once(ask):
    body = {"external_id": "a/b", "name": "Acme", "kind": "business"}

    made = ask("POST", "", body)

    assert made.status_code == 201
    assert made["Location"].endswith("/a/b")
    assert ask("GET", "/a/b").json()["name"] == "Acme"
    assert ask("POST", "", body).status_code == 409


def test_pages_by_cursor(ask, django_assert_max_num_queries):
    for number in range(7):
        make_contact(make_customer(f"C{number}", external_id=f"c{number}"), f"Jo {number}")
    seen, cursor = [], ""
    while cursor is not None:
        with django_assert_max_num_queries(9):
            page = ask("GET", f"?limit=3&cursor={cursor}", scope="read").json()
        seen += [one["external_id"] for one in page["customers"]]
        cursor = page["next"]

    assert seen == [f"c{number}" for number in range(7)]


def test_import_dry_and_then_for_good(ask):
    raw = b"record,external_id,name,kind,email\ncustomer,a,Acme,business,\ncontact,a,Jo,,jo@a.example\ncustomer,b,,,\n"

    dry = ask("POST", "/import?dry_run=1", raw).json()
    assert dry["counts"] == {"new": 2, "changed": 0, "same": 0, "bad": 1}
    assert dry["errors"][0]["line"] == 4
    assert len(dry["lines"]) == 2
    assert not Customer.objects.exists()
    done = ask("POST", "/import", raw).json()
    assert done["counts"] == dry["counts"]
    assert Contact.objects.count() == 1
    assert ask("POST", "/import", raw).json()["counts"]["same"] == 2


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(
        st.sampled_from(["name", "kind", "email", "tags", "contacts", "rules", "journeys", "value", "attribute"]),
        inner, max_size=4)),
    max_leaves=8,
)  # fmt: skip


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None
)
@given(body=JSON)
def test_no_body_breaks_it(ask, body):
    answer = ask("PUT", "/a", body)

    assert answer.status_code in {200, 201, 400, 422}
