"""Follow logs that grow: through rotations, restarts and a database that is away.

Where a log stands is not kept beside it: the chain of stored chunks (`files`) says it, by content. So a log that was
renamed, copied, packed or read by another process goes on where it was, and a kill at any moment loses and doubles
nothing. Each log is read by its open file: one that was renamed or removed is read to its end first.

What a rotation does between its copy and its truncation (copytruncate) to lines written just then, no reader can mend.
"""

import glob
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DatabaseError, InterfaceError, connection

from apps.telemetry.files.growing import Growing, GrowingReading
from apps.telemetry.files.report import Report
from apps.telemetry.files.rotation import about, begins_known, kind, rotated, whole
from apps.telemetry.files.taking import CHUNK, Run, Threads, alone, ingest
from apps.telemetry.formats.detect import LOOK, UnknownFormat
from apps.telemetry.rules import Rules
from apps.telemetry.sources import UnreadableInput

MOST = 8 << 20
"""Bytes that are read ahead and stored at once: with those it was made of, what one log costs in memory."""

SCAN_EVERY = 1.0  # seconds between looks for rotated and new files
GRACE = 5.0  # seconds that a renamed log may stay silent before it is let go
UNDECIDED = 10.0  # seconds to wait for the rest of what may be a copy of a stored chunk
SETTLED = 2.0  # seconds that a packed file has to be unchanged
REFRESH = 10.0  # seconds between looks at identification rules
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds, while the database is away
LAST_TRY = 5.0  # seconds to wait for it when we are asked to end

Key = tuple[int, int]  # device and inode
Say = Callable[[str], None]
TROUBLE = (DatabaseError, InterfaceError, OSError)


class Stopped(Exception):
    """We were asked to end in the middle of a file that does not grow; it goes on where it was."""


@dataclass
class How:
    """How to follow."""

    rules: Rules = field(default_factory=Rules)
    service: str = "web"
    wanted: str = "auto"
    every: float = 1.0  # seconds between two batches of a log
    most: int = MOST


class Follower:
    """One log on its way into the store, as it grows."""

    def __init__(self, source: Growing, how: How, threads: Threads, report: Report) -> None:
        self._how = how
        self._threads = threads
        self.source = source
        self.left_at: float | None = None  # since when no path leads to it any more
        self.unknown = ""  # why its format is not known, once enough lines were seen
        self.report = report
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.reading = GrowingReading(self.source, self.report)
        self._run: Run | None = None
        self._met = self._stored = self._grown = float("-inf")
        self._undecided: tuple[str, float] | None = None
        self._size = 0

    def anew(self) -> None:
        """Begin at the first byte: the file was cut and is written again."""
        os.lseek(self.source.fd, 0, os.SEEK_SET)
        self.source = Growing(self.source.fd, self.source.name)
        self._begin_anew()

    def silent(self, clock: float) -> float:
        """Return for how many seconds nothing was added."""
        return clock - self._grown

    def poll(self, now: datetime, clock: float, *, hurry: bool = False) -> bool:
        """Read on and store what is due; return whether there may be more at once.

        `hurry` does not wait for `every`. Raises what the database and the store raise, after putting everything
        back to where it was, and UnreadableInput.
        """
        whole = self.reading.more(self._how.most)
        if self.source.done != self._size:
            self._size, self._grown = self.source.done, clock
        due = hurry or self.source.closed or clock - self._stored >= self._how.every
        if not whole or not (due or self.source.done - self.reading.passed >= self._how.most):
            return False
        if (run := self._begun(now, clock)) is None:
            return False
        place = self.reading.place()
        try:
            run.at(now)
            with alone(run.log_id):
                if self._waits(clock, now):
                    return False
                found = run.step(self._threads)
        except BaseException:
            self.reading.back_to(place)
            raise
        self._stored = clock
        return found

    def finish(self, now: datetime, clock: float, *, last_line: bool) -> None:
        """Store all that is whole; `last_line`: also a line without its break, since nothing follows."""
        self.reading.final = last_line
        while self.poll(now, clock, hurry=True):
            pass

    def _begun(self, now: datetime, clock: float) -> Run | None:
        run = self._run
        if run is None:
            if self.unknown:
                self.reading.drop()
                return None
            run = Run(
                self.source, self.report, self._how.rules, now, self._how.most, None, self.reading
            )
            try:
                run.begin(self._how.wanted)
            except UnknownFormat as error:
                head = self.reading.head()
                if (
                    head.count(b"\n") >= LOOK
                    or len(head) >= LOOK * 1024
                    or self.reading.final
                    or self.source.closed
                ):
                    self.unknown = f"{self.source.name}: {error.message}. {error.hint}"
                return None
            self._run, self._met = run, clock
        elif clock - self._met > REFRESH:
            run.meet()
            self._met = clock
        return run

    def _waits(self, clock: float, now: datetime) -> bool:
        """Whether to wait, a while, for the rest of what may be a copy of something that is stored."""
        at = self.reading.hash.hexdigest()
        if self._undecided is None or self._undecided[0] != at:
            self._undecided = at, clock
        if self.source.closed or self.reading.final or clock - self._undecided[1] > UNDECIDED:
            return False
        return self.reading.longer(int(now.timestamp() * 1000))


