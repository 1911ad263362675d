import pytest

from tests.outreach.sinks import sink as run_sink
from tests.outreach.world import make_world


@pytest.fixture
def world(db):
    return make_world()


@pytest.fixture
def sink(settings):
    with run_sink(settings) as received:
        yield received
