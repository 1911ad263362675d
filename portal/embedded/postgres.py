"""Launch one PostgreSQL over a data directory: no TCP, a private socket, a password, no trace when it is gone.

As root the server runs as the owner of the data, else `postgres`, else `nobody`. When that user cannot reach
PORTAL_HOME (a 0700 directory above it), the data stay where they are all the same: the server is started with the
data directory as its working directory and told to use /proc/self/cwd, so no path has to be walked and no mode
changed. The socket then lies in a directory of its own below /tmp, as it does when PORTAL_HOME's path is longer
than a socket address may be.
"""

import ctypes
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from portal.embedded.binaries import (
    Identity,
    environment,
    find_programs,
    server_identity,
)
from portal.embedded.errors import EmbeddedError
from portal.embedded.home import Home

#: Longest path of a socket's directory: 107 bytes on Linux, 103 elsewhere, less "/.s.PGSQL.5432".
LONGEST = 103 - 15
#: Seconds to become ready, crash recovery included, as long as the process lives.
START = 120.0
#: Seconds for a clean stop before it is cut short.
STOP = 60.0

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "100",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    # Short statements: compiling them costs more than it saves.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
}
#: For tests: what is committed outlives every kill, only not a power cut.
FAST = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    """The server of one PORTAL_HOME. Its owner holds that home's `postgres.lock`."""

    def __init__(self, home: Home) -> None:
        """Find the user and the programs, make the data directory if there is none. Raises EmbeddedError."""
        self.home = home
        self.who = server_identity(home.data)
        self.programs = find_programs(self.who, major=self._written_by())
        self.sockets = self._socket_directory()
        self.process: subprocess.Popen[bytes] | None = None
        if self._written_by() is None:
            self._make_data()
        elif not home.password.exists():
            self._set_password()

    def start(self) -> None:
        """Start the server and wait until it accepts connections. Raises EmbeddedError."""
        end = time.monotonic() + START
        while True:
            clear_leftovers(self.home.data, self.who)
            self._clear_sockets()
            offset = self.home.log.stat().st_size if self.home.log.exists() else 0
            self._spawn()
            if self._wait_ready(end):
                return
            said = _tail(self.home.log, offset)
            # Helpers of a killed server hold its memory for a moment longer.
            if "still in use" not in said or time.monotonic() > end:
                raise EmbeddedError(
                    f"PostgreSQL did not start in {self.home.data}; {self.home.log} says:\n{said}"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server: sessions end, what is committed is on disk. Cut short after a minute."""
        if self.process is None:
            return
        for sign, seconds in (
            (signal.SIGINT, STOP),
            (signal.SIGQUIT, 10.0),
            (signal.SIGKILL, 10.0),
        ):
            if self.process.poll() is not None:
                break
            self.process.send_signal(sign)
            try:
                self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def tidy(self) -> None:
        """Remove the socket directory if it lies outside PORTAL_HOME."""
        if self.home.path not in self.sockets.parents:
            shutil.rmtree(self.sockets, ignore_errors=True)

    # ------------------------------------------------------------------ data

    def _written_by(self) -> int | None:
        """Return the major version that wrote the data directory, or None when there is none."""
        try:
            text = (self.home.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EmbeddedError(f"Cannot read {self.home.data}: {error.strerror}.") from error
        if not text.isdigit():
            raise EmbeddedError(f"{self.home.data / 'PG_VERSION'} holds {text!r}, not a version.")
        return int(text)

    def _make_data(self) -> None:
        """Make the data directory beside its place and move it there whole: never half of one."""
        if self.home.data.exists() and any(self.home.data.iterdir()):
            raise EmbeddedError(
                f"{self.home.data} has files in it but is not a PostgreSQL data directory.\n"
                "Move it away, or set PORTAL_HOME to another directory."
            )
        password = secrets.token_urlsafe(24)
        draft = self.home.path / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        self._own(draft)
        given = self.sockets / "password"
        given.unlink(missing_ok=True)
        descriptor = os.open(given, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, password.encode())
            if self.who.other:
                os.fchown(descriptor, self.who.uid, self.who.gid)
            self._initdb(draft, given)
        finally:
            os.close(descriptor)
            given.unlink(missing_ok=True)
        _write_private(self.home.password, password)
        if self.home.data.exists():
            self.home.data.rmdir()
        draft.rename(self.home.data)

    def _initdb(self, draft: Path, password: Path) -> None:
        argv = [
            self.programs.initdb, "-D", self._data_argument(draft), "-U", "portal", "-E", "UTF8",
            f"--pwfile={password}", "--auth=scram-sha-256",
        ]  # fmt: skip
        if os.environ.get("PORTAL_PG_FAST") == "1":
            argv.append("--no-sync")
        # The same order of words on every machine, whatever its C library thinks.
        locales = [["--locale=C.UTF-8"], ["--no-locale"]]
        if self.programs.major >= 17:
            locales.insert(0, ["--locale-provider=builtin", "--locale=C.UTF-8"])
        said = ""
        for locale in locales:
            try:
                answer = self._run_initdb([*argv, *locale], draft)
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedError(f"{self.programs.initdb} does not run: {error}") from error
            if answer.returncode == 0:
                return
            said = answer.stdout.decode(errors="replace").strip()
            if "locale" not in said:
                break
        shutil.rmtree(draft, ignore_errors=True)
        raise EmbeddedError(f"PostgreSQL could not make its data directory {draft}:\n{said}")

    def _run_initdb(self, argv: list[str], cwd: Path) -> "subprocess.CompletedProcess[bytes]":
        if self.who.other or _has_name(self.who.uid):
            return self.who.run(argv, cwd=cwd, seconds=START)
        # initdb wants a name for its user. A user namespace in which we are `nobody` gives one (containers
        # that run under any number have none); where that is forbidden initdb says so itself.
        return subprocess.run(
            argv,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START,
            check=False,
            preexec_fn=_as_nobody(self.who),
        )

    def _set_password(self) -> None:
        """Give the database a new password when its file was lost."""
        password = secrets.token_urlsafe(24)
        clear_leftovers(self.home.data, self.who)
        answer = self.who.run(
            [
                self.programs.postgres,
                "--single",
                "-D",
                self._data_argument(self.home.data),
                "postgres",
            ],
            cwd=self.home.data,
            seconds=START,
            data=f"ALTER ROLE portal PASSWORD '{password}'\n".encode(),
        )
        if answer.returncode:
            raise EmbeddedError(
                f"{self.home.password} is missing and no new password could be set:\n"
                + answer.stdout.decode(errors="replace").strip()
            )
        _write_private(self.home.password, password)

    def _own(self, directory: Path) -> None:
        """Make a directory that only the server's user may enter."""
        try:
            directory.mkdir(mode=0o700)
            directory.chmod(0o700)
            if self.who.other:
                os.chown(directory, self.who.uid, self.who.gid)
        except OSError as error:
            raise EmbeddedError(
                f"Cannot make {directory} for uid {self.who.uid}: {error.strerror}."
            ) from error

    def _data_argument(self, data: Path) -> str:
        """Return how to name the data directory to a program whose working directory it is."""
        if not self.who.other or self.who.reaches(data):
            return str(data)
        if self.programs.major < 16:
            raise EmbeddedError(
                f"{data} cannot be reached by uid {self.who.uid}, as which PostgreSQL has to run, and PostgreSQL"
                f" {self.programs.major} cannot do without (16 and later can).\n"
                "Set PORTAL_HOME to a directory that every user may pass through, such as /var/lib/portal."
            )
        return "/proc/self/cwd"

    # --------------------------------------------------------------- sockets

    def _socket_directory(self) -> Path:
        """Return a directory for the socket: private, short enough, reachable for the server's user.

        In PORTAL_HOME when that will do; else below /tmp under a name that nobody can guess, noted in PORTAL_HOME
        so that it stays the same for those who hold the address.
        """
        here = self.home.run / "pg"
        plain = re.fullmatch(r"[A-Za-z0-9._/+@:-]+", str(here)) is not None
        short = len(os.fsencode(here)) <= LONGEST
        if plain and short and self._private(here) and self.who.reaches(here):
            return here
        note = self.home.run / "socket-directory"
        try:
            kept = Path(note.read_text().strip())
        except OSError:
            kept = None
        if kept is not None and kept.is_absolute() and self._private(kept):
            return kept
        fresh = Path(tempfile.mkdtemp(prefix="portal-", dir="/tmp"))
        if self.who.other:
            os.chown(fresh, self.who.uid, self.who.gid)
        note.write_text(str(fresh))
        return fresh

    def _private(self, directory: Path) -> bool:
        """Tell whether the directory, made if missing, belongs to the server's user and to nobody else."""
        if not os.path.lexists(directory):
            self._own(directory)
        found = directory.lstat()
        return found.st_uid == self.who.uid and found.st_mode & 0o170077 == 0o040000

    def _clear_sockets(self) -> None:
        """Remove a killed server's socket. None of a living one can be there: we hold the home's lock."""
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.sockets / name).unlink(missing_ok=True)

    # --------------------------------------------------------------- process

    def _spawn(self) -> None:
        settings = SETTINGS | {"unix_socket_directories": str(self.sockets)}
        if os.environ.get("PORTAL_PG_FAST") == "1":
            settings |= FAST
        argv = [self.programs.postgres, "-D", self._data_argument(self.home.data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        with self.home.log.open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    argv,
                    cwd=self.home.data,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    user=self.who.uid if self.who.other else None,
                    group=self.who.gid if self.who.other else None,
                    extra_groups=[] if self.who.other else None,
                    preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509  (the keeper has one thread)
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise EmbeddedError(
                    f"Cannot run {self.programs.postgres} as uid {self.who.uid}: {error}"
                ) from error

    def _wait_ready(self, end: float) -> bool:
        """Wait until the server says that it is ready; False when it ended before."""
        assert self.process is not None  # noqa: S101
        status = self.home.data / "postmaster.pid"
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            try:
                lines = status.read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.01)
        self.stop()
        raise EmbeddedError(
            f"PostgreSQL in {self.home.data} was not ready within {START:.0f} s; see {self.home.log}."
        )


def clear_leftovers(data: Path, who: Identity) -> None:
    """End what is left of an earlier server on this data directory, and forget its process number.

    The caller holds the home's lock, so whatever still works on these files lost its keeper. Most often it is
    just ending. A number that now belongs to a stranger would keep PostgreSQL from starting.
    """
    if not Path("/proc/self/cwd").exists():
        return
    for sign, seconds in (
        (0, 3.0),
        (signal.SIGINT, 15.0),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    ):
        end = time.monotonic() + seconds
        if not (left := _processes_in(data)):
            break
        for pid in left if sign else ():
            _signal(pid, sign)
        while left and time.monotonic() < end:
            time.sleep(0.02)
            left = _processes_in(data)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(data: Path) -> list[int]:
    """Return the living PostgreSQL processes whose working directory is `data`."""
    place = data.stat()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            cwd = (entry / "cwd").stat()
            program = (entry / "exe").readlink().name
        except OSError:
            continue  # ended, a zombie, or not ours to look at
        if (cwd.st_dev, cwd.st_ino) == (place.st_dev, place.st_ino) and program.startswith(
            "postgres"
        ):
            found.append(int(entry.name))
    return found


def _signal(pid: int, sign: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, sign)


def die_with_parent(sign: signal.Signals) -> "Callable[[], None] | None":
    """Return what a child calls before its program: it gets `sign` when the calling thread ends (Linux only).

    It also opens the signals that the keeper holds back for itself.
    """
    if sys.platform != "linux":
        return _open_signals
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        _open_signals()
        prctl(1, int(sign), 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _open_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _as_nobody(who: Identity) -> Callable[[], None]:
    """Return what enters a user namespace in which `who` is called nobody."""
    unshare = ctypes.CDLL(None, use_errno=True).unshare

    def enter() -> None:
        _open_signals()
        if unshare(0x10000000) == 0:  # CLONE_NEWUSER
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"65534 {who.uid} 1")
            Path("/proc/self/gid_map").write_text(f"65534 {who.gid} 1")

    return enter


def _has_name(uid: int) -> bool:
    import pwd  # noqa: PLC0415

    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def _tail(path: Path, offset: int = 0, *, lines: int = 12) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read()[-8000:].decode(errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
