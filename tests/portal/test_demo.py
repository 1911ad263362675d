"""The demo, as a newcomer runs it: every step truly happened, and nothing is left running."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.demo.steps import NotTrue, Steps

ROOT = Path(__file__).parent.parent.parent


def processes_of(home: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in words and int(entry.name) != os.getpid():
            found.append(words[:200].decode(errors="replace"))
    return found


@pytest.mark.worker
def test_once_tells_the_story_and_leaves_nothing(tmp_path):
    tmp_path.chmod(0o711)
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "DATABASE_", "DJANGO_"))
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--once"],
        check=False,
        cwd=ROOT,
        env={**environment, "PORTAL_HOME": str(tmp_path), "PORTAL_PG_FAST": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 18
    assert "✗" not in done.stdout
    assert "50 of 257 requests failed" in done.stdout
    assert "What we cannot tell" in done.stdout
    simulated = done.stdout.partition("told as a story")[2]
    assert "tried to buy something" in simulated
    assert "Hit hardest: Birch Kitchens (simulated)" in simulated
    assert processes_of(tmp_path) == []


def test_a_step_that_fails_is_said_and_those_after_it_are_not_tried(capsys):
    steps = Steps(out=sys.stdout)

    def fails() -> str:
        raise NotTrue("3 arrived, 4 were sent")

    assert steps.run("first", lambda: "done")
    assert not steps.run("second", fails)
    assert not steps.run("third", lambda: "done")

    out = capsys.readouterr().out
    assert "✗ second" in out
    assert "3 arrived, 4 were sent" in out
    assert "third                    not tried" in out
    assert steps.failed == ["second"]
