import pytest

from apps.statuspage import jobs
from tests.factories import NOW
from tests.statuspage.world import make_world


@pytest.fixture
def world(db):
    return make_world()


@pytest.fixture
def rendered(world, time_machine):
    """The world, rendered, a minute later."""
    jobs.render_pages(now=NOW)
    time_machine.move_to(NOW.replace(minute=31), tick=True)
    return world
