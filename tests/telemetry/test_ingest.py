"""`manage.py ingest` on real files."""

import contextlib
import json
from pathlib import Path

import duckdb
import pytest
from django.core.management import CommandError, call_command

from apps.catalog.models import Operation
from apps.customers.models import IdentificationRule
from apps.telemetry import queries
from tests.factories import make_customer

DATA = Path(__file__).parent.parent / "data"
REAL = DATA / "realwriters"
EXPECTED = json.loads((REAL / "expected.json").read_text())["nginx"]
ALWAYS = (-(2**62), 2**62)

pytestmark = pytest.mark.django_db(transaction=True)


def ingest(*paths, capsys, **options):
    """Run the command and return what it printed, one object for each path."""
    with contextlib.suppress(CommandError):
        call_command("ingest", *map(str, paths), json=True, **options)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def rows(sql="*"):
    """Return what a SELECT over all stored events gives."""
    files = [str(path) for path in queries.segments(*ALWAYS)]
    if not files:
        return []
    with duckdb.connect() as con:
        return con.execute(f"SELECT {sql} FROM read_parquet($files)", {"files": files}).fetchall()  # noqa: S608


SUMS = """count(*), count(*) FILTER (outcome = 1), count(DISTINCT actor),
          count(DISTINCT actor) FILTER (outcome = 1), count(*) FILTER (traffic <> 0)"""


@pytest.mark.parametrize("name", ["nginx_timed.log", "nginx_json.ndjson", "nginx_combined.log"])
def test_nginx_files_give_the_numbers_that_were_planted(name, capsys):
    [report] = ingest(REAL / name, capsys=capsys)

    assert report["lines"] == report["stored"] == EXPECTED["requests"]
    assert report["whole"]
    assert rows(SUMS) == [
        (
            EXPECTED["requests"],
            EXPECTED["failed_5xx"],
            EXPECTED["sessions_total"],
            EXPECTED["sessions_hit"],
            0,
        )
    ]
    checkout = Operation.objects.get(name="POST /checkout").pk
    assert rows(
        f"count(*) FILTER (operation = {checkout}), count(*) FILTER (operation = {checkout} AND outcome = 1)"
    ) == [(EXPECTED["orders_tried_events"], EXPECTED["orders_failed_events"])]


def test_failures_behind_an_error_page_are_found(capsys):
    [report] = ingest(REAL / "nginx_masked_timed.log", capsys=capsys)

    assert report["failed"] == 50
    assert rows("count(*) FILTER (status >= 500), count(DISTINCT actor) FILTER (outcome = 1)") == [
        (50, 6)
    ]


def test_envoy_json(capsys):
    [report] = ingest(REAL / "envoy_access_json.ndjson", capsys=capsys)

    assert report["recognised"] == "NDJSON (Envoy JSON)"
    assert (report["stored"], report["failed"]) == (862, 50)


def test_ten_thousand_real_lines_lose_nothing_and_twice_add_nothing(capsys):
    path = DATA / "weblogs/elastic_examples_apache_logs.log.gz"

    [first] = ingest(path, capsys=capsys)
    [second] = ingest(path, capsys=capsys)

    assert (first["lines"], first["stored"], first["rejected"]) == (10_000, 10_000, 0)
    assert (second["lines"], second["stored"], second["already_there"]) == (10_000, 0, 10_000)
    assert rows("count(*)") == [(10_000,)]
    assert rows("count(*) FILTER (status = 500), count(DISTINCT addr)") == [(3, 1753)]
    assert first["bots"] > 500


def test_traffic_without_a_name_leads_to_where_it_gets_one(capsys):
    call_command("ingest", str(REAL / "nginx_timed.log"))
    assert "Settings, Identification" in capsys.readouterr().out

    IdentificationRule.objects.create(customer=make_customer(), attribute="service", value="web")
    call_command("ingest", str(REAL / "nginx_json.ndjson"))
    told = capsys.readouterr().out
    assert "100% of the requests" in told
    assert "Settings, Identification" not in told
