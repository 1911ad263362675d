"""What every test gets. The suite's PostgreSQL is started by tests/settings.py."""

import pytest


@pytest.fixture(autouse=True)
def own_directories(settings, tmp_path):
    """Give every test its own event store and rendered pages."""
    settings.EVENTS_DIR = tmp_path / "events"
    settings.STATUS_DIR = tmp_path / "status"
    settings.CHARTS_DIR = tmp_path / "charts"
