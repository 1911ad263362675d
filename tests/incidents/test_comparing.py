"""What we believed and what we believe now: beside each other, and said when the final answer comes."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.incidents import jobs
from apps.incidents.models import IncidentRun, TimelineEvent
from tests.factories import make_customer, make_snapshot, make_user
from tests.incidents.world import room

pytestmark = pytest.mark.django_db


def believed(incident, *customers, now, grade="hit", provisional=True, **attempts):
    """A snapshot of the incident with these numbers of attempts."""
    snapshot = make_snapshot(*customers, grade=grade, now=now)
    result = {
        **snapshot.result,
        "story": [f"{attempts.get('gave_up', 0)} people gave up."],
        "attempts": {"total": 500, "first_try": 400, **attempts},
        "actors": {"total": 300, "hit": None},
    }
    with connection.cursor() as cursor:  # a snapshot may not be changed; the test makes it whole
        cursor.execute("SET LOCAL session_replication_role = replica")
        type(snapshot).objects.filter(pk=snapshot.pk).update(result=result, provisional=provisional)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    IncidentRun.objects.create(incident=incident, run=snapshot.run)
    snapshot.refresh_from_db()
    return snapshot


def test_figures_and_customers_stand_beside_each_other(signed_in, incident, now):
    acme, globex = make_customer(), make_customer("Globex")
    believed(incident, acme, globex, now=now, gave_up=60, came_back=0)
    after = believed(
        incident, acme, now=now + timedelta(days=1), gave_up=45, came_back=15, grade="partly_hit"
    )
    text = signed_in.get(room(incident, "compare")).text
    for words in (
        "60 people gave up.",
        "45 people gave up.",
        "15 fewer",
        "15 more",
        "cannot tell",
        "Acme",
        "the same",
    ):
        assert words in text, words
    assert "Globex" not in text
    asked = signed_in.get(room(incident, "compare"), {"before": after.pk, "after": after.pk})
    assert "fewer" not in asked.text
    assert "Nobody's grade changed" in asked.text.replace("&#x27;", "'")


def test_other_snapshots_are_not_there(signed_in, incident, now):
    believed(incident, now=now)
    stranger = make_snapshot(now=now)
    for value, status in ((str(stranger.pk), 404), ("9" * 18, 404), ("x", 200), ("-1", 200)):
        answer = signed_in.get(room(incident, "compare"), {"after": value})
        assert answer.status_code == status, value
    assert "Nothing to compare yet" in signed_in.get(room(incident, "compare")).text


def test_an_account_manager_sees_only_their_customers_move(client, incident, now):
    amy = make_user("amy@example.com", role="account_manager")
    mine, other = make_customer(account_manager=amy), make_customer("Globex")
    believed(incident, mine, other, now=now, gave_up=60)
    believed(incident, mine, other, now=now + timedelta(hours=1), gave_up=45, grade="slowed")
    client.force_login(amy)
    text = client.get(room(incident, "compare")).text
    assert "Acme" in text
    assert "Globex" not in text


def test_it_asks_as_often_however_many_customers_moved(signed_in, incident, now):
    def asked(count):
        customers = [make_customer(f"C{now.timestamp()}{n}{count}") for n in range(count)]
        for later, grade in ((0, "hit"), (1, "slowed")):
            believed(incident, *customers, now=now + timedelta(hours=later), grade=grade)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert signed_in.get(room(incident, "compare")).status_code == 200
        return len(queries)

    assert asked(2) == asked(12)


def test_the_final_answer_says_what_differs(incident, now):
    believed(incident, now=now, gave_up=60, came_back=0)
    believed(incident, now=now + timedelta(days=1), gave_up=45, came_back=15, provisional=False)
    while jobs.settle_next(now=now + timedelta(days=1)):
        pass
    (said,) = TimelineEvent.objects.filter(
        incident=incident, text__contains="differs from what we said"
    )
    assert "gave up: 60, now 45" in said.text
    believed(incident, now=now + timedelta(days=2), gave_up=44, came_back=16, provisional=False)
    jobs.settle_all(now=now + timedelta(days=2))
    assert TimelineEvent.objects.filter(text__contains="differs from what we said").count() == 1


def test_a_final_answer_that_says_the_same_holds(incident, now):
    believed(incident, now=now, gave_up=60)
    believed(incident, now=now + timedelta(days=1), gave_up=60, provisional=False)
    jobs.settle_all(now=now + timedelta(days=1))
    assert TimelineEvent.objects.filter(incident=incident, text__contains="holds").count() == 1


def test_of_light_runs_only_the_newest_is_offered_and_a_kept_link_still_works(
    signed_in, incident, now
):
    for minute in range(4):
        one = believed(incident, now=now + timedelta(minutes=minute), gave_up=minute)
        if minute:
            type(one.run).objects.filter(pk=one.run_id).update(light=True)
        if minute == 1:
            kept = one
    page = signed_in.get(room(incident, "compare"))
    assert page.text.count("<option") == 2 * 2
    old = signed_in.get(room(incident, "compare"), {"before": kept.pk, "after": one.pk})
    assert "1 people gave up." in old.text
    assert old.text.count("<option") == 2 * 3
