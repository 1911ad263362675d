"""`manage.py tail`, as a process of its own: what was written is stored, once, whatever happens meanwhile."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection

from apps.telemetry.models import Batch
from tests.telemetry.test_ingest import rows
from tests.worker import environment

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 11, 22, 20, tzinfo=UTC).timestamp()


class Writer:
    """Writes lines, each with a number of its own, as nginx does."""

    def __init__(self, path):
        self.path = path
        self.written = 0
        self.file = None
        self.reopen()

    def reopen(self):
        if self.file:
            self.file.close()
        self.file = self.path.open("a")

    def lines(self, count):
        for _ in range(count):
            self.file.write(self.line())
        self.file.flush()

    def line(self):
        self.written += 1
        n = self.written
        stamp = datetime.fromtimestamp(START + n * 0.7, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        return (
            f'203.0.113.{n % 250} - - [{stamp}] "GET /product/{n} HTTP/1.1" 200 2 "-" "Mozilla/5.0" '
            f"rt=0.003 rid={n:032x}\n"
        )


class Process:
    """A tail that runs."""

    def __init__(self, *argv, stdin=subprocess.DEVNULL):
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "tail", *map(str, argv), "--json", "--every", "0.2"],
            cwd=settings.BASE_DIR,
            env=environment(),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.stdin = self._process.stdin

    def kill(self):
        self._process.kill()
        self._process.communicate()

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self):
        out, err = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, err
        self.said = err.decode()
        return {r["source"]: r for r in map(json.loads, out.splitlines())}


@pytest.fixture
def write():
    """Open writers; none stays open."""
    made = []

    def opened(path):
        made.append(Writer(path))
        return made[-1]

    yield opened
    for one in made:
        one.file.close()


@pytest.fixture
def tail():
    """Start tails; none is left."""
    started = []

    def start(*argv, **more):
        started.append(Process(*argv, **more))
        return started[-1]

    yield start
    for one in started:
        if one._process.poll() is None:
            one.kill()


def stored():
    return rows("count(*), count(DISTINCT request)")[0] if Batch.objects.exists() else (0, 0)


def wait_for(count, seconds=90):
    until = time.monotonic() + seconds
    while stored()[0] < count and time.monotonic() < until:
        time.sleep(0.05)
    assert stored() == (count, count)


def test_rotations_and_kills_lose_and_double_nothing(tmp_path, tail, write):
    log = tmp_path / "access.log"
    writer = write(log)
    writer.lines(50)
    process = tail(log)
    wait_for(50)

    half = writer.line()
    writer.file.write(half[:40])  # the last line waits until it is whole
    writer.file.flush()
    time.sleep(0.6)
    assert stored() == (50, 50)
    writer.file.write(half[40:])
    writer.lines(20)
    wait_for(71)

    # by renaming: the server writes on into the old file until it is told
    log.rename(tmp_path / "access.log.1")
    writer.lines(30)
    writer.reopen()
    writer.lines(10)
    wait_for(111)

    # by copying and cutting, lines unread
    writer.lines(40)
    shutil.copy2(log, tmp_path / "access.log.2")
    os.truncate(log, 0)
    writer.lines(5)
    wait_for(156)

    # killed while it stores
    for _ in range(40):
        writer.lines(100)
        time.sleep(0.01)
    process.kill()

    # while nobody looks: two rotations, the older of them packed
    writer.lines(60)
    log.rename(tmp_path / "access.log.3")
    writer.reopen()
    writer.lines(7)
    packed = tmp_path / "access.log.4.gz"
    log.rename(tmp_path / "access.log.4")
    packed.write_bytes(gzip.compress((tmp_path / "access.log.4").read_bytes()))
    (tmp_path / "access.log.4").unlink()
    writer.reopen()
    writer.lines(9)

    process = tail(log)
    wait_for(writer.written)
    writer.file.write("nonsense\n")
    writer.lines(1)
    wait_for(writer.written)
    assert process.stop()[str(log)]["rejected"] == 1

    # and nothing is added by whoever reads all of it again
    again = tail(str(tmp_path / "access.log*"))
    writer.lines(3)
    wait_for(writer.written)
    time.sleep(0.5)
    reports = again.stop()
    assert stored() == (writer.written, writer.written)
    assert sum(r["stored"] for r in reports.values()) == 3


def test_a_pipe_ends_with_its_last_line_and_waits_for_the_database(tmp_path, tail, write):
    writer = write(tmp_path / "unused")
    process = tail("-", stdin=subprocess.PIPE)
    process.stdin.write("".join(writer.line() for _ in range(30)).encode())
    process.stdin.flush()
    wait_for(30)

    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:  # whoever was connected is thrown out
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )
    text = "".join(writer.line() for _ in range(25)).encode()
    process.stdin.write(text.rstrip(b"\n"))
    process.stdin.close()
    process._process.stdin = None
    reports = process.ended()

    assert reports["standard input"]["stored"] == 55
    assert "Nothing can be stored" in process.said
    assert "Stored again" in process.said
    assert stored() == (55, 55)


def test_what_is_no_log_is_told_and_left_alone(tmp_path, tail, write):
    (tmp_path / "poem.log").write_text("roses are red\n" * 60)
    (tmp_path / "packed.log").write_bytes(b"\x28\xb5\x2f\xfd1234")
    writer = write(tmp_path / "access.log")
    writer.lines(10)
    process = tail(str(tmp_path / "*.log"), tmp_path / "not-yet.log")
    wait_for(10)
    later = write(tmp_path / "not-yet.log")
    later.written = 10
    later.lines(4)
    wait_for(14)
    process.stop()

    assert "roses are red" in process.said
    assert "packed with zstd" in process.said
