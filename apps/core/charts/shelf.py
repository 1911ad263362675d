"""Where drawings lie: one file for each, named by the hash of what it shows; and what is asked for.

    CHARTS_DIR/<key>.svg      a drawing
              /<key>.png      one for a mail
              /<key>.failed   why it could not be drawn
              /asked/<key>    a chart that a page wants, as JSON

Drawings can be made again at any time, so the oldest go when there are too many.
"""

import fcntl
import re
import select
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import orjson
from django.conf import settings

from apps.core.charts.data import Chart
from apps.core.nudge import nudge

SECONDS = 15  # for one chart, beginning with a cold process
MOST_KEPT, MOST_ASKED = 2_000, 200
_KEY = re.compile(r"[0-9a-f]{64}")
_DRAWING = Path(__file__).with_name("drawing")


def find(key: str) -> str | None:
    """Return the drawing, "" when it could not be drawn, None while nobody has drawn it."""
    if _KEY.fullmatch(key) is None:
        return None
    root = _root()
    with suppress(OSError):
        return (root / f"{key}.svg").read_text(encoding="utf-8")
    return "" if (root / f"{key}.failed").exists() else None


def is_asked(key: str) -> bool:
    """Whether a page waits for this drawing."""
    return _KEY.fullmatch(key) is not None and (_root() / "asked" / key).exists()


def ask(chart: Chart) -> None:
    """Ask for a drawing; what cannot be written down is asked for again by the next page."""
    folder = _root() / "asked"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / chart.key).exists() or len(list(folder.iterdir())) >= MOST_ASKED:
            return
        _write(folder / chart.key, chart.asked)
        nudge("core.sweep")


def draw_for_mail(charts: Iterable[Chart]) -> dict[str, bytes]:
    """Draw charts for mail and return the pictures by key, b"" for one that cannot be drawn.

    For jobs: it takes seconds. What another process is drawing is not among them: ask again later.
    """
    folder = _root() / "asked"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {one.key: one for one in charts}
    for key, chart in wanted.items():
        if _picture(key) is None:
            _write(folder / key, chart.asked)
    draw_asked()
    found = {key: _picture(key) for key in wanted}
    return {key: picture for key, picture in found.items() if picture is not None}


def _picture(key: str) -> bytes | None:
    with suppress(OSError):
        return (_root() / f"{key}.png").read_bytes()
    return b"" if (_root() / f"{key}.failed").exists() else None


def draw_asked(*, seconds: float = SECONDS) -> int:
    """Draw all that is asked for and return how many; one process of ours does it at a time."""
    folder = _root() / "asked"
    count = 0
    if not folder.exists() or not _asked(folder):
        return count
    with _alone(_root() / "lock") as alone:
        while alone and (waiting := _asked(folder)):
            count += _draw(waiting, seconds)
        _forget_oldest(_root())
    return count


def draw_now(chart: Chart) -> str:
    """Draw one chart and return it; for tests and commands that can wait."""
    folder = _root() / "asked"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / chart.key, chart.asked)
    draw_asked()
    return find(chart.key) or ""


def _root() -> Path:
    return Path(settings.CHARTS_DIR)


def _asked(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _KEY.fullmatch(path.name))


def _draw(waiting: list[Path], seconds: float) -> int:
    """Draw in a process of its own, which leaves its memory behind and can be ended when a chart takes too long."""
    done = 0
    with subprocess.Popen(
        [sys.executable, "-P", str(_DRAWING)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        for path in waiting:
            answer = _ask(process, path, seconds)
            _keep(path, answer)
            if "error" in answer and process.poll() is not None:
                break
            done += 1
        if process.stdin and process.poll() is None:
            process.stdin.close()
    return done


def _ask(process: subprocess.Popen[bytes], path: Path, seconds: float) -> dict[str, str]:
    if process.stdin is None or process.stdout is None:
        return {"error": "no process"}
    try:
        process.stdin.write(path.read_bytes() + b"\n")
        process.stdin.flush()
        in_time = bool(select.select([process.stdout], [], [], seconds)[0])
        said = process.stdout.readline() if in_time else b""
    except OSError:
        in_time, said = True, b""
    if said:
        return dict(orjson.loads(said))
    process.kill()
    process.wait()
    return {"error": "the process that draws ended" if in_time else f"not drawn in {seconds:g} s"}


def _keep(path: Path, answer: dict[str, str]) -> None:
    root = _root()
    if "svg" in answer:
        _write(root / f"{path.name}.svg", answer["svg"].encode())
    elif "png" in answer:
        _write(root / f"{path.name}.png", b64decode(answer["png"]))
    else:
        _write(root / f"{path.name}.failed", answer.get("error", "").encode())
    path.unlink(missing_ok=True)


def _write(path: Path, body: bytes) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_bytes(body)
    aside.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold the lock, or say that another does."""
    lock: IO[bytes]
    with path.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _forget_oldest(root: Path) -> None:
    kept = [path for path in root.iterdir() if path.suffix in {".svg", ".png", ".failed"}]
    if len(kept) > MOST_KEPT:
        kept.sort(key=lambda path: path.stat().st_mtime)
        for path in kept[: len(kept) - MOST_KEPT]:
            path.unlink(missing_ok=True)
