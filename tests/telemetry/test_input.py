"""Inputs of every kind: refused in words, or taken in as far as they are whole."""

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.customers.models import Customer
from apps.telemetry import files, jobs, queries
from apps.telemetry.models import Batch, Segment
from tests.telemetry.test_ingest import ALWAYS, DATA, REAL, ingest, rows
from tests.worker import environment

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINE = '203.0.113.{n} - - [22/Nov/2026:22:14:{s:02} +0000] "GET /product/{n} HTTP/1.1" 200 2 "-" "Mozilla/5.0"\n'


def log(start, end):
    return "".join(LINE.format(n=n % 250, s=n % 60) for n in range(start, end))


def refused(path, capsys, **options):
    """Run the command; return what it said while failing."""
    with pytest.raises(CommandError):
        call_command("ingest", str(path), **options)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "There is no line in it"),
        (b"\n\n  \n", "There is no line in it"),
        (bytes(range(256)) * 40, "not text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not text"),
        (b"hello world\nthis is a poem\n", 'the first line is "hello world"'),
        (b"\x1b[31mred\x1b[0m\n" * 3, "\\\\x1b[31mred"),
        (b'{"a": 1}\n', "no field with a time"),
        (b'{"ts": "2026-11-22T2', "cut off"),
        (b"a,b,c\n1,2,3\n", "names no column with a time"),
        (b"\x28\xb5\x2f\xfd1234", "packed with zstd"),
        (b"\x1f\x8b", "gzip data ends before its end"),
        (b"\x1f\x8bnonsense", "gzip data is damaged"),
    ],
)
def test_what_is_no_log_is_refused_in_words(tmp_path, capsys, content, said):
    path = tmp_path / "input"
    path.write_bytes(content)

    words = refused(path, capsys)

    assert said.replace("\\\\", "\\") in words
    assert not Batch.objects.exists()


def test_missing_directory_and_wrong_format(tmp_path, capsys):
    (tmp_path / "a.log").write_text(log(0, 5))

    assert "No such file" in refused(tmp_path / "missing", capsys)
    assert "is a directory" in refused(tmp_path, capsys)
    assert "This is not ndjson" in refused(tmp_path / "a.log", capsys, format="ndjson")
    assert "This is not csv" in refused(tmp_path / "a.log", capsys, format="csv")
    assert "This is not nginx" in refused(REAL / "nginx_json.ndjson", capsys, format="nginx")
    with pytest.raises(CommandError, match="no service"):
        call_command("ingest", str(tmp_path / "a.log"), service="Not A Slug")


def test_nothing_acceptable(tmp_path, capsys):
    path = tmp_path / "future.ndjson"
    path.write_text('{"ts": "2126-01-01T00:00:00Z", "status": 200}\n' * 3)

    assert "nothing in it could be read as a request: in the future" in refused(path, capsys)
    assert not Batch.objects.exists()


def test_lines_that_do_not_parse_are_counted_and_shown(tmp_path, capsys):
    path = tmp_path / "a.log"
    path.write_text(
        log(0, 100)
        + "nonsense \x00\n"
        + log(100, 200)
        + '1.2.3.4 - - [99/Xyz/2026:00:00:00 +0000] "x" 200 1\n'
    )

    [report] = ingest(path, capsys=capsys)

    assert (report["lines"], report["stored"], report["rejected"], report["whole"]) == (
        202,
        200,
        2,
        True,
    )
    assert [(s["line"], s["excerpt"][:10]) for s in report["samples"]] == [
        (101, "nonsense \\"),
        (202, "1.2.3.4 - "),
    ]
    call_command("ingest", str(path))
    assert "202 lines: 0 stored, 200 already there, 2 rejected" in capsys.readouterr().out


def test_growing_log_adds_its_new_lines(tmp_path, capsys):
    path = tmp_path / "a.log"
    path.write_text(log(0, 300))
    [first] = ingest(path, capsys=capsys)
    with path.open("a") as file:
        file.write(log(300, 500))
    [second] = ingest(path, capsys=capsys)
    [third] = ingest(path, capsys=capsys)

    assert [(r["stored"], r["already_there"]) for r in (first, second, third)] == [
        (300, 0),
        (200, 300),
        (0, 500),
    ]
    assert rows("count(*)") == [(500,)]


def test_another_service_is_another_input(tmp_path, capsys):
    path = tmp_path / "a.log"
    path.write_text(log(0, 10))

    ingest(path, capsys=capsys)
    [report] = ingest(path, capsys=capsys, service="other-shop")

    assert report["stored"] == 10
    assert rows("count(DISTINCT service)") == [(2,)]


def test_cut_off_last_line_waits_for_its_rest(tmp_path, capsys):
    path = tmp_path / "a.log"
    whole = log(0, 50)
    path.write_text(whole[:-20])

    assert "the last line is cut off" in refused(path, capsys)
    path.write_text(whole)
    [report] = ingest(path, capsys=capsys)

    assert (report["stored"], report["already_there"]) == (1, 49)


