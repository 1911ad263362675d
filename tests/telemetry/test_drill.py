"""The drill of ingest, shortened."""

import json

import pytest
from django.core.management import call_command


@pytest.mark.django_db(transaction=True)
def test_ingest_killed_and_run_again_stores_each_line_once(capsys):
    call_command("drill", "ingest", quick=True, kills="2", json=True)

    steps = {s["step"]: s for s in map(json.loads, capsys.readouterr().out.splitlines())}
    assert steps["killed -9"]["tried"] == 2
    assert steps["reads that fail"]["tried"] > 0
    assert all(step["ok"] for step in steps.values())
    assert steps["lines lost"]["tried"] > 0
