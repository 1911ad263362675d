"""The drill, shortened: a real web process that loses its database."""

import pytest

from apps.core.figures import DRILLS


@pytest.mark.worker
@pytest.mark.django_db
def test_the_pages_stand_when_everything_else_is_gone():
    steps = list(DRILLS.entries()["status"].run({}, seed=1, quick=True))
    assert len(steps) > 15
    assert [step for step in steps if not step.ok] == []
