"""Versions promised before there was a seal get theirs.

The trigger that protects them is off inside this transaction alone, for no column but the seal; what the
seal is made of stands here as it was at this migration, whatever becomes of apps.tenets.content.
"""

import hashlib
import json
from decimal import Decimal
from typing import Any

from django.db import migrations

SAID = (
    "kind", "dimension", "text", "target", "max_count", "threshold_ms", "op", "value", "unit",
    "window_count", "window_unit", "window_zone", "window_start", "budgeting", "slice_target",
    "slice_minutes", "min_events", "tolerance", "consequence",
)  # fmt: skip


def seal(apps: Any, schema_editor: Any) -> None:
    """Write the seal of every version that stands still without one."""
    versions = apps.get_model("tenets", "TenetVersion").objects
    bare = versions.filter(content_sha256="").exclude(state="draft")
    if not bare.exists():
        return
    execute = schema_editor.execute
    execute("ALTER TABLE tenets_tenetversion DISABLE TRIGGER tenets_tenetversion_is_append_only")
    whole = bare.prefetch_related("customers", "clauses__journey", "clauses__operation")
    for version in whole.order_by("pk").iterator(chunk_size=500):
        versions.filter(pk=version.pk).update(content_sha256=_sha256(version))
    execute("ALTER TABLE tenets_tenetversion ENABLE TRIGGER tenets_tenetversion_is_append_only")


def _sha256(version: Any) -> str:
    content = {
        "promise": version.promise,
        "rationale": version.rationale,
        "audience": version.audience,
        "customers": sorted(customer.slug for customer in version.customers.all()),
        "clauses": [
            {
                **{name: _plain(getattr(clause, name)) for name in SAID},
                "journey": clause.journey.slug if clause.journey else None,
                "operation": clause.operation.name if clause.operation else None,
            }
            for clause in sorted(version.clauses.all(), key=lambda one: one.position)
        ],
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


class Migration(migrations.Migration):
    dependencies = [("tenets", "0005_what_is_promised_stands")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
