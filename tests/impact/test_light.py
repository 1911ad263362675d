"""Light runs: the answer of a whole run from the same events, but for what is carried, and that is marked."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.analytics.simulate import Plan
from apps.impact import actions, jobs
from apps.impact.live_bench import MINUTE, name_everything, store_before, store_until
from apps.impact.models import Gap, ImpactRun, RunState

pytestmark = pytest.mark.django_db(transaction=True)

PLAN = Plan.scenario("partial", seed=21, events=80_000, customers=12)
START = datetime.fromtimestamp(PLAN.window_ms[0] / 1000, UTC)


def answered(now, *, light):
    run = actions.request_run(window_from=START, window_to=now, now=now, light=light)
    assert jobs.run_next(clock=lambda: now)
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    return run.snapshot


def test_a_light_run_says_what_a_whole_one_says_and_marks_what_it_carries():
    name_everything(PLAN)
    first, now = START + 16 * MINUTE, START + 24 * MINUTE
    to_come = store_until(PLAN, first)

    # Nothing to carry yet: it looks at earlier weeks itself.
    alone = answered(first, light=True)
    assert alone.result["carried"] is None
    assert alone.carries is None
    assert not Gap.objects.exists()

    base = answered(first, light=False)
    expected = base.result["lost_attempts"]
    assert expected["estimate"]
    assert alone.result == base.result

    # Of the same window: the same, what is carried too.
    same = answered(first, light=True).result
    assert {key for key in same if same[key] != base.result[key]} <= {
        "carried",
        "facts",
        "journeys",
    }

    store_before(to_come, now)
    light, whole = answered(now, light=True), answered(now, light=False)
    at = first.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert light.result["carried"] == {
        "as_of": at,
        "window_to": at,
        "keys": ["lost_attempts", "series.usual"],
    }
    assert light.provisional
    assert light.result["lost_attempts"] == expected != whole.result["lost_attempts"]
    for key in ("requests", "actors", "attempts", "people", "extra_wait_s", "user_uptime", "kinds",
                "traits", "tenets", "window", "coverage", "not_returned"):  # fmt: skip
        assert light.result[key] == whole.result[key], key
    for ours, theirs in zip(light.result["customers"], whole.result["customers"], strict=True):
        carried = {"lost_attempts": None, "net_lost_attempts": None}
        assert {**ours, **carried} == {**theirs, **carried}
    assert list(light.customers.order_by("customer").values("customer", "grade", "story")) == list(
        whole.customers.order_by("customer").values("customer", "grade", "story")
    )
    for ours, theirs in zip(light.result["journeys"], whole.result["journeys"], strict=True):
        assert ours["attempts"] == theirs["attempts"]
        assert ours["people"] == theirs["people"]


def test_a_cancelled_light_run_keeps_nothing_and_a_lost_one_is_taken_up_again():
    name_everything(PLAN)
    store_until(PLAN, START + 3 * MINUTE)
    now = START + 3 * MINUTE
    run = actions.request_run(window_from=START, window_to=now, now=now, light=True)
    actions.cancel_run(run=run, now=now)
    assert not jobs.run_next(clock=lambda: now)
    run = actions.request_run(window_from=START, window_to=now, now=now, light=True)
    ImpactRun.objects.filter(pk=run.pk).update(state=RunState.RUNNING, lease_until=now, tries=1)
    jobs.sweep(now=now + timedelta(minutes=1))
    assert jobs.run_next(clock=lambda: now)
    run.refresh_from_db()
    assert run.snapshot.provisional
