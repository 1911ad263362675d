"""Whatever is typed into any form of the console: an answer in words, never a 500."""

import re

import pytest
from django.db import transaction
from django.test import Client

from tests.access.pages import Page
from tests.access.test_table import rows_of
from tests.access.world import make_access_world

pytestmark = pytest.mark.django_db

GARBAGE: list[object] = [
    "\0",
    "x" * 100_000,
    "-1",
    "9" * 30,
    "9" * 5_000,
    "²",
    "1e400",
    "2026-02-30T99:99",
    "0001-01-01T00:00",
    "9999-12-31T23:59",
    "<script>alert(1)</script>\"'",
    ["1", "\0", "x", "9" * 5_000],
]
# What has broken a field on its own; the rest is typed into all fields of a form at once.
ALONE = [
    value for value in GARBAGE if value == "\0" or isinstance(value, list) or len(value) > 4_000
]
# An address tells fewer of these apart than a field does: a number too large, a word, a time, a sign.
IN_ADDRESSES = [
    value
    for value in GARBAGE
    if value not in ("-1", "1e400", "9" * 5_000, "2026-02-30T99:99", "0001-01-01T00:00")
]


@pytest.fixture
def world():
    return make_access_world()


def forms(client: Client, world) -> dict[tuple[str, tuple[str, ...]], dict[str, object]]:
    """Return every form of every page that this client may open: (address, names) -> values."""
    found = {}
    for path, _ in rows_of("GET"):
        address = path.format(**world.names)
        answer = client.get(address)
        if answer.status_code != 200 or "text/html" not in answer["Content-Type"]:
            continue
        for form in Page(answer.text).forms:
            if form.method == "post" and "sign-" not in form.action:
                found[(form.action or address, tuple(form.fields))] = dict(form.fields)
    return found


def type_in(client: Client, address: str, values: dict[str, object]):
    """Send a form; whatever it changes is taken back."""
    with transaction.atomic():
        answer = client.post(address, values, headers={"Sec-Fetch-Site": "same-origin"})
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("who", ["Ada", "Bob"])
def test_garbage_in_any_field_is_refused_or_taken_but_breaks_nothing(world, who):
    client = Client(raise_request_exception=False)
    client.force_login(world.people[who])
    found = forms(client, world)
    assert found
    typed_alone: set[frozenset[str]] = set()
    for (address, names), fields in found.items():
        if not names or "/leave/" in address:
            continue
        # of a field in many lines of a form, one is enough, and of a form at several addresses
        single = {re.sub(r"\d+", "0", name): name for name in names}
        tries = []
        if frozenset(single) not in typed_alone:
            tries = [{name: value} for name in single.values() for value in ALONE]
            typed_alone.add(frozenset(single))
        tries += [dict.fromkeys(names, value) for value in GARBAGE]
        for typed in tries:
            answer = type_in(client, address, {**fields, **typed})
            if "/sign-in/" in answer.get(
                "Location", ""
            ):  # what was typed before had signed them out
                client.force_login(world.people[who])
                answer = type_in(client, address, {**fields, **typed})
            assert answer.status_code < 500, (address, str(typed)[:200])
            if "/console/" in address:
                assert "/sign-in/" not in answer.get("Location", ""), address


@pytest.mark.parametrize("value", IN_ADDRESSES, ids=range(len(IN_ADDRESSES)))
def test_garbage_in_any_address_and_query(world, value):
    client = Client(raise_request_exception=False)
    client.force_login(world.people["Ada"])
    word = str(value)[:3_000]
    for path, _ in rows_of("GET"):
        address = path.format(**world.names)
        names = ("q", "page", "tab", "kind", "manager", "from", "to", "show", "state", "next", "v")
        answer = client.get(address, dict.fromkeys(names, word))
        assert answer.status_code < 500, address
        answer = client.get(path.format(**dict.fromkeys(world.names, "9" * 18)))
        assert answer.status_code < 500, path
