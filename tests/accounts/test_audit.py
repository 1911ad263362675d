"""The audit log on its page: read, filtered, taken along, checked."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.urls import reverse

from apps.accounts.models import AuditEvent
from tests.accounts.test_chain import behind_its_back, commit
from tests.factories import NOW, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return make_user("Ada", role="admin")


@pytest.fixture
def console(ada, client):
    client.force_login(ada)
    return client


@pytest.fixture
def log(ada):
    ben = make_user("Ben", role="liaison")
    for number, who in enumerate([ada, ben, None]):
        AuditEvent.note(
            at=NOW + timedelta(days=number),
            user=who,
            action=f"thing.{number}",
            target=f"thing:{number}",
            before={"name": "=1+1", "kept": 1},
            after={"name": "new", "kept": 1},
        )
    commit()


def found(console, **query):
    page = console.get(reverse("accounts:audit"), query).context["page"]
    return [event.action for event in page.object_list]


def test_the_log_is_filtered_by_person_action_target_and_days(console, log):
    assert found(console) == ["thing.2", "thing.1", "thing.0"]
    assert found(console, q="ben@") == ["thing.1"]
    assert found(console, action="thing.0") == ["thing.0"]
    assert found(console, target="THING:2") == ["thing.2"]
    assert found(console, since="2026-11-23") == ["thing.2", "thing.1"]
    assert found(console, until="2026-11-23") == ["thing.1", "thing.0"]
    assert found(console, since="2026-11-23", until="2026-11-23", q="ben") == ["thing.1"]
    assert found(console, since="nonsense", until="9999-12-31", page="x") == found(console)


def test_a_line_shows_what_changed_and_from_where(console):
    vic = make_user("Vic", role="viewer")
    agent = "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36"
    console.post(
        reverse("accounts:role", args=[vic.pk]),
        {"role": "lead"},
        headers={"User-Agent": agent},
        REMOTE_ADDR="192.0.2.9",
    )
    event = AuditEvent.objects.get()
    assert (event.address, event.agent) == ("192.0.2.9", agent)

    page = console.get(reverse("accounts:audit")).text

    assert "<del><span" in page
    assert "viewer</del>" in page
    assert "lead</ins>" in page
    assert "192.0.2.9" in page
    assert "Chrome on Windows" in page
    assert f'href="{reverse("accounts:person", args=[vic.pk])}">Vic</a>' in page


def test_an_address_that_is_none_is_not_kept(console):
    vic = make_user("Vic", role="viewer")
    console.post(reverse("accounts:deactivate", args=[vic.pk]), REMOTE_ADDR="unix:", headers={})

    assert AuditEvent.objects.get().address is None


def test_exports_hold_what_the_filter_leaves(console, log):
    answer = console.get(reverse("accounts:audit_csv"), {"q": "ada"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [row["action"] for row in rows] == ["thing.0"]
    assert rows[0]["person"] == "ada@example.com"
    assert json.loads(rows[0]["before"]) == {"name": "=1+1", "kept": 1}
    assert len(rows[0]["digest"]) == 64

    answer = console.get(reverse("accounts:audit_ndjson"))
    lines = [json.loads(line) for line in answer.getvalue().splitlines()]
    assert [line["position"] for line in lines] == [3, 2, 1]
    assert lines[0]["person"] is None
    assert lines[2]["after"] == {"name": "new", "kept": 1}


def test_no_cell_of_an_export_begins_a_formula(console):
    AuditEvent.note(at=NOW, user=None, action="@SUM(A1)", target="=cmd()", before="+1", after=-1)
    commit()

    text = console.get(reverse("accounts:audit_csv")).getvalue().decode()

    (row,) = csv.DictReader(io.StringIO(text))
    assert [row[name][0] for name in ("action", "target", "before", "after")] == ["'"] * 4


def test_exports_stream(console, ada):
    AuditEvent.objects.bulk_create(
        AuditEvent(at=NOW, user=ada, action="x", target=f"x:{number}") for number in range(5_000)
    )
    answer = console.get(reverse("accounts:audit_ndjson"))

    assert answer.streaming
    assert sum(1 for _ in answer.streaming_content) == 5_000


def test_the_page_says_whether_the_log_is_whole_and_how_that_is_known(console, log):
    assert "Not checked yet" in console.get(reverse("accounts:audit")).text

    page = console.post(reverse("accounts:check_audit"), follow=True).text
    assert "Each of the 3 rows is as it was written" in page
    assert "from this page, Ada" in page

    behind_its_back("DELETE FROM accounts_auditevent WHERE position = 2")
    page = console.post(reverse("accounts:check_audit"), follow=True).text
    assert "Row 2 is missing." in page
    assert 'role="alert"' in page
    assert "The audit log is broken" in console.get(reverse("today")).text


def test_the_log_asks_the_same_however_long_it_is(console, ada, django_assert_max_num_queries):
    def note(number):
        who = make_user(f"Who {number}")
        AuditEvent.note(at=NOW, user=ada, action="person.role", target=who)

    note(0)
    console.get(reverse("accounts:audit"))
    with django_assert_max_num_queries(12) as asked:
        console.get(reverse("accounts:audit"))
        few = len(asked)
    for number in range(1, 60):
        note(number)
    with django_assert_max_num_queries(few):
        assert "Page 2" in console.get(reverse("accounts:audit")).text
