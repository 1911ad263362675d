"""Gaps of little data: too few, too quiet, timed by us alone, clocks that cannot be set right."""

from dataclasses import replace

import pytest

from apps.analytics.gaps import find_gaps
from apps.analytics.measures import NotReturned
from apps.analytics.stats import Interval
from tests.analytics.world import ask, event


def gap(result, code):
    return next((one for one in result.gaps if one.code == code), None)


def test_a_customer_whose_few_requests_all_failed_is_too_quiet_to_tell(tmp_path):
    quiet = [event(n, customer=2, actor=40, outcome=1) for n in (1, 900, 1800)]
    loud = [event(n * 300, customer=3, actor=50, outcome=1) for n in range(8)]
    fine = [event(n, customer=1, actor=60, outcome=int(n == 5)) for n in range(9)]
    result = ask(tmp_path, [*quiet, *loud, *fine])

    assert result.customer(3).outage is not None
    assert gap(result, "quiet").customers == (2,)
    assert gap(ask(tmp_path, [*loud, *fine]), "quiet") is None


def test_waiting_is_timed_by_us_alone(tmp_path):
    again = [event(at, actor=who, outcome=int(not at)) for who in range(1, 26) for at in (0, 30)]
    assert gap(ask(tmp_path, again), "server_time") is not None
    assert gap(ask(tmp_path, again[:20]), "server_time") is None


@pytest.mark.parametrize(
    ("second", "changes", "opens"),
    [(0.3, {}, True), (5, {}, False), (0.3, {"arrived": 0}, False), (0.3, {"host": 1}, False)],
)
def test_the_order_within_a_second_needs_clocks_that_can_be_set(tmp_path, second, changes, opens):
    events = [event(0, outcome=1, host=1), event(second, host=2)]
    events = [{**one, **({k: v or one["ts"] for k, v in changes.items()})} for one in events]
    found = gap(ask(tmp_path, events), "ingest_time")
    assert bool(found) == opens


def test_too_few_to_notice_a_fifth_of_them_leave(tmp_path):
    plain = ask(tmp_path, [event(1)])

    def with_people(exposed, compared):
        gone = NotReturned(
            exposed, exposed // 2 + 5, Interval(5.0, -9.0, 19.0), compared, within_ms=1
        )
        result = replace(plain, figures=replace(plain.figures, not_returned=gone))
        return [one for one in find_gaps(result, proxies=0) if one.code == "too_few"]

    [found] = with_people(40, 160)
    assert "only if 10 had left" in found.why  # 2.8 * 40 * sqrt(0.5 * 0.5 * (1/40 + 1/160))
    assert with_people(4000, 16000) == []
