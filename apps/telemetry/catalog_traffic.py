"""How often each operation was asked for: what the catalog's pages show and cannot read themselves."""

from datetime import datetime

from apps.telemetry.queries import seen_operations


def requests_by_operation(since: datetime) -> dict[int, int]:
    """Return customers' requests of each operation (by primary key) since the day of `since`."""
    return {one.operation.pk: one.requests for one in seen_operations(since)}
