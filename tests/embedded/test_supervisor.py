"""Programs that live and die together."""

import os
import signal
import socket
import sys
import time
import uuid

import pytest

from portal.embedded import EmbeddedError
from portal.embedded.programs import Address, free_address, read_address
from portal.embedded.supervisor import Supervisor
from tests.embedded.processes import (
    assert_nothing_left,
    cleaned,
    kill,
    processes_of,
    start,
    wait_until,
)

#: A program with a child that hides in a session of its own, and with that one's child.
FAMILY = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
print("here", flush=True)
time.sleep(60)
"""
SUPERVISING = f"""
import sys, time
from portal.embedded.supervisor import Supervisor
supervisor = Supervisor(echo=False)
for name in ("one", "two"):
    supervisor.add(name, [sys.executable, "-c", {FAMILY!r}, sys.argv[1]], ready=supervisor.log_says(name, "here"))
supervisor.start()
supervisor.wait_ready(20)
time.sleep(60)
"""


@pytest.fixture
def mark():
    return f"mark-{uuid.uuid4().hex}"


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(new_home, said):
    with Supervisor(new_home, say=said.append, echo=False) as supervisor:
        yield supervisor


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_kill_9_of_the_supervisor_leaves_nothing(new_home, mark):
    process = start(new_home, "-c", SUPERVISING, mark)
    try:
        for name in ("one", "two"):
            wait_until(lambda name=name: f"{name} is ready" in process.stdout.readline())
        assert len([p for p in processes_of(mark) if "shim.py" not in p]) == 1 + 2 * 3
        kill(process)
    finally:
        cleaned([process])
    assert_nothing_left(mark, seconds=5)


def test_a_dead_program_is_started_again_with_all_that_belonged_to_it_gone(supervisor, said, mark):
    supervisor.add("family", python(FAMILY, mark), ready=supervisor.log_says("family", "here"))
    supervisor.start()
    supervisor.wait_ready(20)
    before = {line.split()[0] for line in processes_of(mark)}
    main = next(p for p in processes_of(mark) if "shim.py" not in p).split()[0]
    os.kill(int(main), signal.SIGKILL)
    wait_until(lambda: "family is back" in said)
    after = {line.split()[0] for line in processes_of(mark)}
    assert not before & after
    assert "family ended (killed by SIGKILL); starting it again in 0.5 s" in said
    supervisor.stop()
    assert_nothing_left(mark, seconds=1)


def test_kill_9_of_a_shim_leaves_nothing_of_its_program(supervisor, said, mark):
    supervisor.add("plain", python("import time; print('here', flush=True); time.sleep(60)", mark))
    supervisor.start()
    supervisor.wait_ready(20)
    shim = next(p for p in processes_of(mark) if "shim.py" in p).split()[0]
    before = {line.split()[0] for line in processes_of(mark)}
    os.kill(int(shim), signal.SIGKILL)
    wait_until(lambda: "plain is back" in said)
    assert not before & {line.split()[0] for line in processes_of(mark)}


def test_a_program_that_never_gets_up_is_told_with_its_last_words(supervisor):
    supervisor.add("bad", python("import sys; sys.exit('no luck today')"), ready=lambda: False)
    supervisor.start()
    with pytest.raises(EmbeddedError, match=r"bad does not stay up(.|\n)*no luck today"):
        supervisor.wait_ready(20)


def test_a_program_that_is_late(supervisor):
    supervisor.add("late", python("import time; time.sleep(60)"), ready=lambda: False)
    supervisor.start()
    with pytest.raises(EmbeddedError, match="late was not ready within 0 s"):
        supervisor.wait_ready(0.3)


def test_a_program_that_does_not_exist(supervisor, said):
    supervisor.add("ghost", ["/nonexistent/program"], ready=lambda: False)
    supervisor.start()
    wait_until(lambda: any("exit code 127" in line for line in said))
    supervisor.stop()
    assert (
        "cannot run /nonexistent/program: No such file"
        in supervisor.program("ghost").log.read_text()
    )


def test_an_ordered_stop(supervisor, mark):
    kind = "import signal, sys, time\ndef end(*_):\n    print('bye', flush=True); sys.exit(0)\n"
    wait = "print('here', flush=True)\ntime.sleep(60)"
    supervisor.add(
        "kind", python(f"{kind}signal.signal(signal.SIGTERM, end)\n{wait}", mark), grace=20,
        ready=supervisor.log_says("kind", "here"),
    )  # fmt: skip
    supervisor.add(
        "deaf", python(f"{kind}signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{wait}", mark), grace=0.3,
        ready=supervisor.log_says("deaf", "here"),
    )  # fmt: skip
    supervisor.start()
    supervisor.wait_ready(20)
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began < 5
    assert_nothing_left(mark, seconds=0.5)
    assert "bye" in supervisor.program("kind").log.read_text()


def test_a_second_request_to_stop_kills(supervisor, mark):
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True)\n"
        "time.sleep(60)"
    )
    supervisor.add("deaf", python(deaf, mark), grace=60, ready=supervisor.log_says("deaf", "here"))
    supervisor.start()
    supervisor.wait_ready(20)
    supervisor.hurry()
    supervisor.stop()
    assert_nothing_left(mark, seconds=0.5)


def test_one_supervisor_a_home(supervisor, new_home):
    supervisor.take_home("http://127.0.0.1:8000")
    other = Supervisor(new_home)
    with pytest.raises(EmbeddedError, match=r"already up \(process \d+, http://127.0.0.1:8000\)"):
        other.take_home()
    supervisor.stop()
    other.take_home()
    other.stop()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(EmbeddedError, match=f"port {address.port}: Address already in use"):
            free_address(address)
        other = free_address(address, any_port=True)
        assert other.port not in {0, address.port}
    assert free_address(address) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("9000", Address("127.0.0.1", 9000)),
        (":9000", Address("127.0.0.1", 9000)),
        ("[::1]:9000", Address("::1", 9000)),
        ("host.example:9000", Address("host.example", 9000)),
    ],
)
def test_addresses(text, address):
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "x", "127.0.0.1", "1:2:3", "localhost:0", "localhost:70000", "a:٣"]
)
def test_what_is_no_address(text):
    with pytest.raises(EmbeddedError, match="is not an address"):
        read_address(text)


def test_how_an_address_is_reached_from_here():
    assert Address("0.0.0.0", 80).url == "http://127.0.0.1:80"  # noqa: S104
    assert Address("::", 80).url == "http://[::1]:80"