class Tail:
    """All logs that are followed."""

    def __init__(self, patterns: list[str], how: How, *, say: Say) -> None:
        self._patterns = patterns
        self._how = how
        self._say = say
        self._open: dict[Key, Follower] = {}
        self._packed: dict[str, tuple[int, int, int]] = {}  # as they were when they were taken in
        self._told: set[str] = set()
        self._next_scan = 0.0
        self._wait = 0.0
        self.reports: dict[str, Report] = {}
        self.stopping = False

    def stop(self, *_: object) -> None:
        """Ask it to end as soon as all that was read is stored."""
        self.stopping = True

    def run(self, now: Callable[[], datetime]) -> bool:
        """Follow until asked to end, or to the end of standard input; return whether all that was read is stored."""
        with Threads() as self._threads:
            if "-" in self._patterns:
                pipe = Growing(sys.stdin.fileno(), "standard input", pipe=True)
                self._add((0, 0), pipe)
            ending: float | None = None
            try:
                while True:
                    clock = time.monotonic()
                    try:
                        busy = self._round(now, clock)
                        self._is_back()
                        if self.stopping or self._over():
                            self._finish(now, clock)
                            return True
                    except Stopped:
                        continue
                    except TROUBLE as error:
                        if self.stopping:
                            ending = ending or clock
                            if clock - ending > LAST_TRY:
                                self._say(f"Not all that was read is stored: {_words(error)}")
                                return False
                        self._away(error)
                        continue
                    if not busy:
                        self._sleep(min(0.2, self._how.every / 4))
            finally:
                for follower in self._open.values():
                    follower.source.close()

    def _over(self) -> bool:
        return set(self._patterns) == {"-"} and all(
            one.source.closed for one in self._open.values()
        )

    def _finish(self, now: Callable[[], datetime], clock: float) -> None:
        for follower in self._open.values():
            follower.finish(now(), clock, last_line=follower.source.closed)

    def _round(self, now: Callable[[], datetime], clock: float) -> bool:
        if clock >= self._next_scan and not self.stopping:
            self._scan(now, clock)
            self._next_scan = time.monotonic() + SCAN_EVERY
        busy = False
        for key, follower in list(self._open.items()):
            try:
                if follower.source.replaced():
                    self._begin_again(follower, now, clock)
                busy |= follower.poll(now(), clock)
                if follower.unknown:
                    self._once(follower.unknown)
                if follower.left_at is not None and follower.silent(clock) > GRACE:
                    follower.finish(now(), clock, last_line=True)
                    self._close(key)
            except UnreadableInput as error:
                self._once(f"{error.message}. {error.hint}".rstrip())
                self._close(key)
        return busy

    # files

    def _scan(self, now: Callable[[], datetime], clock: float) -> None:
        there: set[Key] = {(0, 0)}
        for path in self._paths():
            if (found := about(path)) is None:
                continue
            key = found.st_dev, found.st_ino
            there.add(key)
            if not stat.S_ISREG(found.st_mode):
                self._once(f"{path} is no file; name the files in it, for example: {path}/*.log")
            elif key in self._open or not found.st_size:
                continue
            elif kind(path):
                self._take_packed(path, now)
            else:
                self._catch_up(path, now, clock)
                there.add(self._follow(path))
        for key, follower in self._open.items():
            if key in there:
                follower.left_at = None
            elif follower.left_at is None:
                follower.left_at = clock

    def _follow(self, path: str) -> Key:
        try:
            fd = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # rotated this very moment: the next scan sees it
            return 0, 0
        except OSError as error:
            self._once(f"{path}: {error.strerror}. It is looked at again every second.")
            return 0, 0
        opened = os.fstat(fd)
        key = opened.st_dev, opened.st_ino
        self._add(key, Growing(fd, path))
        return key

    def _paths(self) -> Iterator[str]:
        seen: set[str] = set()
        for pattern in self._patterns:
            if pattern == "-":
                continue
            names = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207  (any path)
            yield from (name for name in names if name not in seen)
            seen.update(names)

    def _add(self, key: Key, source: Growing) -> None:
        if key in self._open:
            source.close()
            return
        report = self.reports.setdefault(
            source.name, Report(source=source.name, service=self._how.service)
        )
        self._open[key] = Follower(source, self._how, self._threads, report)

    def _close(self, key: Key) -> None:
        self._open.pop(key).source.close()

    # rotation

    def _begin_again(self, follower: Follower, now: Callable[[], datetime], clock: float) -> None:
        """A log was cut: what we had not read of it is in the copy beside it, if there is one."""
        follower.finish(now(), clock, last_line=False)
        if not self._catch_up(follower.source.name, now, clock):
            follower.finish(now(), clock, last_line=True)
        follower.anew()

    def _catch_up(self, path: str, now: Callable[[], datetime], clock: float) -> bool:
        """Take in what rotated files beside a log hold and we have not stored; return whether there was one.

        From the newest back to the first of which we know the beginning: those after it came while we were away.
        """
        todo: list[str] = []
        known = False
        for sibling in rotated(path):
            if (found := about(sibling)) is None:
                continue
            if open_one := self._open.get((found.st_dev, found.st_ino)):
                open_one.finish(now(), clock, last_line=False)
                known = True
                break
            if kind(sibling) and not whole(sibling):
                continue
            todo.append(sibling)
            if known := begins_known(sibling, self._how.service):
                break
        if not known:
            return False
        for sibling in reversed(todo):
            self._take(sibling, now)
        return True

    def _take_packed(self, path: str, now: Callable[[], datetime]) -> None:
        if (found := about(path)) is None:
            return
        state = found.st_ino, found.st_size, found.st_mtime_ns
        if self._packed.get(path) == state or time.time() - found.st_mtime < SETTLED:
            return
        if kind(path) == "gzip" and not whole(path):
            self._once(
                f"{path} is packed and ends before its end; it is taken in once it is whole."
            )
            return
        self._take(path, now)
        self._packed[path] = state

    def _take(self, path: str, now: Callable[[], datetime]) -> None:
        """Take in a file that does not grow any more, behind what is stored of it."""
        try:
            report = ingest(
                path,
                now=now(),
                wanted=self._how.wanted,
                rules=self._how.rules,
                service=self._how.service,
                progress=self._go_on,
                chunk_bytes=CHUNK,
            )
        except (UnknownFormat, UnreadableInput) as error:
            self._once(f"{path}: {error.message}. {error.hint}".rstrip())
            return
        self.reports[path] = report

    def _go_on(self, _: Report) -> None:
        if self.stopping:
            raise Stopped

    # trouble

    def _away(self, error: Exception) -> None:
        with suppress(Exception):
            connection.close()
        if not self._wait:
            self._say(
                f"Nothing can be stored: {_words(error)}. Waiting; the logs are read on from where they are."
            )
        self._wait = min(self._wait * 2 or FIRST_WAIT, LONGEST_WAIT)
        if self.stopping:
            time.sleep(0.2)
        self._sleep(self._wait)

    def _is_back(self) -> None:
        if self._wait:
            self._say("Stored again.")
        self._wait = 0.0

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopping:
            time.sleep(min(left, 0.2))

    def _once(self, words: str) -> None:
        if words not in self._told and len(self._told) < 10_000:
            self._told.add(words)
            self._say(words)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
