"""Keys of machines: issued once, scoped, revocable."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import ApiKey
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", *arguments, stdout=out)
    return out.getvalue().strip()


def test_a_key_is_shown_once_and_kept_hashed():
    token = run("issue", "edge")

    assert token not in str(ApiKey.objects.values())
    assert ApiKey.objects.authenticate(token, scope="ingest", now=NOW)
    assert token not in run("list")


def test_a_key_does_only_what_its_scope_says():
    token = run("issue", "edge")

    assert ApiKey.objects.authenticate(token, scope="manage", now=NOW) is None
    assert ApiKey.objects.authenticate(token + "x", scope="ingest", now=NOW) is None


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "two\nlines"])
def test_a_key_has_a_name_that_a_list_can_show(name):
    with pytest.raises(CommandError, match="1 to 200 characters"):
        run("issue", name)
    assert run("list") == ""


def test_a_revoked_key_is_refused():
    token = run("issue", "edge")
    run("revoke", token[:8])

    assert ApiKey.objects.authenticate(token, scope="ingest", now=NOW) is None
    with pytest.raises(CommandError, match="No live key"):
        run("revoke", token[:8])
