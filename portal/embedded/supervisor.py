"""Run several programs as one: start in order, watch, restart, stop, and leave nothing behind.

    with Supervisor(home) as supervisor:
        supervisor.add("web", [...], ready=answers("127.0.0.1", 8000, "/healthz"))
        supervisor.start()
        supervisor.wait_ready(60)
        …

Each program runs behind `shim.py`, which kills all that belongs to it when we die, by whatever end.
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from portal.embedded.client import revive, server_number
from portal.embedded.errors import EmbeddedError
from portal.embedded.home import ROOT, Home, home_path, open_lock, try_lock

SHIM = Path(__file__).with_name("shim.py")
#: Seconds before the first restart of a program that died, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: Seconds of good running after which earlier deaths are forgotten.
FORGET = 60.0
#: Deaths in a row before it was ever ready that make `wait_ready` give up.
HOPELESS = 3
LOG_LIMIT = 5 * 2**20
COLOURS = (36, 33, 35, 32, 34, 31)


@dataclass
class Program:
    """One supervised program and what has become of it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    grace: float  # seconds between the request to end and the kill
    where: str  # said when it is ready
    log: Path
    colour: int
    process: "subprocess.Popen[bytes] | None" = None
    lifeline: int = -1
    reader: threading.Thread | None = None
    started: float = 0.0
    deaths: int = 0
    is_ready: bool = False
    was_ready: bool = False
    due: float = 0.0
    last_words: list[str] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Programs that live and die together; one supervisor a PORTAL_HOME.

    `say` gets one calm line for each step; `echo` tells whether the programs' own output goes to the terminal as
    well as to PORTAL_HOME/run/NAME.log.
    """

    def __init__(
        self, home: Path | None = None, *, say: Callable[[str], None] = print, echo: bool = True
    ) -> None:
        self.home = Home(home_path(home))
        self.say = say
        self.echo = echo
        self.programs: list[Program] = []
        self._lock: int | None = None
        self._server = 0
        self._signs: set[str] = set()  # lines that we told to ourselves
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._watcher: threading.Thread | None = None

    def add(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        ready: Callable[[], bool] | None = None,
        grace: float = 10.0,
        where: str = "",
    ) -> None:
        """Add a program: `env` on top of our environment; `ready` is asked until it says yes."""
        self.programs.append(
            Program(
                name=name,
                argv=list(argv),
                env=dict(env or {}),
                ready=ready or (lambda: True),
                grace=grace,
                where=where,
                log=self.home.run / f"{name}.log",
                colour=COLOURS[len(self.programs) % len(COLOURS)],
            )
        )

    def log_says(self, name: str, text: str) -> Callable[[], bool]:
        """Return what tells whether the program, since it was last started, has said `text`."""

        self._signs.add(text)

        def ready() -> bool:
            program = self.program(name)
            return any(text in line for line in program.last_words)

        return ready

    def program(self, name: str) -> Program:
        """Return a program by its name."""
        return next(program for program in self.programs if program.name == name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ------------------------------------------------------------ life

    def take_home(self, note: str = "") -> None:
        """Become the one supervisor of this PORTAL_HOME. EmbeddedError names the one that already is."""
        if self._lock is not None:
            return
        self.home.make()
        path = self.home.run / "up.lock"
        lock = open_lock(path)
        if not try_lock(lock):
            other = path.read_text().strip()
            os.close(lock)
            raise EmbeddedError(
                f"The portal of {self.home.path} is already up{f' ({other})' if other else ''}.\n"
                "Stop that one first, or set another PORTAL_HOME to run a second."
            )
        os.truncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}{f', {note}' if note else ''}\n".encode(), 0)
        self._lock = lock

    def start(self) -> None:
        """Start all programs in the order in which they were added, and watch them. Does not wait."""
        self.take_home()
        self._stopping.clear()
        self._hurry.clear()
        for program in self.programs:
            self._launch(program)
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def wait_ready(self, timeout: float) -> None:
        """Wait until every program has been ready once. EmbeddedError tells which is not, and its last words."""
        end = time.monotonic() + timeout
        with self._changed:
            while waiting := [p for p in self.programs if not p.was_ready]:
                hopeless = [p for p in waiting if p.deaths >= HOPELESS]
                left = end - time.monotonic()
                if self._stopping.is_set():
                    raise EmbeddedError("Stopped before everything was ready.")
                if hopeless or left <= 0:
                    late = (hopeless or waiting)[0]
                    what = (
                        "does not stay up" if hopeless else f"was not ready within {timeout:.0f} s"
                    )
                    words = "\n".join(f"  {line}" for line in late.last_words[-12:])
                    raise EmbeddedError(f"{late.name} {what}; {late.log} ends with:\n{words}")
                self._changed.wait(min(left, 0.2))

    def stop(self) -> None:
        """Ask all to end, the last added first, and kill what does not within its grace."""
        if self._stopping.is_set() and self._watcher is None:
            return
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join(timeout=30)
            self._watcher = None
        # Asked in order, waited for together: the database outlives them all.
        for program in reversed(self.programs):
            self._order(program, b"t")
        asked = time.monotonic()
        for program in reversed(self.programs):
            self._end(program, asked)
        if self._lock is not None:
            os.truncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def hurry(self) -> None:
        """Let `stop` kill at once what it would have waited for. May be called from a signal handler."""
        self._hurry.set()

    # ---------------------------------------------------------- internal

    def _launch(self, program: Program) -> None:
        if program.log.exists() and program.log.stat().st_size > LOG_LIMIT:
            program.log.replace(program.log.with_suffix(".log.1"))
        program.last_words = []
        program.is_ready = False
        program.started = time.monotonic()
        held, program.lifeline = os.pipe()
        try:
            program.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SHIM), str(held), *program.argv],
                cwd=ROOT,
                env={**os.environ, **program.env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(held,),
                start_new_session=True,
            )
        finally:
            os.close(held)
        assert program.process.stdout is not None  # noqa: S101  (a pipe was asked for)
        program.reader = threading.Thread(
            target=self._read, args=(program, program.process.stdout), daemon=True
        )
        program.reader.start()

    def _read(self, program: Program, output: BinaryIO) -> None:
        """Copy a program's output to its log and the terminal until it ends."""
        words = program.last_words
        with output, program.log.open("ab", buffering=0) as log:
            for raw in output:
                with suppress(OSError):
                    log.write(time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime()).encode() + raw)
                line = raw.decode(errors="replace").rstrip()
                words.append(line)
                if len(words) > 200:
                    del words[:100]
                if self.echo and line and line not in self._signs:
                    self._print(program, line)

    def _print(self, program: Program, line: str) -> None:
        label = f"{program.name:<7}"
        if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
            label = f"\x1b[{program.colour}m{label}\x1b[0m"
        with suppress(OSError, ValueError):  # the terminal is gone
            print(f"{label} {line}", file=sys.stderr)  # noqa: T201  (this is the terminal's part)

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._stopping.wait(0.1):
            for program in self.programs:
                try:
                    self._look(program)
                except OSError as error:  # no memory, no descriptors, a full disk: it passes
                    program.due = time.monotonic() + LONGEST_PAUSE
                    self._tell(f"{program.name}: {error}")
            if time.monotonic() - looked > 1:
                looked = time.monotonic()
                self._keep_database()

    def _look(self, program: Program) -> None:
        """See to one program: is it dead, is it to be started again, is it ready?"""
        now = time.monotonic()
        if program.process is None:
            if now >= program.due:
                self._launch(program)
        elif (code := program.process.poll()) is not None:
            self._bury(program, code, now)
        elif not program.is_ready and program.ready():
            self._ready(program)

    def _ready(self, program: Program) -> None:
        where = f"  {program.where}" if program.where else ""
        self._tell(f"{program.name} is {'back' if program.was_ready else 'ready'}{where}")
        with self._changed:
            program.is_ready = program.was_ready = True
            self._changed.notify_all()

    def _bury(self, program: Program, code: int, now: float) -> None:
        """Note a death and when to try again."""
        self._close(program)
        if program.is_ready and now - program.started > FORGET:
            program.deaths = 0
        pause = min(FIRST_PAUSE * 2 ** min(program.deaths, 10), LONGEST_PAUSE)
        with self._changed:
            program.deaths += 1
            program.is_ready = False
            program.due = now + pause
            self._changed.notify_all()
        self._tell(f"{program.name} ended ({_ending(code)}); starting it again in {pause:g} s")

    def _keep_database(self) -> None:
        try:
            revive()
        except EmbeddedError as error:
            self._tell(f"PostgreSQL: {error}")
        if (number := server_number()) and number != self._server:
            if self._server:
                self._tell("PostgreSQL ended and was started again")
            self._server = number

    def _tell(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self.say(line)

    def _end(self, program: Program, asked: float) -> None:
        process = program.process
        if process is not None and process.poll() is None:
            end = asked + program.grace
            while process.poll() is None and time.monotonic() < end and not self._hurry.is_set():
                time.sleep(0.02)
            if process.poll() is None:
                self._order(program, b"k")
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
        self._close(program)

    def _order(self, program: Program, order: bytes) -> None:
        if program.lifeline < 0:
            return
        with suppress(OSError):  # it ended meanwhile
            os.write(program.lifeline, order)

    def _close(self, program: Program) -> None:
        """Let go of a program that ended; a shim that was killed itself leaves its group to us."""
        if program.process is None:
            return
        if program.process.wait(timeout=10) < 0:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(program.process.pid, signal.SIGKILL)
        if program.lifeline >= 0:
            os.close(program.lifeline)
            program.lifeline = -1
        if program.reader is not None:
            program.reader.join(timeout=2)
        program.process = None


def _ending(code: int) -> str:
    """Return an exit code in words."""
    number = -code if code < 0 else code - 128
    if number > 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


def answers(host: str, port: int, path: str, *, as_host: str = "") -> Callable[[], bool]:
    """Return what tells whether an HTTP server answers GET `path` with 200, asked for as `as_host`."""
    headers = {"Host": as_host or f"{host}:{port}", "Connection": "close"}

    def ready() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
