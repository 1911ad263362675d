"""What every test gets. The suite's PostgreSQL is started by tests/settings.py."""

import signal

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from hypothesis import HealthCheck, settings

# How fast a machine is that runs four processes at once says nothing about what is tested.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


# A suite begun in the background (`make test &`) ignores Ctrl-C, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


BROWSER = "tests/browser/"
#: What takes longest is begun first: begun last, one process would end on its own.
LONGEST = (
    BROWSER,
    "tests/impact/test_figures.py",
    "tests/portal/",
    "tests/access/",
    "tests/embedded/",
    "tests/analytics/",
    "tests/outreach/test_benches.py",
    "tests/core/test_charts.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of one file in one process; all that use a browser as well, on one demo.

    Not by marks of groups: xdist 3.8 writes them into names that pytest 9.2 does not read any more.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return BROWSER if file.startswith(BROWSER) else file

    return ByFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Begin with what takes longest, then with what starts whole workers."""

    def place(item):
        found = (n for n, start in enumerate(LONGEST) if item.nodeid.startswith(start))
        return next(found, len(LONGEST) + (item.get_closest_marker("worker") is None))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def own_directories(settings, tmp_path):
    """Give every test its own event store and rendered pages."""
    settings.EVENTS_DIR = tmp_path / "events"
    settings.STATUS_DIR = tmp_path / "status"
    settings.CHARTS_DIR = tmp_path / "charts"
    settings.EVENTS_LEAST_FREE = (
        0  # how full this machine's disk is says nothing about what is tested
    )


@pytest.fixture(scope="session", autouse=True)
def flushing_past_triggers():
    """Let a transaction test empty the tables after it: otherwise triggers refuse to TRUNCATE promises."""
    flush = DatabaseOperations.execute_sql_flush

    def past_triggers(self, sql_list):
        if sql_list:
            sql_list = [
                "SET LOCAL session_replication_role = replica",
                *sql_list,
                "SET LOCAL session_replication_role = DEFAULT",
            ]
        flush(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", past_triggers)
        yield
