"""Stored markup is inert: whatever text anybody stored, no page makes an element of it."""

import csv
import json
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.test import Client

from apps.analytics.results import Fact
from apps.outreach import mail
from apps.outreach.models import Outreach, Picture
from apps.statuspage import jobs
from tests.access.pages import Page
from tests.access.test_table import rows_of
from tests.access.world import make_access_world
from tests.factories import NOW

pytestmark = pytest.mark.django_db

MARK = "xqz"  # what we look for
#: A formula for a spreadsheet, elements, a script's address, sums for two sorts of template, a turn of the script.
MARKUP = (
    f"=1+1<script>{MARK}(1)</script>\"'><img src=x onerror={MARK}(1)>"
    f'<a href="javascript:{MARK}(1)">x</a>[x](javascript:{MARK}(1)) {{{{ 1337|add:7 }}}} ${{1337*7}} \u202e'
)
SUMS = ("1344", "9359")  # what the templates would make of it
LONG = MARKUP + "x" * 10_000
#: Columns that hold a word of ours, not text of somebody's; every other column of text gets the markup. So do columns
#: with choices not, and SlugFields: they stand in addresses, which take nothing else.
OURS = {
    "accounts.ApiKey": {"prefix", "digest", "scopes"},
    "accounts.AuditCheck": {"digest"},
    "accounts.AuditEvent": {"digest"},
    "accounts.AuditHead": {"digest"},
    "accounts.User": {"password"},
    "accounts.UserSession": {"session_key"},
    "catalog.Operation": {"method"},
    "catalog.RefusedPattern": {"method"},
    "catalog.Journey": {"currency"},
    "customers.Contact": {"language", "time_zone"},
    "customers.Customer": {"language", "time_zone"},
    "customers.CustomerImport": {"counts"},
    "customers.CustomerImportLine": {"outcome"},
    "customers.CustomerJourney": {"currency"},
    "guidance.Advice": {"code"},
    "impact.CustomerImpact": {"grade"},
    "impact.Gap": {"code", "customers"},
    "impact.ImpactSnapshot": {"carries", "method", "overall"},
    "incidents.IncidentRun": {"proposals"},
    "incidents.SystemCount": {"customers"},
    "outreach.Approval": {"content_hash"},
    "outreach.Picture": {"key"},
    "outreach.Delivery": {"content_hash", "message_id"},
    "telemetry.Batch": {"batch_id", "chain_before", "chain_after", "delivery", "reasons", "tally", "format"},
    "telemetry.Erasure": {"actors", "addresses"},
    "telemetry.Segment": {"path", "sha256"},
    "telemetry.Sender": {"format"},
    "tenets.Clause": {"op", "unit", "window_zone", "window_start"},
    "tenets.TenetVersion": {"content_sha256"},
}  # fmt: skip
#: What JSON looks like that somebody's text gets into, where the world's rows have none.
SAMPLES = {
    "accounts.AuditEvent.before": {"name": MARKUP, MARKUP: MARKUP},
    "accounts.AuditEvent.after": {"name": [MARKUP], MARKUP: MARKUP},
    "telemetry.Batch.samples": [{"line": 1, "reason": MARKUP, "excerpt": MARKUP}],
    "telemetry.TraitSet.traits": {MARKUP: MARKUP},
    "telemetry.UnnamedGroups.groups": [[1, MARKUP, 7]],
    "tenets.TenetVersion.extra": {MARKUP: MARKUP},
}
#: Facts of a story, whose words are made when it is read: names of journeys, customers and promises get into them.
WINDOW = {"from": "2026-11-22T10:04:00Z", "to": "2026-11-22T10:30:00Z", "consumers": False}
ADDED = {
    "impact.ImpactSnapshot.result": {
        "facts": [
            Fact("nothing_seen", "requests.total", detail=WINDOW).as_json(),
            Fact("value", MARKUP, MARKUP, 9, 3, 12, score=3, detail={"currency": MARKUP}).as_json(),
            Fact("hardest", MARKUP, score=2, detail={"names": [MARKUP, MARKUP]}).as_json(),
            Fact("promises", "tenets", value=1, score=1, detail={"clauses": [MARKUP]}).as_json(),
        ]
    },
    "impact.CustomerImpact.result": {
        "facts": [
            Fact(
                "theirs_failed",
                "customers.journeys",
                who=MARKUP,
                value=7,
                detail={**WINDOW, "total": 9, "verb": MARKUP},
            ).as_json()
        ]
    },
}
#: Words in JSON that the code asks for: names of states and the like, and times.
KEPT = re.compile(r"[a-z_]*|[0-9T:.+Z-]*")


def columns_of_text() -> Iterator[tuple[type[models.Model], Any]]:
    """Every column of ours in which text, or JSON, may stand that somebody wrote."""
    for model in apps.get_models():
        if not model.__module__.startswith("apps."):
            continue
        for column in model._meta.local_concrete_fields:
            kinds = (models.CharField, models.TextField, models.JSONField, ArrayField)
            if not isinstance(column, kinds) or isinstance(column, models.SlugField):
                continue
            if column.choices or column.name in OURS.get(model._meta.label, ()):
                continue
            yield model, column


