"""From a number to the attempts under it: as many as were counted, and nobody to be made out."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from apps.accounts.models import AuditEvent
from apps.catalog.models import Operation
from apps.customers.models import Attribute, IdentificationRule
from apps.impact import jobs
from apps.impact.actions import note_attempts_seen
from apps.impact.models import ImpactSnapshot
from apps.incidents import jobs as incident_jobs
from apps.telemetry.models import Segment
from tests.factories import make_customer, make_user
from tests.incidents.world import declared, room
from tests.telemetry.test_ingest import REAL

START = datetime(2026, 11, 22, 22, 15, tzinfo=UTC)
END = START + timedelta(minutes=2)
NOW = END + timedelta(minutes=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def struck(alice):
    """An incident of a real log, one network of which is a business, and its impact."""
    acme = make_customer()
    IdentificationRule.objects.create(
        customer=acme, position=1, attribute=Attribute.NETWORK, value="203.0.113.12/30"
    )
    call_command("ingest", str(REAL / "nginx_timed.log"), stdout=StringIO(), stderr=StringIO())
    incident = declared(alice, started_at=START, ended_at=END, now=NOW)
    incident_jobs.sweep(now=NOW)
    assert jobs.run_next(clock=lambda: NOW)
    return incident


def counted():
    return ImpactSnapshot.objects.get().result["attempts"]


@pytest.mark.parametrize("outcome", ["gave_up", "first_try", "open", "retried", ""])
def test_there_are_as_many_as_were_counted(signed_in, struck, outcome):
    page = signed_in.get(room(struck, "attempts"), {"outcome": outcome}).text

    number = counted()[outcome or "total"]
    if number > 20:
        assert f"20 of {number:,}".replace(",", "\u202f") in page or f"20 of {number}" in page
        assert page.count('<tr class="attempt">') == 20
    else:
        assert page.count('<tr class="attempt">') == number
        assert f"All {number}" in page or number in (0, 1)


def test_the_room_leads_to_what_one_customer_tried(signed_in, struck):
    hit = ImpactSnapshot.objects.get().customers.get().result["attempts"]
    link = f"{room(struck, 'attempts')}?outcome=open&amp;customer=acme"
    assert f"{room(struck, 'attempts')}" in signed_in.get(room(struck)).text

    page = signed_in.get(link.replace("&amp;", "&")).text

    assert page.count('<tr class="attempt">') == min(20, hit["open"])
    assert "of Acme" in page
    assert "500" in page or "502" in page


def test_nobody_can_be_made_out(signed_in, struck):
    page = signed_in.get(room(struck, "attempts")).text

    assert "203.0.113" not in page
    assert "Mozilla" not in page
    for session in range(20):
        assert f"s{session}<" not in page
        assert f"s{session} " not in page


def test_the_same_question_has_the_same_answer(signed_in, struck):
    def articles():
        return signed_in.get(room(struck, "attempts")).text.partition('<tr class="attempt"')[2]

    assert articles().partition("</main>")[0] == articles().partition("</main>")[0]


def test_an_account_manager_sees_their_own_customers_alone(client, struck):
    amy = make_user("Amy", role="account_manager")
    client.force_login(amy)
    page = client.get(room(struck, "attempts"))
    assert page.status_code == 200
    assert '<tr class="attempt">' not in page.text
    assert client.get(room(struck, "attempts"), {"customer": "acme"}).status_code == 404


def test_a_journeys_number_leads_to_its_attempts(signed_in, struck):
    journey = max(
        ImpactSnapshot.objects.get().result["journeys"], key=lambda one: one["attempts"]["total"]
    )
    link = f"{room(struck, 'attempts')}?operation={journey['done']}"
    assert f'href="{link}"' in signed_in.get(room(struck)).text

    page = signed_in.get(link).text

    total = journey["attempts"]["total"]
    assert page.count('<tr class="attempt">') == min(20, total)
    assert f"at {Operation.objects.get(pk=journey['done']).name}" in page
    assert total < counted()["total"]


def test_what_arrived_since_is_told_with_its_gaps_and_the_numbers_stay(signed_in, struck, tmp_path):
    assert "arrived since" not in signed_in.get(room(struck, "attempts")).text
    before = counted()
    lines = (REAL / "nginx_timed.log").read_text().splitlines()
    some = next(line for line in lines if ":22:16:" in line and '" 200 ' in line)
    log = tmp_path / "late.log"
    log.write_text("".join(late(some, *one) for one in [(10, 500), (30, 500), (50, 200)]))
    call_command("ingest", str(log), stdout=StringIO(), stderr=StringIO())

    page = signed_in.get(room(struck, "attempts"), {"outcome": "retried"}).text

    assert "3 requests of this window arrived since" in page
    assert page.count('<tr class="attempt">') == before["retried"] + 1
    assert "<small>20\u00a0s later</small>" in page
    assert "<small>40\u00a0s in all</small>" in page
    assert counted() == before


def late(line, second, status):
    """The same request of somebody else, at another second and answered so."""
    line = re.sub(r":22:\d\d:\d\d ", f":22:16:{second} ", line)
    line = re.sub(r"\brt=\S+", "rt=0.000", line).replace('" 200 ', f'" {status} ')
    return re.sub(r'sid="\w+" rid=\w+', f'sid="late" rid={second:032x}\n', line)


def test_who_looked_at_whose_requests_is_noted_once_an_hour(signed_in, alice, struck):
    for _ in range(2):
        signed_in.get(room(struck, "attempts"))
        signed_in.get(room(struck, "attempts"), {"customer": "acme", "outcome": "open"})

    lines = AuditEvent.objects.filter(action="impact.attempts").order_by("pk")
    assert [(one.user_id, one.target, one.after) for one in lines] == [
        (alice.pk, f"incident:{struck.pk}", {"requests_of": "all"}),
        (alice.pk, f"incident:{struck.pk}", {"requests_of": "acme"}),
    ]
    later = lines[0].at + timedelta(hours=1)
    assert note_attempts_seen(of=struck, user=alice, customer=None, now=later)


@pytest.mark.parametrize(
    "asked",
    [
        {"outcome": "x"},
        {"customer": "nobody"},
        {"customer": "\0"},
        {"operation": "0"},
        {"operation": "x"},
    ],
)
def test_what_is_not_there_is_not_found(signed_in, struck, asked):
    assert signed_in.get(room(struck, "attempts"), asked).status_code == 404


def test_more_than_a_page_can_read_is_refused_with_its_size(signed_in, struck):
    # What follows within a day is read as well: who came back?
    segment = Segment.objects.get()
    segment.pk, segment.path, segment.rows = None, "dt=2026-11-22/hh=23/x-0.parquet", 3_000_000
    segment.save()

    page = signed_in.get(room(struck, "attempts")).text

    assert "there are 3,000,862 requests; a page reads at most 2,000,000." in page


def test_before_the_first_answer_the_page_leads_back(signed_in, incident):
    assert "Not computed yet" in signed_in.get(room(incident, "attempts")).text
