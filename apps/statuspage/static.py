"""Collected static files from memory: styles and scripts are there when Django is not."""

import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from apps.statuspage.shelf import Kept, Page

CAPACITY = 32 * 2**20
LARGEST = 8 * 2**20
HASHED = "public, max-age=31536000, immutable"
PLAIN = "public, max-age=60"
_HASHED_NAME = re.compile(r"\.[0-9a-f]{12}\.[A-Za-z0-9]+$")
_SAFE = re.compile(r"[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*(?:/[A-Za-z0-9_@+-][A-Za-z0-9_@+.-]*)*")
_TEXT = ("text/", "application/javascript", "application/json", "image/svg")


@dataclass(frozen=True)
class Found:
    """A static file and how long it may be kept."""

    page: Page
    cache_control: str


class StaticFiles:
    """The files under STATIC_ROOT. Names with a dot in front, and anything odd, do not exist."""

    def __init__(self, root: Path, url: str) -> None:
        self.prefix = url
        self._root = root
        self._kept = Kept(CAPACITY)

    def find(self, path: str) -> Found | None:
        """Return the file at `path`, or None."""
        name = path.removeprefix(self.prefix)
        if len(name) > 300 or _SAFE.fullmatch(name) is None:
            return None
        if _HASHED_NAME.search(name):
            page = self._kept.get(name, lambda: self._read(name))
            return Found(page, HASHED) if page else None
        # A plain name may change under us (collectstatic): keyed by what the file is now.
        try:
            stat = (self._root / name).stat()
        except OSError:
            return None
        page = self._kept.get(f"{name} {stat.st_mtime_ns} {stat.st_size}", lambda: self._read(name))
        return Found(page, PLAIN) if page else None

    def _read(self, name: str) -> Page | None:
        file = self._root / name
        try:
            # A link must not lead out.
            if not file.resolve().is_relative_to(self._root.resolve()):
                return None
            if not file.is_file() or file.stat().st_size > LARGEST:
                return None
            body = file.read_bytes()
        except OSError:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Page(body, f"{kind}; charset=utf-8" if kind.startswith(_TEXT) else kind)
