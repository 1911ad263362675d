"""PORTAL_HOME: where an installation keeps its things, and the locks that its processes share."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portal.embedded.errors import EmbeddedError

ROOT = Path(__file__).resolve().parent.parent.parent


def home_path(given: Path | None = None) -> Path:
    """Return PORTAL_HOME as an absolute path: the argument, the variable, or `.portal` in the project."""
    return Path(given or os.environ.get("PORTAL_HOME") or ROOT / ".portal").absolute()


@dataclass(frozen=True)
class Home:
    """The places inside PORTAL_HOME that this package uses."""

    path: Path

    @property
    def run(self) -> Path:
        """What only matters while something runs: locks, logs, sockets."""
        return self.path / "run"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory; belongs to the user that the server runs as."""
        return self.path / "postgres"

    @property
    def password(self) -> Path:
        """The database password, readable by the owner alone."""
        return self.path / "postgres-password"

    @property
    def state(self) -> Path:
        """JSON of the running server: there only while it accepts connections."""
        return self.run / "postgres.json"

    @property
    def log(self) -> Path:
        """What PostgreSQL and its keeper say."""
        return self.run / "postgres.log"

    def make(self) -> None:
        """Create PORTAL_HOME and its run directory.

        As root they can be passed through (not read) by others, since the server runs as another user.
        """
        mode = 0o711 if os.geteuid() == 0 else 0o700
        for place in (self.path, self.run):
            try:
                if not place.is_dir():
                    place.mkdir(parents=True, exist_ok=True)
                    place.chmod(mode)
            except OSError as error:
                raise EmbeddedError(
                    f"Cannot create {place}: {error.strerror}.\n"
                    "Set PORTAL_HOME to a directory that you may write to."
                ) from error
        if not os.access(self.run, os.W_OK | os.X_OK):
            raise EmbeddedError(
                f"{self.run} belongs to another user (uid {self.run.stat().st_uid}, you are {os.geteuid()}).\n"
                "Run as that user, or set PORTAL_HOME to a directory of your own."
            )

    def identity(self) -> str:
        """Return a mark of this very data directory: another one, made later in its place, has another."""
        try:
            found = (self.data / "PG_VERSION").stat()
        except OSError:
            return ""
        return f"{found.st_ino}-{found.st_mtime_ns}"

    def remembers(self, name: str, value: str) -> bool:
        """Tell whether `remember(name, value)` was called for this very data directory."""
        try:
            return (self.run / name).read_text() == f"{self.identity()} {value}"
        except OSError:
            return False

    def remember(self, name: str, value: str) -> None:
        """Note that something has been done to this data directory."""
        draft = self.run / f"{name}.{os.getpid()}"
        draft.write_text(f"{self.identity()} {value}")
        draft.replace(self.run / name)


def open_lock(path: Path) -> int:
    """Return a descriptor of a lock file, made when missing; not inherited by programs started later."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise EmbeddedError(
            f"Cannot open {path}: {error.strerror}.\nIt may belong to another user who ran the portal before."
        ) from error


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if nobody's stands in the way; never waits."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise EmbeddedError(
            f"The file system does not lock files: {error.strerror}.\nSet PORTAL_HOME to a local directory."
        ) from error
    return True


def is_locked(path: Path) -> bool:
    """Tell whether some process holds the file's lock exclusively."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, seconds: float, what: str) -> Iterator[None]:
    """Hold the file's lock; EmbeddedError says what was waited for when it takes longer than `seconds`."""
    descriptor = open_lock(path)
    try:
        end = time.monotonic() + seconds
        while not try_lock(descriptor):
            if time.monotonic() > end:
                raise EmbeddedError(
                    f"Waited {seconds:.0f} s for another command to {what} ({path})."
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