def make_any(model: type[models.Model]) -> None:
    """Make a row of a model of which the world has none, with the least in every column."""
    given = {}
    for column in model._meta.local_concrete_fields:
        if isinstance(column, models.AutoField) or column.null or column.has_default():
            continue
        if isinstance(column, models.ForeignKey):
            given[column.name] = column.related_model.objects.order_by("pk").first()
        elif isinstance(column, models.DateTimeField):
            given[column.name] = NOW
        elif isinstance(column, models.DateField):
            given[column.name] = NOW.date()
        elif isinstance(column, models.JSONField):
            given[column.name] = {}
        elif isinstance(column, ArrayField):
            given[column.name] = []
        elif column.choices:
            given[column.name] = column.choices[0][0]
        elif isinstance(column, models.CharField | models.TextField):
            given[column.name] = "x"
        else:
            given[column.name] = b"x" if isinstance(column, models.BinaryField) else 1
    model._default_manager.create(**given)


def marked(value: Any) -> Any:
    """Return JSON with the markup in the place of everybody's words."""
    if isinstance(value, dict):
        return {key: marked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [marked(one) for one in value]
    return value if not isinstance(value, str) or KEPT.fullmatch(value) else MARKUP


def poison() -> int:
    """Put the markup into every column of text of every row, past every form; return how many columns."""
    columns = list(columns_of_text())
    for model in {model for model, _ in columns}:
        if not model._default_manager.exists():
            make_any(model)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # append-only tables too
        for model, column in columns:
            for pk, value in model._default_manager.values_list("pk", column.name):
                name = f"{model._meta.label}.{column.name}"
                cursor.execute(
                    f'UPDATE "{model._meta.db_table}" SET "{column.column}" = %s'  # noqa: S608
                    f' WHERE "{model._meta.pk.column}" = %s',
                    [poisoned(name, column, pk, value), pk],
                )
        cursor.execute("SET session_replication_role = DEFAULT")
    return len(columns)


def poisoned(name: str, column: Any, pk: Any, value: Any) -> Any:
    if isinstance(column, models.JSONField):
        found = SAMPLES.get(name) or marked(value)
        if name in ADDED:
            found = {**found, **ADDED[name]}
        assert MARK in json.dumps(found), f"{name}: say in SAMPLES or OURS what stands in it"
        return json.dumps(found)
    if isinstance(column, ArrayField):
        return [MARKUP[: column.base_field.max_length]]
    if isinstance(column, models.EmailField):
        return f'"<img src=x onerror={MARK}({pk})>"@x.example'  # an address, by the standard
    return (
        f"{pk}{MARKUP}"[: column.max_length]
        if column.unique
        else (MARKUP[: column.max_length] if column.max_length else LONG)
    )


def assert_inert(text: str, where: str) -> None:
    for tag, attributes in Page(text).elements:
        assert tag != "script" or "src" in attributes, where
        assert attributes.get("src") != "x", where
        for name, value in attributes.items():
            assert not name.startswith("on"), (where, name)
            assert not value.lower().strip().startswith("javascript:"), (where, name)
            assert MARK not in name, (where, name)
    assert f"<script>{MARK}" not in text, where
    for total in SUMS:
        assert total not in text, where


@pytest.fixture
def world():
    made = make_access_world()
    assert poison() > 80
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


def test_no_cell_of_a_file_begins_a_formula(world):
    client = Client()
    client.force_login(world.people["Ada"])
    files = 0
    for path, _ in rows_of("GET"):
        answer = client.get(path.format(**world.names))
        if not answer.get("Content-Type", "").startswith("text/csv"):
            continue
        files += 1
        text = answer.getvalue().decode()
        assert MARK in text, path
        assert answer["Content-Disposition"].startswith("attachment"), path
        for row in csv.reader(text.splitlines()):
            assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t"))], path
    assert files >= 2


def test_what_is_not_a_page_is_never_taken_for_one(world):
    """JSON, CSV and YAML say what they are, and no browser guesses otherwise."""
    client = Client()
    client.force_login(world.people["Ada"])
    for path, _ in rows_of("GET"):
        answer = client.get(path.format(**world.names))
        assert answer["X-Content-Type-Options"] == "nosniff", path
        assert "Content-Security-Policy" in answer, path
        if MARK.encode() in answer.getvalue() and "text/html" not in answer["Content-Type"]:
            assert not answer["Content-Type"].startswith(("image/svg", "text/xml")), path


def test_no_rendered_page_makes_elements_of_stored_text(world):
    jobs.render_pages(now=NOW)

    pages = [path for path in settings.STATUS_DIR.rglob("*.html") if path.is_file()]

    assert any(MARK in path.read_text() for path in pages)
    for path in pages:
        assert_inert(path.read_text(), path.name)
    for path in settings.STATUS_DIR.rglob("*.json"):
        json.loads(path.read_text())


def test_no_mail_makes_elements_or_headers_of_stored_text(world):
    outreach = Outreach.objects.select_related("incident", "customer__account_manager").get()
    outreach.picture = Picture.objects.get()
    text = mail.render_html(outreach, greeting=mail.greeting_for(MARKUP), picture_at="cid:x")
    outreach.picture = None  # nobody approved that one: with it no mail is written

    assert MARK in text
    assert_inert(text, "mail")
    skeleton = mail.Skeleton.of(outreach)
    found = message_from_bytes(b"Subject: " + skeleton.subject.encode() + b"\n\n", policy=default)
    assert found.keys() == ["Subject"]
