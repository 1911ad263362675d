"""Stored markup is inert: whatever text anybody stored, no page makes an element of it."""

import json
from email import message_from_bytes
from email.policy import default

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, models
from django.test import Client

from apps.outreach import mail
from apps.outreach.models import Outreach
from apps.statuspage import jobs
from tests.access.pages import Page
from tests.access.test_table import rows_of
from tests.access.world import make_access_world
from tests.factories import NOW

pytestmark = pytest.mark.django_db

MARK = "xqz"  # what we look for
MARKUP = (
    f"<script>{MARK}(1)</script>\"'><img src=x onerror={MARK}(1)>"
    f'<a href="javascript:{MARK}(1)">x</a>[x](javascript:{MARK}(1)) {{{{ 7|add:7 }}}}'
)
#: Columns that hold a word of ours, not text of somebody's.
OURS = {"state", "kind", "dimension", "role", "purpose", "grade", "slug", "email", "password", "code"} | {
    "visibility", "fault", "language", "time_zone", "content_hash", "message_id", "method", "pattern", "path",
    "sha256", "content_sha256", "window_zone", "window_start", "batch_id", "chain_before", "chain_after",
    "delivery", "digest", "prefix", "attribute", "currency",
}  # fmt: skip


def poison() -> int:
    """Put the markup into every text column of every row, past every form; return how many columns."""
    columns = 0
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # append-only tables too
        for model in apps.get_models():
            if not model.__module__.startswith("apps."):
                continue
            table = model._meta.db_table
            for column in model._meta.local_concrete_fields:
                if column.name in OURS or column.unique or column.choices:
                    continue
                if isinstance(column, models.CharField | models.TextField):
                    text = MARKUP[: column.max_length] if column.max_length else MARKUP
                    cursor.execute(f'UPDATE "{table}" SET "{column.column}" = %s', [text])  # noqa: S608
                    columns += 1
                elif column.name == "story":
                    story = json.dumps([MARKUP])
                    cursor.execute(f'UPDATE "{table}" SET story = %s', [story])  # noqa: S608
                    columns += 1
        cursor.execute("SET session_replication_role = DEFAULT")
    return columns


def assert_inert(text: str, where: str) -> None:
    for tag, attributes in Page(text).elements:
        assert tag != "script" or "src" in attributes, where
        assert attributes.get("src") != "x", where
        for name, value in attributes.items():
            assert not name.startswith("on"), (where, name)
            assert not value.lower().strip().startswith("javascript:"), (where, name)
            assert MARK not in name, (where, name)
    assert f"<script>{MARK}" not in text, where


@pytest.fixture
def world():
    made = make_access_world()
    assert poison() > 40
    return made


@pytest.mark.parametrize("who", ["Bob", "Amy", "Ada"])
def test_no_page_of_django_makes_elements_of_stored_text(world, who):
    client = Client()
    client.force_login(world.people[who])
    shown = 0
    for path, _ in rows_of("GET"):
        answer = client.get(path.format(**world.names))
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            assert_inert(answer.text, path)
            shown += MARK in answer.text
    assert shown >= {"Bob": 1, "Amy": 10, "Ada": 20}[who]


def test_no_rendered_page_makes_elements_of_stored_text(world):
    jobs.render_pages(now=NOW)

    pages = [path for path in settings.STATUS_DIR.rglob("*.html") if path.is_file()]

    assert any(MARK in path.read_text() for path in pages)
    for path in pages:
        assert_inert(path.read_text(), path.name)


def test_no_mail_makes_elements_or_headers_of_stored_text(world):
    outreach = Outreach.objects.select_related("incident", "customer__account_manager").get()
    text = mail.render_html(outreach, greeting=mail.greeting_for(MARKUP))

    assert MARK in text
    assert_inert(text, "mail")
    skeleton = mail.Skeleton.of(outreach)
    found = message_from_bytes(b"Subject: " + skeleton.subject.encode() + b"\n\n", policy=default)
    assert found.keys() == ["Subject"]
