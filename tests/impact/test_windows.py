"""Windows that somebody asks for by themselves: asked, refused, computed, read, stopped."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEvent, Role
from apps.catalog.models import Service
from apps.impact import actions, jobs
from apps.impact.models import ImpactRun, RunState
from apps.telemetry import files
from tests.factories import make_customer, make_user
from tests.telemetry.test_ingest import REAL

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIRST = datetime(2026, 11, 22, 22, 14, tzinfo=UTC)
WINDOW = {"window_from": "2026-11-22T22:15:00", "window_to": "2026-11-22T22:17:00", "service": ""}


@pytest.fixture
def ada():
    return make_user("Ada", role=Role.LEAD)


@pytest.fixture
def signed_in(client, ada):
    client.force_login(ada)
    return client


@pytest.fixture
def traffic():
    files.ingest(str(REAL / "nginx_timed.log"), now=NOW)


def ask(client, **changes):
    return client.post(reverse("runs:new"), WINDOW | changes)


def test_a_window_is_asked_for_computed_and_read(signed_in, traffic):
    answer = ask(signed_in)
    run = ImpactRun.objects.get()
    address = reverse("runs:run", args=[run.pk])
    assert (answer.status_code, answer["Location"]) == (303, address)
    waiting = signed_in.get(address).content.decode()
    assert "Waiting for a worker" in waiting
    assert "hx-get" in waiting

    assert jobs.run_next(clock=lambda: NOW)

    page = signed_in.get(address)
    text = page.content.decode()
    assert (
        page.context["impact"].story[0].text in signed_in.get(reverse("runs:list")).content.decode()
    )
    assert "What these numbers stand on" in text
    assert "every 2s" not in text.partition("</header>")[2].partition("chart-frame")[0]
    assert f"started_at={run.window_from:%Y-%m-%dT%H}" in text
    assert AuditEvent.objects.filter(action="run.ask").count() == 1


def test_the_beginning_goes_on_to_the_form_of_an_incident(signed_in):
    form = signed_in.get(reverse("incidents:declare"), {"started_at": "2026-11-22T22:15:00"})
    assert "2026-11-22T22:15:00" in form.content.decode()
    assert (
        signed_in.get(reverse("incidents:declare"), {"started_at": "2026-99-99T1"}).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window_to": "2026-11-22T22:15:00"}, "The end must be after the beginning."),
        ({"window_from": "", "window_to": "soon"}, "Give a date and time"),
        ({"window_from": "2126-01-01T00:00:00", "window_to": "2126-01-01T01:00:00"}, "in the future"),
        ({"window_to": "2126-01-01T00:00:00"}, "ends in the future"),
        ({"window_from": "2020-01-01T00:00:00", "window_to": "2020-01-01T01:00:00"}, "The first event that we have"),
        ({"window_from": "2026-11-10T00:00:00"}, "7 days long"),
        ({"service": "99999"}, "valid choice"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_in_words(signed_in, traffic, changes, words):
    answer = ask(signed_in, **changes)

    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ImpactRun.objects.exists()


def test_without_any_event_it_says_what_to_do(signed_in):
    assert "There are no events yet" in ask(signed_in).content.decode()


def test_the_same_window_is_led_to_and_not_computed_twice(signed_in, traffic):
    first, second = ask(signed_in), ask(signed_in)
    assert first["Location"] == second["Location"]
    assert ImpactRun.objects.count() == 1

    jobs.run_next(clock=lambda: NOW)
    again = signed_in.post(reverse("runs:again", args=[ImpactRun.objects.get().pk]))
    assert ImpactRun.objects.count() == 2, "what is done can be asked for again"
    assert again["Location"] != first["Location"]


def test_of_one_person_only_a_few_wait(ada, traffic):
    def request(minute):
        return actions.ask_run(
            window_from=FIRST,
            window_to=FIRST + timedelta(minutes=minute),
            service=None,
            first_event=FIRST,
            user=ada,
            now=NOW,
        )

    for minute in range(1, 6):
        request(minute)
    with pytest.raises(actions.UnableToRequestRun, match="wait for a worker already"):
        request(6)
    actions.cancel_run(run=ImpactRun.objects.first(), now=NOW)
    request(6)


def test_it_can_be_stopped_and_nothing_is_kept(signed_in, traffic):
    ask(signed_in)
    run = ImpactRun.objects.get()
    cancel = reverse("runs:cancel", args=[run.pk])
    assert signed_in.get(cancel).status_code == 405
    assert signed_in.post(cancel).status_code == 303
    assert AuditEvent.objects.filter(action="run.cancel").count() == 1

    assert not jobs.run_next(clock=lambda: NOW)
    page = signed_in.get(reverse("runs:run", args=[run.pk]), follow=True).content.decode()
    assert "Nothing was kept of it." in page
    assert "It had ended already." in signed_in.post(cancel, follow=True).content.decode()
    assert AuditEvent.objects.filter(action="run.cancel").count() == 1, "it was stopped once"


def test_a_failure_says_what_to_do(signed_in, traffic):
    ask(signed_in)
    ImpactRun.objects.update(state=RunState.FAILED, error="OutOfMemory: 600 MB")
    page = signed_in.get(reverse("runs:run", args=[ImpactRun.objects.get().pk])).content.decode()
    assert "The computation came to nothing." in page
    assert "shorter window" in page


def test_an_account_manager_reads_of_their_own_customers_only(signed_in, traffic):
    ask(signed_in)
    jobs.run_next(clock=lambda: NOW)
    address = reverse("runs:run", args=[ImpactRun.objects.get().pk])
    manager = Client()
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    make_customer("Acme", account_manager=amy)
    manager.force_login(amy)

    page = manager.get(address)

    assert page.context["rows"] == []
    assert b"Compute again" not in page.content
    assert manager.post(reverse("runs:new"), WINDOW).status_code == 403


def test_runs_of_incidents_are_not_among_them(signed_in, ada, traffic):
    run = actions.request_run(
        window_from=FIRST, window_to=FIRST + timedelta(minutes=1), user=ada, now=NOW
    )
    assert signed_in.get(reverse("runs:run", args=[run.pk])).status_code == 404
    assert b"No window asked for yet" in signed_in.get(reverse("runs:list")).content


def test_the_list_asks_as_often_for_many(signed_in, ada, django_assert_max_num_queries):
    for minute in range(30):
        ImpactRun.objects.create(
            window_from=FIRST,
            window_to=FIRST + timedelta(minutes=minute + 1),
            apart=True,
            requested_by=ada,
            created_at=NOW,
        )
    with django_assert_max_num_queries(6):
        page = signed_in.get(reverse("runs:list")).content.decode()
    assert page.count("list-title") == 25


@pytest.fixture
def computed(signed_in, traffic):
    """A window that was computed, of a customer whose requests are known by where they come from."""
    make_customer("Acme")
    ask(signed_in)
    assert jobs.run_next(clock=lambda: NOW)
    return ImpactRun.objects.get()


def of(run, page, **query):
    return reverse(f"runs:{page}", args=[run.pk], query=query or None)


def test_from_its_numbers_to_the_attempts_under_them(signed_in, ada, computed):
    attempts = computed.snapshot.result["attempts"]
    page = signed_in.get(of(computed, "attempts")).text

    assert page.count('<tr class="attempt">') == min(20, attempts["total"]) > 0
    assert of(computed, "attempts") in signed_in.get(of(computed, "run")).text
    assert "throughout this window" in page
    assert f'href="{of(computed, "run")}"' in page
    line = AuditEvent.objects.get(action="impact.attempts")
    assert (line.user_id, line.target) == (ada.pk, f"impactrun:{computed.pk}")


def test_all_its_customers(signed_in, computed):
    page = signed_in.get(of(computed, "customers"))

    total = len(computed.snapshot.result["customers"])
    assert page.context["page"].paginator.count == computed.snapshot.customers.count() <= total
    assert page.status_code == 200


def test_two_answers_to_the_same_question_stand_side_by_side(signed_in, computed):
    assert "Nothing to compare yet" in signed_in.get(of(computed, "compare")).text
    assert of(computed, "compare") not in signed_in.get(of(computed, "run")).text
    signed_in.post(of(computed, "again"))
    later = ImpactRun.objects.latest("pk")
    assert later.pk != computed.pk
    assert jobs.run_next(clock=lambda: NOW + timedelta(hours=1))

    page = signed_in.get(of(later, "compare"))

    assert (page.context["before"].run_id, page.context["after"].run_id) == (computed.pk, later.pk)
    assert of(later, "compare") in signed_in.get(of(later, "run")).text
    assert "Requests" in page.text
    assert signed_in.get(of(later, "compare", before="99999")).status_code == 404


def test_what_another_window_found_is_not_shown_under_this_one(signed_in, ada, computed):
    other = actions.ask_run(
        window_from=FIRST,
        window_to=FIRST + timedelta(minutes=9),
        service=None,
        first_event=FIRST,
        user=ada,
        now=NOW,
    )
    assert jobs.run_next(clock=lambda: NOW)
    pk = other.snapshot.pk

    assert signed_in.get(of(computed, "compare", after=str(pk))).status_code == 404


@pytest.mark.parametrize("page", ["attempts", "customers", "compare"])
def test_before_it_is_computed_its_pages_say_so(signed_in, traffic, page):
    ask(signed_in)
    answer = signed_in.get(of(ImpactRun.objects.get(), page))
    assert answer.status_code == 200
    assert "Back to the window" in answer.text


def test_its_page_asks_as_often_whatever_it_found(
    signed_in, computed, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        signed_in.get(of(computed, "run"))
    with django_assert_max_num_queries(9):
        signed_in.get(of(computed, "compare"))
    with django_assert_max_num_queries(9):
        signed_in.get(of(computed, "customers"))


def test_the_way_to_an_incident_takes_the_service_along(signed_in, ada, traffic):
    service = Service.objects.first()
    Service.objects.update(proposed=False)
    ask(signed_in, service=str(service.pk))
    assert jobs.run_next(clock=lambda: NOW)
    run = ImpactRun.objects.get()

    page = signed_in.get(of(run, "run"))

    assert f"services={service.pk}" in page.context["declare"]
    form = signed_in.get(page.context["declare"]).text
    assert re.search(rf'value="{service.pk}"[^>]* checked', form)
    assert signed_in.get(reverse("incidents:declare", query={"services": "x"})).status_code == 200
