"""The wait for 200 is measured over a real socket, against a real web process."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_bench_counts_what_was_acknowledged_and_stored():
    out = StringIO()
    call_command("bench", "acknowledge", quick=True, json=True, stdout=out, stderr=StringIO())

    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["row"].partition(": ")[2].partition(" of")[0] for row in rows] == [
        "p99", "median", "stored",
    ]  # fmt: skip
    assert rows[-1]["ours"] == rows[-1]["baseline"] == 2_000
    assert all(row["ours"] > 0 for row in rows)
