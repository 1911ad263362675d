"""What the worker does about incidents: taking note of snapshots once, and asking for fresh ones."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from apps.impact.models import ImpactRun, ImpactSnapshot, RunState
from apps.incidents import actions, jobs, queries, severity
from apps.incidents.models import Incident, IncidentRun, State, TimelineEvent
from apps.outreach import queries as outreach
from tests.factories import NOW, make_incident, make_user
from tests.incidents.world import declared, drafted, finish, finish_all

pytestmark = pytest.mark.django_db

RESULT = {
    "requests": {"total": 480, "failed": 60},
    "attempts": {"total": 412, "gave_up": 32},
    "people": {"gave_up": 31},
    "actors": {"total": 410, "hit": 51},
    "customers": [
        {
            "name": "Acme",
            "kind": "business",
            "grade": "hit",
            "attempts": {"total": 412, "gave_up": 32, "cannot_tell": 0},
            "requests": {"total": 480, "failed": 60},
            "actors": {"total": 410, "hit": 51},
            "outage": None,
        }
    ],
}


@pytest.fixture
def incident():
    return declared(make_user())


def notes(kind):
    return list(TimelineEvent.objects.filter(kind=kind).values_list("text", flat=True))


def test_takes_note_of_a_snapshot_once(incident):
    snapshot = finish(incident.runs.get().run, RESULT)
    jobs.sweep(now=NOW)
    jobs.sweep(now=NOW)
    row = incident.severities.get()
    assert (row.kind, row.level, row.snapshot) == ("business", 2, snapshot)
    assert notes("snapshot") == [f"Snapshot #{snapshot.pk}: 31 people gave up"]
    assert notes("severity") == [
        "Severity 2 proposed for businesses: 32 of 412 attempts (8 %) did not get through"
    ]
    assert incident.runs.get().settled_at == NOW


def test_the_room_says_the_same_of_severities_before_and_after_a_snapshot_is_taken_note_of(
    incident,
):
    alice = incident.declared_by
    incident.severities.create(kind="business", level=4, reason="r", confirmed_by=alice)
    finish_all(incident, RESULT)

    def measured():
        shown = queries.room(incident=incident, user=alice, now=NOW)
        return [(row.kind, row.measured) for row in shown.severities]

    before = measured()
    reason = "32 of 412 attempts (8 %) did not get through; 51 of 410 people met a failure"
    assert before == [("business", severity.Proposal(level=2, reason=reason))]
    jobs.settle_all(now=NOW)
    assert incident.runs.get().proposals == {"business": [2, reason]}
    assert measured() == before


def test_what_pages_read_of_a_snapshot_is_all_of_it_but_customers(incident):
    snapshot = finish(incident.runs.get().run, RESULT)
    rest = {key: value for key, value in RESULT.items() if key != "customers"}
    assert ImpactSnapshot.objects.values_list("overall", flat=True).get(pk=snapshot.pk) == rest


def test_the_same_finding_is_not_said_twice(incident):
    alice = incident.declared_by
    finish_all(incident, RESULT)
    jobs.settle_all(now=NOW)
    actions.request_impact(incident=incident, user=alice, now=NOW + timedelta(minutes=1))
    finish_all(incident, RESULT)
    assert jobs.settle_all(now=NOW) == 1
    assert len(notes("snapshot")) == len(notes("severity")) == 1


def test_what_a_person_confirmed_stays(incident):
    finish_all(incident, RESULT)
    actions.set_severity(
        incident=incident,
        kind="business",
        level=1,
        reason="Their peak day",
        user=incident.declared_by,
        now=NOW,
    )
    jobs.settle_all(now=NOW)
    assert incident.severities.get().level == 1


def test_an_older_run_that_ends_later_proposes_nothing(incident):
    older = incident.runs.get().run
    newer = jobs.request_run(
        incident=incident, user=None, now=NOW + timedelta(minutes=1), even_if_waiting=True
    )
    finish(newer.run, {**RESULT, "customers": []}, now=NOW + timedelta(minutes=2))
    finish(older, RESULT, now=NOW + timedelta(minutes=3))
    jobs.settle_all(now=NOW + timedelta(minutes=3))
    assert not incident.severities.exists()


def test_a_failed_run_is_said_once(incident):
    ImpactRun.objects.update(state=RunState.FAILED, error="MemoryError: no\nmore", finished_at=NOW)
    jobs.settle_all(now=NOW)
    jobs.refresh(now=NOW + timedelta(minutes=6))
    ImpactRun.objects.update(state=RunState.FAILED, error="MemoryError: no\nmore", finished_at=NOW)
    assert jobs.settle_all(now=NOW) == 1
    assert notes("snapshot") == ["Impact could not be computed: MemoryError: no"]


def test_a_cancelled_run_is_settled_without_a_word(incident):
    ImpactRun.objects.update(state=RunState.CANCELLED, finished_at=NOW)
    assert jobs.settle_all(now=NOW) == 1
    assert notes("snapshot") == []


def test_a_live_incident_is_computed_anew_every_few_minutes(incident):
    assert jobs.refresh(now=NOW + timedelta(hours=1)) == 0  # one waits
    finish_all(incident, RESULT)
    assert jobs.refresh(now=NOW + timedelta(seconds=59)) == 0
    assert jobs.refresh(now=NOW + timedelta(minutes=5, seconds=1)) == 1
    latest = incident.runs.latest("pk").run
    assert (latest.window_to, latest.light) == (NOW + timedelta(minutes=5, seconds=1), False)
    # Failed at once: not asked for again before the time.
    ImpactRun.objects.filter(state=RunState.QUEUED).update(state=RunState.FAILED)
    assert jobs.refresh(now=NOW + timedelta(minutes=6)) == 0


def test_in_between_it_has_a_light_run_each_minute_and_never_two_at_once(incident):
    finish_all(incident, RESULT)
    assert jobs.refresh(now=NOW + timedelta(minutes=1)) == 1
    light = incident.runs.latest("pk").run
    assert light.light
    # However long it takes, nothing piles up behind it.
    assert jobs.refresh(now=NOW + timedelta(minutes=4)) == 0
    assert jobs.refresh(now=NOW + timedelta(minutes=9)) == 0
    finish_all(incident, RESULT, now=NOW + timedelta(minutes=9))
    # It is no whole one: that is overdue now, and no light one comes beside it.
    assert jobs.refresh(now=NOW + timedelta(minutes=9)) == 1
    assert not incident.runs.latest("pk").run.light


def test_without_a_whole_answer_there_is_no_light_run(incident):
    ImpactRun.objects.update(state=RunState.FAILED, error="no", finished_at=NOW)
    assert jobs.refresh(now=NOW + timedelta(minutes=2)) == 0


def test_when_it_ends_a_whole_run_follows_whatever_waits(incident):
    finish_all(incident, RESULT)
    jobs.refresh(now=NOW + timedelta(minutes=1))
    later = NOW + timedelta(minutes=2)
    actions.resolve(incident=incident, text="Over.", user=incident.declared_by, now=later)
    last = incident.runs.latest("pk").run
    assert (last.light, last.window_to) == (False, later)
    finish_all(incident, RESULT, now=later)
    assert jobs.refresh(now=later + timedelta(minutes=2)) == 0


def test_a_light_answer_moves_the_room_and_severities_and_nothing_that_is_said(incident):
    finish_all(incident, RESULT)
    jobs.settle_all(now=NOW)
    said = queries.told_from(incident).get()
    later = NOW + timedelta(minutes=1)
    jobs.refresh(now=later)
    kept = {"as_of": "2026-11-22T10:24:00Z", "window_to": "2026-11-22T10:24:00Z", "keys": []}
    worse = {
        **RESULT,
        "carried": kept,
        "people": {"gave_up": 44},
        "attempts": {"total": 412, "gave_up": 45},
    }
    finish_all(incident, worse, now=later)
    assert jobs.settle_all(now=later) == 1

    shown = queries.room(incident=incident, user=incident.declared_by, now=later)
    assert shown.impact.as_of == later
    assert f"{shown.impact.carried_from:%H:%M}" == "10:24"
    assert not shown.computing
    assert len(notes("snapshot")) == 1
    assert queries.told_from(incident).get() == said
    assert outreach.latest_snapshot(incident).get() == said
    assert queries.facts_of(incident)["people"] == {"gave_up": 31}
    assert incident.severities.get().snapshot.as_of == later
    text = drafted(incident, incident.declared_by)
    assert text.snapshot == said


def test_once_its_end_is_known_less_often(incident):
    finish_all(incident, RESULT)
    Incident.objects.update(ended_at=NOW)
    assert jobs.refresh(now=NOW + timedelta(minutes=29)) == 0
    assert jobs.refresh(now=NOW + timedelta(minutes=31)) == 1
    assert incident.runs.latest("pk").run.window_to == NOW


def test_over_it_is_computed_once_more_a_day_later(incident):
    alice = incident.declared_by
    actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    finish_all(incident, RESULT)
    assert jobs.refresh(now=NOW + timedelta(hours=23)) == 0
    assert jobs.refresh(now=NOW + timedelta(hours=25)) == 1
    finish_all(incident, RESULT)
    assert jobs.refresh(now=NOW + timedelta(days=30)) == 0


def test_the_dismissed_are_left_alone(incident):
    finish_all(incident, RESULT)
    actions.change_state(
        incident=incident,
        state=State.DISMISSED,
        reason="A test",
        user=incident.declared_by,
        now=NOW,
    )
    assert jobs.refresh(now=NOW + timedelta(days=2)) == 0


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({"attempts": {"gave_up": 1}, "people": {"gave_up": 1}}, "1 person gave up"),
        (
            {
                "attempts": {"gave_up": 9},
                "people": {"gave_up": 6},
                "journeys": [{"verb": "place an order", "people": {"gave_up": 1}}],
            },
            "6 people gave up, 1 of them trying to place an order",
        ),
        (
            {
                "attempts": {"gave_up": 9},
                "people": {"gave_up": 6},
                "journeys": [{"verb": "place an order", "people": {"gave_up": 6}}],
            },
            "6 people gave up trying to place an order",
        ),
        ({"attempts": {"gave_up": 7}}, "7 attempts given up"),
        ({"actors": {"hit": 5}}, "5 met a failure, none is known to have given up"),
        ({"requests": {"total": 9, "failed": 3}}, "3 of 9 requests failed"),
        ({"requests": {"total": 9}}, "nothing failed in its window"),
        ({}, "no traffic in its window"),
    ],
)
def test_the_headline_is_what_hurts_most(result, says):
    assert jobs.headline(result) == says


def _at_once(*calls):
    """Run each call in a thread with its own connection; return what came of each."""
    found = [None] * len(calls)
    together = threading.Barrier(len(calls))

    def run(index, call):
        try:
            together.wait(timeout=20)
            found[index] = call()
        except actions.Refused as problem:
            found[index] = problem
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return found


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_note_everything_once():
    alice = make_user()
    incidents = [declared(alice, title=f"Incident {n}") for n in range(6)]
    for incident in incidents:
        finish_all(incident, RESULT)
    counts = _at_once(*[lambda: jobs.settle_all(now=NOW)] * 3)
    # A sweep skips what another is at; one more finds whatever was left.
    left = jobs.settle_all(now=NOW)
    assert sum(counts) + left == 6
    assert len(notes("snapshot")) == 6
    later = NOW + timedelta(minutes=6)
    asked = _at_once(*[lambda: jobs.refresh(now=later)] * 3)
    assert sum(asked) + jobs.refresh(now=later) == 6
    assert IncidentRun.objects.count() == 12


@pytest.mark.django_db(transaction=True)
def test_two_who_publish_at_once_one_wins():
    alice, ada = make_user(), make_user("Ada")
    update = drafted(declared(alice), alice)
    results = _at_once(
        *[
            lambda user=user: actions.publish_update(update=update, user=user, now=NOW)
            for user in (alice, ada)
        ]
    )
    refused = [one for one in results if isinstance(one, actions.UnableToPublish)]
    assert len(refused) == 1
    assert "published this update at 10:30 UTC" in str(refused[0])
    assert Incident.objects.get().version == 2
    assert TimelineEvent.objects.filter(kind="update").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_declare_that_they_write_at_once_write_one_draft():
    alice = make_user()
    incident = declared(alice)
    results = _at_once(
        *[lambda words=words: drafted(incident, alice, text=words) for words in ("One.", "Two.")]
    )
    assert sum(isinstance(one, actions.DraftConflict) for one in results) == 1
    assert incident.updates.count() == 1


def test_the_sweep_costs_little_when_there_is_nothing(django_assert_max_num_queries):
    make_incident(state=State.DISMISSED)
    with django_assert_max_num_queries(5):
        jobs.sweep(now=NOW)
    assert connection.vendor == "postgresql"
