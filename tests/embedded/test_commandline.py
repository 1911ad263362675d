"""manage.py: a database for the commands that need one, and quiet ends."""

import ast
import shlex
import signal
import subprocess
import sys

import pytest

from portal.embedded.commandline import needs_database
from tests.embedded.processes import ROOT, environment, finish, processes_of, start


@pytest.mark.parametrize(
    "line",
    [
        "",
        "help",
        "--version",
        "check",
        "check --deploy",
        "migrate --help",
        "collectstatic --noinput",
    ],
)
def test_commands_without_a_database(line):
    assert not needs_database(["manage.py", *line.split()])


@pytest.mark.parametrize("line", ["migrate", "check --database default", "shell", "impact --all"])
def test_commands_with_a_database(line):
    assert needs_database(["manage.py", *line.split()])


def test_a_check_starts_no_server(new_home):
    assert "no issues" in finish(start(new_home, "manage.py", "check"))
    assert not (new_home / "postgres").exists()


def test_the_first_command_migrates_and_the_second_has_nothing_to_do(new_home):
    code = "from django.contrib.auth import get_user_model as m; print(m().objects.count())"
    assert finish(start(new_home, "manage.py", "shell", "-v0", "-c", code)) == "0"
    noted = (new_home / "run" / "migrated").stat().st_mtime_ns
    assert finish(start(new_home, "manage.py", "shell", "-v0", "-c", code)) == "0"
    assert (new_home / "run" / "migrated").stat().st_mtime_ns == noted
    assert processes_of(new_home) == []


def test_an_interrupted_command_ends_quietly(home):
    process = start(
        home, "manage.py", "shell", "-v0", "-c", "print('on'); import time; time.sleep(60)"
    )
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == ""


def test_a_reader_that_has_seen_enough(home):
    process = start(home, "manage.py", "shell", "-v0", "-c", "print('x' * 10_000_000)")
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=30) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_an_unfit_python_is_told_so():
    source = (ROOT / "manage.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    unfit = source.replace("(3, 11)", "(9, 0)", 1)
    done = subprocess.run(
        [sys.executable, "-c", unfit],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=environment(ROOT),
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert "Python 3.11 or newer" in done.stderr


AWAY = {"DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/x"}


@pytest.mark.parametrize("line", ["impact --all", "apikey list", "apikey issue 'edge nginx'"])
def test_a_database_that_is_away_is_told_in_a_line(home, line):
    process = start(home, "manage.py", *shlex.split(line), **AWAY)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("manage.py: The database refused: connection failed")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 0, ""),
        ("<&-", 0, ""),
        ("2>&-", 0, ""),
        (">/dev/full", 1, "manage.py: No space left on device."),
    ],
)
def test_streams_that_are_closed_or_full(home, redirection, code, said):
    """The names of the commands are written to standard output."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" manage.py help --commands {redirection}', sys.executable],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        env=environment(home),
    )
    assert (done.returncode, done.stderr.strip()) == (code, said)


def test_an_argument_that_is_no_text(home):
    process = start(
        home,
        "manage.py",
        *["impact", "--from", "2026-01-01", "--to", "2026-01-02", "--service"],
        b"\xff",
    )
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (1, False)
    assert "not text in UTF-8" in err
