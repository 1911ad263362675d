"""The verbs for figures, shortened: as commands, in homes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def figures(tmp_path: Path, *arguments: str) -> list[dict]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "DATABASE_", "DJANGO_"))
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments, "--quick", "--json"],
        check=False,
        cwd=ROOT,
        env={**kept, "PORTAL_HOME": str(tmp_path), "PORTAL_PG_FAST": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.worker
def test_a_worker_killed_again_and_again_leaves_one_right_snapshot_a_run(tmp_path):
    rows = figures(tmp_path, "drill", "impact")

    assert len(rows) == 5
    assert all(row["ok"] and row["tried"] for row in rows)
    assert list(tmp_path.iterdir()) == [], "a drill must not touch an installation"


def test_the_bench_says_ours_and_the_baseline(tmp_path):
    rows = figures(tmp_path, "bench", "impact", "--events", "50000")

    assert len(rows) == 11
    wanted = {"bench", "row", "ours", "baseline", "ratio", "goal", "ok"}
    assert all(wanted <= set(row) for row in rows)
    assert all(row["ours"] > 0 for row in rows)


def test_counts_of_the_story_are_near_the_planted_truth(tmp_path):
    rows = figures(tmp_path, "evaluate", "impact", "--events", "300000")

    judged = [row for row in rows if row["goal"]]
    assert len(judged) >= 5
    assert all(row["ok"] for row in judged), rows


def test_attempts_are_found_as_they_were_planted(tmp_path):
    rows = figures(tmp_path, "evaluate", "attempts", "--events", "150000")

    people = next(row for row in rows if row["measure"].startswith("all: people"))
    assert people["value"] >= 0.94
