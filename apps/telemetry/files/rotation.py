"""The files that a rotation leaves beside a log."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from apps.telemetry.files.reading import Reading
from apps.telemetry.files.report import Report
from apps.telemetry.sources import GZIP, PACKED, Source, UnreadableInput

ROTATED = re.compile(r"[.\-_]?\d[\d.\-_T:Z]*(\.gz)?")


def rotated(path: str) -> list[str]:
    """Return the rotated files of a log, the newest first: `a.log.1`, `a.log-20261122.gz`, `a-20261122.log`."""
    log = Path(path)
    found: list[tuple[float, str]] = []
    with suppress(OSError):
        for entry in os.scandir(log.parent):
            name = entry.name
            rest = name.removeprefix(log.name) if name.startswith(log.name) else None
            if rest is None and log.suffix and name.startswith(log.stem):
                rest = name.removeprefix(log.stem)
                packed = ".gz" if rest.endswith(".gz") else ""
                rest = rest.removesuffix(".gz")
                rest = rest.removesuffix(log.suffix) + packed if rest.endswith(log.suffix) else None
            if rest and ROTATED.fullmatch(rest):
                with suppress(OSError):
                    about = entry.stat()
                    if stat.S_ISREG(about.st_mode) and about.st_size:
                        found.append((about.st_mtime, entry.path))
    names = {name for _, name in found}
    # A plain file beside its packed twin is being packed just now.
    return [
        name
        for _, name in sorted(found, reverse=True)
        if name.removesuffix(".gz") not in names - {name}
    ]


def about(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


def kind(path: str) -> str:
    """Return what a file is packed with, "" for nothing."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(8)
    except OSError:
        return ""
    if head.startswith(GZIP):
        return "gzip"
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), "")


def whole(path: str) -> bool:
    """Whether a packed file can be unpacked to its end; one that is being written cannot."""
    try:
        with Source(path) as source:
            while source.read(1 << 20):
                pass
            return not source.damage.what
    except UnreadableInput:
        return True  # to be told by whoever takes it in


def begins_known(path: str, service: str) -> bool:
    """Whether the first chunk of a file is stored."""
    try:
        with Source(path) as source:
            report = Report(source=source.name, service=service)
            return Reading(source, report, lambda _: None).skip_stored()
    except UnreadableInput:
        return False
