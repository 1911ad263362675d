"""One private PostgreSQL for the whole run, started by our own launcher and gone with it.

Broker: wake-ups are off (PORTAL_NUDGES=0) except in tests that start a real worker of their own.
"""

import os
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="portal-tests-")
os.environ["PORTAL_HOME"] = _HOME.name
os.environ["PORTAL_PG_FAST"] = "1"
os.environ.setdefault("PORTAL_NUDGES", "0")
os.environ.setdefault("PORTAL_LOG_LEVEL", "ERROR")
for _name in ("PORTAL_URL", "PORTAL_PRODUCTION", "EMAIL_URL", "DATABASE_URL"):
    os.environ.pop(_name, None)
os.environ["DATABASE_URL"] = os.environ.get("PORTAL_TEST_DATABASE_URL") or __import__(
    "portal.embedded", fromlist=["ensure"]
).ensure(Path(_HOME.name))


@pytest.fixture(autouse=True)
def own_directories(settings, tmp_path):
    """Give every test its own event store and rendered pages."""
    settings.EVENTS_DIR = tmp_path / "events"
    settings.STATUS_DIR = tmp_path / "status"
