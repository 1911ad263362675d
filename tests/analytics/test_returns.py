"""Who returned when: the log-rank test against SciPy's, the curve against Kaplan and Meier's."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank

from apps.analytics.measures.returns import _curve
from apps.analytics.stats import NEVER, log_rank

FOLLOWED = 10
DAYS = st.lists(st.integers(NEVER, FOLLOWED - 1), min_size=2, max_size=60)


def censored(days):
    """As SciPy takes them: who was not seen is known to have been away to the end."""
    return CensoredData(
        uncensored=[day for day in days if day != NEVER], right=[FOLLOWED] * days.count(NEVER)
    )


@given(DAYS, DAYS)
def test_of_one_stratum_it_is_the_log_rank_test(ours, theirs):
    found = log_rank([(Counter(ours), Counter(theirs))])
    with np.errstate(all="ignore"):
        known = logrank(censored(ours), censored(theirs)) if found else None
    if found is None:
        assert {*ours, *theirs} == {NEVER} or max(len({*ours}), len({*theirs})) == 1
    else:
        assert found.z == pytest.approx(-known.statistic, abs=1e-9)
        assert found.p == pytest.approx(known.pvalue, abs=1e-9)


@given(DAYS, DAYS)
def test_strata_without_a_comparison_add_nothing_and_their_order_does_not_count(ours, theirs):
    one, other = (Counter(ours), Counter(theirs)), (Counter(theirs), Counter(ours[::2]))
    plain = log_rank([one, other])
    again = log_rank([other, (Counter(ours), Counter()), one])
    assert (plain is None) == (again is None)
    assert plain is None or again.z == pytest.approx(plain.z)


@given(DAYS)
def test_the_share_still_away_is_that_of_kaplan_and_meier(days):
    followed = {0: Counter(days)}
    curve = _curve(followed, followed, FOLLOWED - 1)
    survival = ecdf(censored(days)).sf
    for point in curve:
        assert point.exposed == pytest.approx(survival.evaluate(point.day))
        assert point.usual_low - 1e-12 <= point.usual == point.exposed <= point.usual_high + 1e-12
