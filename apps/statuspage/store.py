"""Generations of rendered files: written aside, then made current by one rename.

    STATUS_DIR/current -> renders/<sequence>/
        manifest.json            when it was rendered and until when it may be believed
        public/                  index.html, i/<reference>.html, index.json, status.css; each with .gz
        customers/<id>.html      the whole page with *For you* in it; kinds.json
        errors/<code>.json       what to do about an error, by kind of customer

`public/` is complete in itself: any web server or bucket can mirror it. A crash at any moment leaves
the generation before untouched, and no two pages are ever of different generations.
"""

import gzip
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from apps.core.files import sync

CURRENT = "current"
RENDERS = "renders"
VALID_FOR = timedelta(minutes=5)  # how long pages may be taken for the present
KEEP = 2  # generations: the current one, and the one that a reader may still be opening


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a generation says about itself."""

    sequence: int  # grows with every generation
    generated_at: datetime
    valid_until: datetime  # after this the pages must not be taken for the present
    fingerprint: str  # of the facts it shows

    def as_json(self) -> dict[str, Any]:
        """Return what stands in manifest.json."""
        return {
            "sequence": self.sequence,
            "generated_at": _rfc3339(self.generated_at),
            "valid_until": _rfc3339(self.valid_until),
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True)
class File:
    """One file of a generation; `path` is relative to it."""

    path: str
    body: bytes
    gzipped: bool = False  # with a .gz beside it, for servers that send such files as they are


def read_manifest(root: Path) -> Manifest | None:
    """Return the current generation's manifest; None when there is none that can be read."""
    try:
        data = orjson.loads((root / CURRENT / "manifest.json").read_bytes())
        return Manifest(
            sequence=int(data["sequence"]),
            generated_at=datetime.fromisoformat(data["generated_at"]),
            valid_until=datetime.fromisoformat(data["valid_until"]),
            fingerprint=str(data["fingerprint"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def next_sequence(root: Path, *, now: datetime) -> int:
    """Return a number greater than that of every generation there is, and, after a loss, there was."""
    try:
        names = [int(path.name) for path in (root / RENDERS).iterdir() if path.name.isdigit()]
    except FileNotFoundError:
        names = []
    return max([int(now.timestamp()), *(number + 1 for number in names)])


def publish(root: Path, files: Iterable[File], manifest: Manifest) -> int:
    """Write `files` as the generation that `manifest` describes, make it current; return how many.

    Only one process may do this at a time. A file that did not change is linked, not written.
    Raises OSError, and whatever `files` raises, with the generation before still current.
    """
    renders = root / RENDERS
    renders.mkdir(parents=True, exist_ok=True)
    _remove_others(root)
    aside = renders / f".{manifest.sequence}.{os.getpid()}"
    (aside / "customers").mkdir(parents=True)
    # Customers' pages are for the portal's own processes; a web server may read the rest.
    (aside / "customers").chmod(0o700)
    before = root / CURRENT
    count = 0
    for file in files:
        _put(aside, before, file.path, file.body)
        if file.gzipped:
            _put(aside, before, f"{file.path}.gz", gzip.compress(file.body, 9, mtime=0))
        count += 1
    _put(aside, before, "manifest.json", orjson.dumps(manifest.as_json()))
    for folder in (aside, *(path for path in aside.rglob("*") if path.is_dir())):
        sync(folder)
    final = renders / str(manifest.sequence)
    aside.rename(final)
    sync(renders)
    link = root / f".{CURRENT}.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(RENDERS) / final.name)
    link.replace(root / CURRENT)
    sync(root)
    return count


def _put(aside: Path, before: Path, path: str, body: bytes) -> None:
    target = aside / path
    target.parent.mkdir(parents=True, exist_ok=True)
    old = before / path
    try:
        if old.read_bytes() == body:
            os.link(old, target)
            return
    except OSError:
        pass  # not there before, or a file system without links
    with target.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _remove_others(root: Path) -> None:
    """Remove what crashed renders left and all but the newest generations."""
    current = (root / CURRENT).resolve().name
    whole = sorted(
        (path for path in (root / RENDERS).iterdir() if path.name.isdigit()),
        key=lambda path: int(path.name),
    )
    # One fewer than KEEP: the generation about to be written is the other.
    kept = {current, *(path.name for path in whole[len(whole) - (KEEP - 1) :])}
    for path in (root / RENDERS).iterdir():
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
