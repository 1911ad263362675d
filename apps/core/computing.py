"""DuckDB for a worker: as much memory as a computation may have, and a folder for what does not fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from django.conf import settings

from apps.analytics.sql import Connection, connect


@contextmanager
def computing(name: str) -> Iterator[Connection]:
    """Open a DuckDB of its own; its folder, with `name` in its own name, is gone afterwards."""
    with (
        TemporaryDirectory(prefix=f"portal-{name}-") as spill,
        connect(
            memory_limit=f"{settings.PORTAL_COMPUTE_MEMORY_MB}MB", threads=2, temp_directory=spill
        ) as con,
    ):
        yield con