def test_last_line_without_a_line_break(tmp_path, capsys):
    path = tmp_path / "a.ndjson"
    path.write_text('{"ts": 1795385677, "status": 200}\n{"ts": 1795385678, "status": 200}')

    [report] = ingest(path, capsys=capsys)

    assert (report["stored"], report["whole"]) == (2, True)


def test_truncated_gzip_keeps_its_whole_lines(tmp_path, capsys):
    path = tmp_path / "a.log.gz"
    packed = gzip.compress(log(0, 3000).encode())
    path.write_bytes(packed[: len(packed) // 2])

    said = refused(path, capsys)

    assert "the gzip data ends before its end" in said
    assert 0 < rows("count(*)")[0][0] < 3000
    path.write_bytes(packed)
    [report] = ingest(path, capsys=capsys)
    assert report["stored"] + report["already_there"] == 3000
    assert rows("count(*)") == [(3000,)]


def test_several_gzip_members_and_several_paths(tmp_path, capsys):
    packed, plain = tmp_path / "a.gz", tmp_path / "b.log"
    packed.write_bytes(
        gzip.compress(log(0, 10).encode()) + gzip.compress(log(10, 30).encode()) + b"\0" * 512
    )
    plain.write_text(log(30, 40))

    first, second = ingest(packed, plain, capsys=capsys)

    assert (first["stored"], second["stored"]) == (30, 10)


def test_csv(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(
        "Timestamp,Service,Operation,Status-Code,User,Duration_ms,Tenant\n"
        '2026-11-22T22:14:37Z,shop,"Place, order",200,u1,12,acme\n'
        "2026-11-22T22:14:38Z,shop,Pay,503,u2,,\n"
        "2026-11-22T22:14:39Z,shop,Pay\n"
    )
    acme = Customer.objects.create(name="Acme", slug="acme", kind="business")

    [report] = ingest(path, capsys=capsys)

    assert report["reasons"] == {"not 7 fields as the header has": 1}
    assert rows("customer, outcome, latency_ms") == [(acme.pk, 0, 12), (0, 1, None)]


def test_endless_line(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(log(0, 20) + "x" * 300_000 + "\n" + log(20, 40))

    report = files.ingest(str(path), now=NOW, chunk_bytes=64 * 1024)

    assert report.stored == 40
    assert rows("count(*)") == [(40,)]


def test_goldens():
    for name in ("beats_nginx_access_test.log", "beats_nginx_ingress_controller_test_excerpt.log"):
        report = files.ingest(str(DATA / "goldens" / name), now=NOW)
        assert (report.stored, report.rejects.total) == (7, 0)
    ok, bot, malformed, failed = (200, 0, 0), (404, 0, 1), (400, 0, 0), (502, 1, 0)
    nginx = [ok, (404, 0, 0), ok, ok, ok, bot, malformed]
    ingress = [ok, malformed, ok, ok, failed, ok, ok]
    assert sorted(rows("status, outcome, traffic")) == sorted([*nginx, *ingress])


def test_what_a_load_balancer_of_aws_writes():
    expected = json.loads((DATA / "goldens" / "alb_vrl_expected.json").read_text())

    report = files.ingest(str(DATA / "goldens" / "alb_vrl_vectors.log"), now=NOW)

    assert report.description == "access log, AWS Application Load Balancer"
    assert (report.stored, report.rejects.total) == (len(expected), 0)
    found = rows("status, outcome, latency_ms, ts, actor_kind")
    assert sorted(row[0] for row in found) == sorted(one["elb_status_code"] for one in expected)
    assert [row[1] for row in found if row[0] == 502] == [1]
    measured = [row[2] for row in found if row[0] == 200]
    assert all(0 <= took <= 200 for took in measured), "the three times, added up"
    # -1 was not measured: the time between the request's coming in and its answer stands for it
    assert [row[2] for row in found if row[0] == 400] == [249, 322]
    assert min(row[3] for row in found) == 1530570168364, "when the request came in"
    assert {row[4] for row in found} == {3}


@pytest.mark.parametrize(
    ("change", "outcome"),
    [(("200 200", "460 -"), 2), (("200 200", "504 -"), 1), (("200 200", "000 -"), 1)],
)
def test_how_a_load_balancer_says_that_it_failed(tmp_path, change, outcome):
    line = (DATA / "goldens" / "alb_vrl_vectors.log").read_text().splitlines()[0]
    path = tmp_path / "alb.log"
    path.write_text(line.replace(*change, 1) + "\n")

    files.ingest(str(path), now=NOW, wanted="alb")

    assert rows("outcome") == [(outcome,)]


def test_rules_file(tmp_path, capsys):
    acme = Customer.objects.create(name="Acme", slug="acme", kind="business")
    rules = tmp_path / "shop.toml"
    rules.write_text(
        'customer = "acme"\n[service]\nslug = "shop"\nname = "Shop"\n'
        '[[operations]]\nname = "Look at a product"\nmethod = "GET"\npath = ["/product/{id}", "/dead/product/{id}"]\n'
        '[[operations]]\nname = "Put in the cart"\npath = ["/cart/{id}", "/dead/cart/{id}"]\nok = [500]\n'
        '[[operations]]\nname = "Place order"\nmethod = "POST"\npath = "/checkout"\nfailed = [200]\n'
    )

    [report] = ingest(REAL / "nginx_timed.log", capsys=capsys, rules=str(rules))

    assert (report["operations"], report["named_share"], report["service"]) == (3, 1.0, "shop")
    # 38 + 2 at a dead upstream; 8 carts forgiven; all 10 orders failed
    assert rows(f"count(*) FILTER (outcome = 1), count(*) FILTER (customer = {acme.pk})") == [
        (50, 862)
    ]
    assert rows("count(*) FILTER (target IS NULL)") == [(10,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('customer = "nobody"', "There is no customer nobody"),
        ("\n\ntypo = 1", "line 3:  has no key typo"),
        ("[service]\nslug = 'A B'", 'line 2: "A B" is no slug'),
        ("a = [", "at end of document"),
        ('[[operations]]\npath = "/x"', "it has no name"),
        ('[[operations]]\nname = "x"\npath = "/x/{id"', "line 3"),
        ('[[operations]]\nname = "x"\npath = "x"', "does not begin with /"),
        ('[[operations]]\nname = "x"\nmethod = "FETCH"\npath = "/x"', "there is no method FETCH"),
        ('[[operations]]\nname = "x"\npath = "/x"\nfailed = ["a"]', "list of statuses"),
        ("[fields]\nnonsense = 'a'", "[fields] has no key nonsense"),
        ("operations = 3", "write each operation under [[operations]]"),
    ],
)
def test_bad_rules_say_where(tmp_path, capsys, text, said):
    rules = tmp_path / "rules.toml"
    rules.write_text(text)

    with pytest.raises(CommandError) as error:
        call_command("ingest", str(REAL / "nginx_timed.log"), rules=str(rules))

    assert said.replace("  ", " ") in (str(error.value) + capsys.readouterr().err).replace(
        "  ", " "
    )
    with pytest.raises(CommandError, match="No such file"):
        call_command("ingest", str(REAL / "nginx_timed.log"), rules=str(tmp_path / "missing.toml"))


def test_orphans_are_swept_after_an_hour(settings, tmp_path):
    files.ingest(str(REAL / "nginx_timed.log"), now=NOW)
    [kept] = queries.segments(*ALWAYS)
    orphan, fresh = kept.with_name("orphan-0.parquet"), kept.with_name(".fresh-0.parquet.part")
    for path, age in ((orphan, 7200), (kept, 7200), (fresh, 60)):
        path.touch()
        os.utime(path, (NOW.timestamp() - age,) * 2)

    assert jobs.sweep_orphans(now=NOW) == 1
    assert (orphan.exists(), kept.exists(), fresh.exists()) == (False, True, True)


def test_queries(tmp_path):
    assert (queries.watermark(), queries.data_span(), queries.segments(*ALWAYS)) == (None, None, [])
    files.ingest(str(REAL / "nginx_timed.log"), now=NOW)

    first, last = queries.data_span()

    assert queries.watermark() == last
    assert len(queries.segments(first, first + 1)) == 1
    assert queries.segments(last + 1, last + 2) == []
    assert queries.coverage(first, last + 1).rows == 862
    assert Segment.objects.get().service.slug == "web"


def test_standard_input(tmp_path):
    """Read a pipe through the real command."""
    done = subprocess.run(
        [sys.executable, "manage.py", "ingest", "-", "--json"],
        input=(REAL / "nginx_timed.log").read_bytes(),
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=environment(PORTAL_HOME=str(tmp_path)),
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stored"] == 862


def test_the_same_lines_with_carriage_returns_are_the_same_requests(tmp_path, capsys):
    path = tmp_path / "windows.log"
    path.write_bytes((REAL / "nginx_timed.log").read_bytes().replace(b"\n", b"\r\n"))

    ingest(REAL / "nginx_timed.log", path, capsys=capsys)

    assert rows("count(*), count(DISTINCT request)") == [(1724, 862)]


def test_a_file_whose_name_is_no_text(tmp_path, capsys):
    path = tmp_path / os.fsdecode(b"na\xffme.log")
    path.write_text(log(0, 5))

    [report] = ingest(path, capsys=capsys)

    assert (report["stored"], report["source"][-12:]) == (5, "na\\xffme.log"[-12:])
