"""A home of its own for a test, checked to be quiet at the end."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.processes import assert_nothing_left, finish, start


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user may pass through."""
    path = Path(tempfile.mkdtemp(prefix="embedded-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    try:
        assert_nothing_left(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def new_home(place: Path) -> Path:
    """A PORTAL_HOME that does not exist yet."""
    return place / "home"


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A home with a database of which every migration is applied, made once."""
    with tempfile.TemporaryDirectory(prefix="embedded-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        finish(start(Path(name) / "home", "manage.py", "shell", "-v0", "-c", ""))
        yield Path(name) / "home"


@pytest.fixture
def home(made: Path, new_home: Path) -> Path:
    """A PORTAL_HOME that was used before."""
    subprocess.run(["cp", "-a", str(made), str(new_home)], check=True)
    return new_home
