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


def test_envoy_text(capsys):
    [report] = ingest(REAL / "envoy_access_default.log", capsys=capsys)

    assert report["recognised"] == "access log, Envoy text"
    assert report["whole"]
    assert rows(SUMS) == [(862, 50, 20, 6, 0)]


def test_envoy_text_says_who_left_and_what_istio_adds(tmp_path, capsys):
    istio = (
        '"203.0.113.9" "Mozilla/5.0" "3" "shop.example" "10.0.0.7:80" outbound|80||shop 10.0.0.1:1 '
        "10.0.0.2:2 10.0.0.3:3 - default"
    )
    ends = '"203.0.113.9" "Mozilla/5.0" "{}" "shop.example" "10.0.0.7:80"'
    lines = [
        f'[2026-11-22T22:15:40.244Z] "GET /a HTTP/1.1" 0 DC 0 0 312 - {ends.format(1)}',
        f'[2026-11-22T22:15:41.244Z] "GET /a?x=\\"1 HTTP/1.1" 503 UF,URX 0 91 5 - {ends.format(2)}',
        f'[2026-11-22T23:15:42.5+01:00] "POST /b HTTP/2" 200 - via_upstream - "-" 1 3 7 6 {istio}',
        "[2026-11-22T22:15:43Z] nothing that Envoy writes",
    ]
    log = tmp_path / "envoy.log"
    log.write_text("\n".join(lines) + "\n")

    [report] = ingest(log, capsys=capsys)

    assert (report["stored"], report["failed"]) == (3, 1)
    assert report["rejected"] == 1
    assert sorted(rows("ts % 60000, outcome, status, latency_ms")) == [
        (40_244, 2, 0, 312.0), (41_244, 1, 503, 5.0), (42_500, 0, 200, 7.0),
    ]  # fmt: skip


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
