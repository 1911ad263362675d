"""Rendered files in memory. Files of a generation never change, so only the link to it is looked at again."""

import gzip
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import orjson

from apps.guidance.codes import family
from apps.guidance.errors import ErrorPage
from apps.statuspage import pages, store

LOOK_EVERY_S = 0.25
CAPACITY = 64 * 2**20  # bytes of page bodies kept


class Page:
    """A body ready to be sent, with its strong ETag; compressed at most once."""

    __slots__ = ("_gzipped", "body", "content_type", "etag")

    def __init__(self, body: bytes, content_type: str) -> None:
        self.body = body
        self.content_type = content_type
        self.etag = hashlib.sha256(body).hexdigest()[:24]
        self._gzipped: bytes | None = None

    @property
    def gzipped(self) -> bytes:
        """The body as gzip."""
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.body, 6, mtime=0)
        return self._gzipped


class Kept:
    """The most recently used pages, up to a number of bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str, make: Callable[[], Page | None]) -> Page | None:
        """Return the page kept under `name`, made when it is not there."""
        with self._lock:
            if found := self._pages.get(name):
                self._pages.move_to_end(name)
                return found
        page = make()
        if page is not None:
            self._keep(name, page)
        return page

    def _keep(self, name: str, page: Page) -> None:
        with self._lock:
            if name in self._pages:
                return
            self._pages[name] = page
            self._size += len(page.body)
            while self._size > self._capacity and len(self._pages) > 1:
                _, old = self._pages.popitem(last=False)
                self._size -= len(old.body)


class Generation:
    """The pages of one render."""

    def __init__(self, folder: Path, manifest: store.Manifest) -> None:
        self.manifest = manifest
        self._folder = folder
        self._valid_until = manifest.valid_until.timestamp()
        self._kept = Kept(CAPACITY)
        self._errors: dict[str, dict[str, ErrorPage]] = {}
        self._kinds: dict[str, str] | None = None

    def public(self, name: str, content_type: str = "application/octet-stream") -> Page | None:
        """Return a file of public/ that is no page."""
        return self._kept.get(name, lambda: self._file(f"public/{name}", content_type))

    def page(self, name: str, *, now: float) -> Page | None:
        """Return the page `name` (such as "public/index.html"); past its time it says so.

        `name` must not come from outside unchecked.
        """
        stale = now >= self._valid_until
        return self._kept.get(
            f"{name} stale" if stale else name, lambda: self._page(name, stale=stale)
        )

    def error_page(self, code: str, kind: str) -> ErrorPage | None:
        """Return what to do about a well-formed `code`, general advice where there is none on it."""
        for name in (*family(code), pages.OTHER):
            found = self._errors.get(name)
            if found is None:
                found = self._read_errors(name)
                # Codes are without number: those without advice must not fill the memory.
                if found:
                    self._errors[name] = found
            if kind in found:
                return found[kind]
        return None

    def kind_of(self, customer: int) -> str:
        """Return what kind of customer it is; "" when that is not known."""
        if self._kinds is None:
            raw = self._read("customers/kinds.json")
            self._kinds = orjson.loads(raw) if raw else {}
        return self._kinds.get(str(customer), "")

    def _page(self, name: str, *, stale: bool) -> Page | None:
        body = self._read(name)
        if body is None:
            return None
        moment = self.manifest.generated_at
        line = pages.stale_since(moment) if stale else pages.as_of(moment)
        body = pages.FRESHNESS.sub(lambda _: line.encode(), body, count=1)
        return Page(body, "text/html; charset=utf-8")

    def _file(self, name: str, content_type: str) -> Page | None:
        body = self._read(name)
        return None if body is None else Page(body, content_type)

    def _read_errors(self, name: str) -> dict[str, ErrorPage]:
        raw = self._read(f"errors/{name}.json")
        if raw is None:
            return {}
        return {kind: ErrorPage.from_json(data) for kind, data in orjson.loads(raw).items()}

    def _read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None


class Shelf:
    """The current generation, looked up at most every LOOK_EVERY_S."""

    def __init__(self, root: Path, *, look_every: float = LOOK_EVERY_S) -> None:
        self._root = root
        self._link = root / store.CURRENT
        self._look_every = look_every
        self._looked_at = float("-inf")
        self._target = ""
        self._generation: Generation | None = None

    def current(self) -> Generation | None:
        """Return the current generation; None before the first render."""
        now = time.monotonic()
        if now - self._looked_at >= self._look_every:
            self._looked_at = now
            self._look()
        return self._generation

    def _look(self) -> None:
        try:
            target = os.fspath(self._link.readlink())
        except OSError:
            return  # nothing rendered yet, or the disk is gone: what is in memory still stands
        if target == self._target:
            return
        manifest = store.read_manifest(self._root)
        if manifest is not None:
            self._generation = Generation(self._root / target, manifest)
            self._target = target
