"""`manage.py simulate`: files, standard output, and clear words when it cannot."""

import gzip
import io
import json

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from apps.analytics.events import EVENT_SCHEMA


def write(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("simulate", "--events", "2000", "--weeks", "1", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_lines_to_standard_output_and_what_was_written_to_the_other():
    out, err = write("--fault", "total")
    lines = [json.loads(line) for line in out.splitlines()]
    assert abs(len(lines) - 2000) < 200
    assert {"time", "customer", "service", "operation", "status", "request_id"} <= lines[0].keys()
    assert err.strip().endswith("Fault 'total': 2026-01-06T10:04:00Z to 2026-01-06T10:30:00Z.")


def test_the_same_options_write_the_same_bytes(tmp_path):
    for name in ("a.ndjson.gz", "b.ndjson.gz"):
        write(
            "--out", str(tmp_path / name), "--seed", "5", "--truth", str(tmp_path / f"truth-{name}")
        )
    assert (tmp_path / "a.ndjson.gz").read_bytes() == (tmp_path / "b.ndjson.gz").read_bytes()
    packed = (tmp_path / "truth-a.ndjson.gz").read_bytes()
    truth = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert {row["row"] for row in truth} == {"attempt", "absence"}
    assert (tmp_path / "truth-b.ndjson.gz").stat().st_size == (
        tmp_path / "truth-a.ndjson.gz"
    ).stat().st_size


def test_parquet_has_the_form_of_a_segment(tmp_path):
    write("--format", "parquet", "--out", str(tmp_path / "x.parquet"), "--start", "2026-03-02")
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema.equals(EVENT_SCHEMA)
    assert table.num_rows > 1500


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "nonsense"], r"There is no fault 'nonsense'\. There is: none, total"),
        (["--out", "/nowhere/x.ndjson"], r"/nowhere/x\.ndjson cannot be written: No such file"),
        (["--out", "/dev/full"], "/dev/full cannot be written: No space left"),
        (["--truth", "/nowhere/t.gz"], "/nowhere/t.gz cannot be written"),
        (["--format", "parquet"], "Parquet needs a file"),
        (["--out", "a", "--truth", "a"], "the same file"),
        (["--start", "yesterday"], "yesterday is not a day such as"),
        (["--weeks", "0"], "0 is not a number from 1 on"),
        (["--seed", "-3"], "a whole number from 0"),
    ],
)
def test_wrong_options_get_a_clear_message(arguments, words):
    with pytest.raises(CommandError, match=words):
        write(*arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--start", "9999-12-31"),
        ("--start", "0001-01-01"),
        ("--weeks", "100000000"),
        ("--seed", "-1"),
        ("--seed", "9" * 30),
    ],
)
def test_numbers_that_no_plan_can_have_are_refused(wrong):
    with pytest.raises(CommandError, match=wrong[0]):
        write("--events", "10", *wrong)
