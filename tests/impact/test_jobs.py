"""Runs and snapshots: one snapshot a run, none changed afterwards, and nothing kept by who lost the claim."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from apps.core.claims import claim
from apps.impact import actions, jobs
from apps.impact.models import CustomerImpact, Gap, ImpactRun, ImpactSnapshot, RunState
from tests.factories import make_customer, make_snapshot
from tests.impact.test_command import ingest

FROM = datetime(2026, 11, 22, 22, 14, tzinfo=UTC)
TO = datetime(2026, 11, 22, 22, 17, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def ask() -> ImpactRun:
    return actions.request_run(window_from=FROM, window_to=TO, now=NOW)


def run_next() -> bool:
    return jobs.run_next(clock=lambda: NOW)


@pytest.mark.django_db(transaction=True)
def test_a_run_ends_in_one_snapshot():
    ingest("nginx_timed.log")
    run = ask()

    assert run_next()
    assert not run_next()

    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert run.snapshot.result["requests"]["failed"] == 50
    assert run.snapshot.provisional
    assert ImpactSnapshot.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_customers_get_their_own_rows_and_their_own_words():
    acme = make_customer("Acme")
    acme.rules.create(attribute="network", value="203.0.113.12/30")
    ingest("nginx_timed.log")
    ask()

    run_next()

    row = CustomerImpact.objects.get()
    assert row.customer == acme
    assert row.grade in {"hit", "partly_hit"}
    assert 0 < row.result["requests"]["failed"] < 50
    assert row.story


@pytest.mark.django_db(transaction=True)
def test_who_lost_the_claim_keeps_nothing():
    ingest("nginx_timed.log")
    run = ask()
    (mine,) = claim(
        ImpactRun.objects.filter(state=RunState.QUEUED), state=RunState.RUNNING, now=NOW
    )
    result = jobs.compute_window(window_from=FROM, window_to=TO, as_of=NOW)
    jobs.sweep(now=NOW + timedelta(hours=1))
    assert run_next()

    assert jobs.keep(run=mine, result=result, now=NOW) is None
    assert ImpactSnapshot.objects.filter(run=run).count() == 1


def test_a_run_that_keeps_killing_its_worker_is_given_up():
    run = ask()
    for _ in range(jobs.MOST_TRIES):
        claim(ImpactRun.objects.filter(state=RunState.QUEUED), state=RunState.RUNNING, now=NOW)
        jobs.sweep(now=NOW + timedelta(hours=1))

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "died 3 times" in run.error


def test_a_live_claim_is_left_alone():
    run = ask()
    claim(ImpactRun.objects.filter(state=RunState.QUEUED), state=RunState.RUNNING, now=NOW)

    jobs.sweep(now=NOW + timedelta(seconds=1))

    run.refresh_from_db()
    assert run.state == RunState.RUNNING


@pytest.mark.django_db(transaction=True)
def test_a_run_without_events_fails_with_the_reason_and_the_worker_lives():
    run = ask()

    assert run_next()

    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "no events" in run.error


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_run_keeps_nothing():
    ingest("nginx_timed.log")
    run = ask()

    assert actions.cancel_run(run=run, now=NOW)
    assert not run_next()
    assert not actions.cancel_run(run=run, now=NOW)
    assert not ImpactSnapshot.objects.exists()


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (TO, FROM, "begin before"),
        (FROM, FROM, "begin before"),
        (NOW + timedelta(1), NOW + timedelta(2), "future"),
    ],
)
def test_a_window_that_cannot_be_is_refused(start, end, said):
    with pytest.raises(actions.UnableToRequestRun, match=said):
        actions.request_run(window_from=start, window_to=end, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_a_gap_opens_once_and_closes_when_it_can_be_told():
    ingest("nginx_timed.log")
    ask()
    run_next()
    opened = Gap.objects.filter(closed_at=None)
    codes = set(opened.values_list("code", flat=True))
    assert codes

    ask()
    run_next()

    assert opened.count() == len(codes)
    assert "customer" in codes or any("whose" in gap.question.lower() for gap in opened)
    make_customer("Everybody", kind="consumers").rules.create(attribute="service", value="web")
    from apps.telemetry.models import Batch, Segment

    Segment.objects.all().delete()
    Batch.objects.all().delete()
    ingest("nginx_timed.log")
    ask()
    run_next()

    assert not Gap.objects.filter(closed_at=None, question__icontains="whose").exists()
    closed = Gap.objects.get(code="customer")
    assert closed.closed_at == NOW
    assert "The data arrived" in closed.closed_because
    assert "22 November 2026 22:14 UTC" in closed.closed_because


@pytest.mark.parametrize("table", ["impact_impactsnapshot", "impact_customerimpact"])
@pytest.mark.parametrize("sql", ["UPDATE {} SET id = id", "DELETE FROM {}"])
def test_snapshots_cannot_be_changed(table, sql):
    make_snapshot(make_customer())

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql.format(table))
