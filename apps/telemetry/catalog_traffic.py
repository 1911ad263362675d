"""How often each operation was asked for: what the catalog's pages show and cannot read themselves."""

from collections.abc import Sequence
from datetime import datetime

from apps.telemetry.queries import requests_of


def requests_by_operation(operations: Sequence[int], since: datetime) -> dict[int, int]:
    """Return customers' requests of these operations (by primary key) since the day of `since`."""
    return requests_of(operations, since)
