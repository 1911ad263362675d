"""What a line changes on a row."""

from typing import Any

from apps.customers.models import Customer
from apps.customers.planning.plans import CHANGED, NEW, SAME, Line, Model


def settle(
    line: Line, row: Model, wanted: dict[str, Any], before: dict[str, Any], *, new: bool
) -> None:
    """Set what is wanted on the row, note what it was, and say on the line what that makes it."""
    for name, value in wanted.items():
        old = getattr(row, name)
        if (old.strip() if isinstance(old, str) else old) != value:
            if not new:
                before[name] = plain(old)
                line.fields.append("archived" if name == "archived_at" else name)
            setattr(row, name, value)
    line.outcome = NEW if new else CHANGED if line.fields else SAME


def plain(value: Any) -> Any:
    """Return a value as the audit log keeps it."""
    if value is None or isinstance(value, bool | int | list | str):
        return value
    if isinstance(value, Customer):
        return value.slug
    return str(value)
