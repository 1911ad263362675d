"""A real worker over the real broker: killed in the middle of a run, the run is done once."""

import pytest
from django.utils import timezone

from apps.impact import actions
from apps.impact.models import ImpactRun, ImpactSnapshot, RunState
from tests.impact.test_command import ingest
from tests.impact.test_jobs import FROM, TO
from tests.worker import install_queues, kill, wait_until, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]


def test_a_worker_killed_in_the_middle_of_a_run_leaves_one_snapshot(tmp_path, settings):
    install_queues()
    ingest("nginx_timed.log")
    settings.PORTAL_NUDGES = False
    runs = [
        actions.request_run(window_from=FROM, window_to=TO, now=timezone.now()) for _ in range(8)
    ]
    waiting = ImpactRun.objects.filter(pk__in=[run.pk for run in runs])

    with worker(tmp_path / "first.log") as first:
        # Only the clock knows of the runs: no message was sent for them.
        wait_until(lambda: waiting.filter(state=RunState.RUNNING).exists(), every=0.002)
        kill(first)

    held = waiting.filter(state=RunState.RUNNING)
    assert held.exists() or waiting.filter(state=RunState.QUEUED).exists()
    with worker(tmp_path / "second.log"):
        wait_until(lambda: not waiting.exclude(state=RunState.DONE).exists(), seconds=60)

    assert ImpactSnapshot.objects.count() == len(runs)
    assert {one.result["requests"]["failed"] for one in ImpactSnapshot.objects.all()} == {50}
