"""A copy of an installation: its database, its events and its keys, all of one moment; and the way back.

The database is dumped by PostgreSQL's own `pg_dump`, within the snapshot in which the catalogue was read: the files
beside it are just those that it names. Roll-ups, pages and charts are not in it: workers make them again.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from apps.core.files import sync
from portal.embedded.binaries import client_programs
from portal.embedded.errors import EmbeddedError

FORM = 1
MANIFEST, DUMP, EVENTS, KEYS = "manifest.json", "database.dump", "events", "keys"
KEPT = ("secret", "actor-key", "actor-keys-old")
"""Files of PORTAL_HOME without which what was stored cannot be read on: who signs, and under which pseudonyms."""

Say = Callable[[str], object]

_SEGMENTS = "SELECT path, rows, bytes, sha256 FROM telemetry_segment WHERE deleted_at IS NULL"
# Nobody's work: wake-ups of workers that may not be there any more.
_WITHOUT = ("--exclude-table-data=pgmq.q_*", "--exclude-table-data=pgmq.a_*")


class BackupError(Exception):
    """It was not done; the message says why, and what to do."""


@dataclass(frozen=True)
class Backed:
    """What a backup holds."""

    files: int
    rows: int
    bytes: int
    linked: (
        int  # of the files: they share their bytes with the installation's until it removes its own
    )


def back_up(folder: Path, *, now: datetime) -> Backed:
    """Write a backup into a new folder. It is one once its manifest is there, which is written last."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} has files in it; give a new folder for each backup.")
    (folder / EVENTS).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with psycopg.connect(_url()) as con:
        con.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        (snapshot,) = con.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        segments = con.execute(_SEGMENTS).fetchall()
        # First the files: those that are replaced meanwhile stay for an hour only.
        linked = sum(
            _put(settings.EVENTS_DIR / path, folder / EVENTS / path) for path, *_ in segments
        )
        _dump(folder / DUMP, snapshot, con.info.server_version // 10_000)
    for name in KEPT:
        if (source := settings.PORTAL_HOME / name).exists():
            (folder / KEYS).mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(source, folder / KEYS / name)
    manifest = {
        "form": FORM,
        "portal": settings.VERSION,
        "made_at": now.isoformat(),
        "database": {"sha256": _digest(folder / DUMP), "bytes": (folder / DUMP).stat().st_size},
        "events": [
            {"path": path, "rows": rows, "bytes": size, "sha256": digest}
            for path, rows, size, digest in segments
        ],
    }
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(manifest, indent=1))
    for path in (draft, folder / DUMP, *(p for p in folder.rglob("*") if p.is_dir()), folder):
        sync(path)
    draft.rename(folder / MANIFEST)
    sync(folder)
    return Backed(len(segments), sum(s[1] for s in segments), sum(s[2] for s in segments), linked)


def restore(folder: Path, *, replace: bool, now: datetime, say: Say) -> Backed:
    """Put a backup in the place of this installation's database, events and keys. Safe to be run again.

    Everything is checked before anything is touched. Nothing else may run meanwhile.
    """
    manifest = _checked(folder)
    _refuse_others(replace=replace)
    root = Path(settings.EVENTS_DIR)
    # Files under the names that the database will say; those that are there already are the same or are replaced.
    linked = 0
    for one in manifest["events"]:
        place = root / one["path"]
        place.unlink(missing_ok=True)
        linked += _put(folder / EVENTS / one["path"], place)
        os.utime(place)  # or a sweep would take an old file that nothing names yet for an orphan
    for name in KEPT:
        if (source := folder / KEYS / name).exists():
            settings.PORTAL_HOME.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, settings.PORTAL_HOME / name)
    say("The files are there; now the database.")
    _load(folder / DUMP)
    connection.close()
    with connection.cursor() as cursor:
        # Replaced files are not in a backup, nor are roll-ups: workers make those again.
        cursor.execute("DELETE FROM telemetry_segment WHERE deleted_at IS NOT NULL")
        cursor.execute("DELETE FROM telemetry_rollup")
        cursor.execute("ANALYZE")
    call_command("migrate", interactive=False, verbosity=0)
    events = manifest["events"]
    return Backed(
        len(events), sum(e["rows"] for e in events), sum(e["bytes"] for e in events), linked
    )


