"""What a version says, as one value that can be compared and sealed."""

import hashlib
import json
from decimal import Decimal
from typing import Any

from apps.tenets.models import Clause, TenetVersion

#: What a clause says, apart from its place and what it is about.
SAID = (
    "kind", "dimension", "text", "target", "max_count", "threshold_ms", "op", "value", "unit",
    "window_count", "window_unit", "window_zone", "window_start", "budgeting", "slice_target",
    "slice_minutes", "min_events", "tolerance", "consequence",
)  # fmt: skip


def content_of(version: TenetVersion) -> dict[str, Any]:
    """Return promise, rationale, audience and clauses as plain values; names stand for rows."""
    return {
        "promise": version.promise,
        "rationale": version.rationale,
        "audience": version.audience,
        "customers": sorted(customer.slug for customer in version.customers.all()),
        "clauses": [
            clause_content(clause)
            for clause in sorted(version.clauses.all(), key=lambda one: one.position)
        ],
    }


def clause_content(clause: Clause) -> dict[str, Any]:
    """Return what a clause says as plain values."""
    found = {name: _plain(getattr(clause, name)) for name in SAID}
    found["journey"] = clause.journey.slug if clause.journey else None
    found["operation"] = clause.operation.name if clause.operation else None
    return found


def sha256_of(version: TenetVersion) -> str:
    """Return the seal of what a version says."""
    text = json.dumps(
        content_of(version), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value
