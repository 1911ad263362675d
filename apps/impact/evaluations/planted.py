"""Simulated traffic as segments on disk, the truth about a window beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.analytics.names import Catalogue, CustomerName
from apps.analytics.simulate import OPERATIONS, Plan, Truth, Witness, World, build_world, simulate
from apps.telemetry import store

PROMISED_MS = {one.id: int(one.promised_ms) for one in OPERATIONS}


@dataclass(frozen=True)
class Planted(Truth):
    """Segments of a plan's events, and the truth about its window."""

    files: tuple[str, ...]
    catalogue: Catalogue


@contextmanager
def plant(
    plan: Plan, *, from_ms: int = 0, change: Callable[[pa.Table], pa.Table] | None = None
) -> Iterator[Planted]:
    """Write a plan's events, those before `from_ms` left out; the files are gone afterwards.

    `change` is made to the events as they are stored, and to no truth: what a log may lack or get wrong.
    """
    world = build_world(plan)
    witness = Witness(plan, world)
    with TemporaryDirectory(prefix="portal-evaluate-") as folder:
        files: list[str] = []
        for number, chunk in enumerate(simulate(plan)):
            late = chunk.events.filter(pc.greater_equal(chunk.events["ts"], from_ms))
            files += write_segments(change(late) if change else late, number, Path(folder))
            witness.see(chunk, late)
        yield Planted(**vars(witness.truth()), files=tuple(files), catalogue=_names(world))


def write_segments(table: pa.Table, number: int, root: Path) -> list[str]:
    """Write one chunk of events as the store does; return the files' paths."""
    if not table.num_rows:
        return []
    written = store.write(
        table, order=np.arange(table.num_rows), batch_id=f"{number:032x}", root=root
    )
    return [str(root / one.path) for one in written]


def _names(world: World) -> Catalogue:
    return Catalogue(
        customers={
            one.id: CustomerName(one.id, one.name, _kind(one.kind)) for one in world.customers
        }
    )


def _kind(kind: str) -> str:
    return "consumers" if kind == "consumer" else kind