def _checked(folder: Path) -> dict[str, Any]:
    """Return the manifest of a whole backup."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupError(f"{folder} holds no whole backup: {MANIFEST}: {error}") from error
    if manifest.get("form") != FORM:
        raise BackupError(f"{folder} was written by another version of the portal.")
    wrong = [f"{DUMP} is not what was written"] * (
        not (folder / DUMP).exists() or _digest(folder / DUMP) != manifest["database"]["sha256"]
    )
    for one in manifest["events"]:
        path = folder / EVENTS / one["path"]
        if not path.exists() or _digest(path) != one["sha256"]:
            wrong.append(f"{EVENTS}/{one['path']} is missing or is not what was written")
    if wrong:
        more = f"\nand {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise BackupError("\n".join(wrong[:5]) + f"{more}\nNothing was touched.")
    return manifest


def _refuse_others(*, replace: bool) -> None:
    """Raise BackupError when there is something to lose, or when others work with the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        (others,) = cursor.fetchone() or (0,)
        if others:
            raise BackupError(f"{others} others work with this database; stop the portal first.")
        if not replace and connection.introspection.table_names():
            cursor.execute("SELECT to_regclass('accounts_user'), to_regclass('telemetry_segment')")
            there = [name for name in cursor.fetchone() or () if name]
            for name in there:
                cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")  # noqa: S608  (a name of ours)
                if (cursor.fetchone() or (False,))[0]:
                    raise BackupError(
                        "This installation has people or events. Give --replace to put the backup in their place;"
                        " its present state is lost, so back it up first."
                    )


def _dump(path: Path, snapshot: str, major: int) -> None:
    _run(
        "pg_dump",
        major,
        *("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"),
        *_WITHOUT,
        f"--file={path}",
    )


def _load(path: Path) -> None:
    """Let the dump take the place of all that the database holds."""
    connection.close()
    with psycopg.connect(_url()) as con:
        schemas = [
            row[0]
            for row in con.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname IN ('public', 'pgmq')"
            ).fetchall()
        ]
        for schema in schemas:
            con.execute(f"DROP SCHEMA {schema} CASCADE")
        con.execute("CREATE SCHEMA public")
        major = con.info.server_version // 10_000
    _run("pg_restore", major, *_LOADING, str(path))


_LOADING = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")


def _run(program: str, major: int, *arguments: str) -> None:
    """Run a program of PostgreSQL on our database; raise BackupError with what it said."""
    try:
        place = client_programs(program, least=major)
    except EmbeddedError as error:
        raise BackupError(str(error)) from error
    given = {k: str(v) for k, v in connection.get_connection_params().items() if v is not None}
    environment = {
        **os.environ,
        "PGPASSWORD": given.get("password", ""),
        "PGHOST": given.get("host", ""),
        "PGPORT": given.get("port", ""),
        "PGUSER": given.get("user", ""),
        "LC_ALL": "C",
    }
    done = subprocess.run(
        [str(place), f"--dbname={given['dbname']}", *arguments],
        env={name: value for name, value in environment.items() if value},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"{program} said: {done.stdout.strip()[-1000:]}")


def _url() -> str:
    given = connection.get_connection_params()
    wanted = {k: given[k] for k in ("dbname", "user", "password", "host", "port") if given.get(k)}
    return psycopg.conninfo.make_conninfo(**wanted)


def _put(source: Path, place: Path) -> bool:
    """Link a file, or copy it durably where that cannot be; say whether it was linked."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        place.hardlink_to(source)
        return True
    shutil.copyfile(source, place)
    sync(place)
    return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
