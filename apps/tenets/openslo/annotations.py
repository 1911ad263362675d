"""What our own files say beside the specification."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from apps.tenets.models import TIMED, Budgeting, ClauseKind, Dimension, Operator
from apps.tenets.openslo.findings import Findings
from apps.tenets.openslo.reading import At
from apps.tenets.openslo.words import PREFIX


def annotations_of(metadata: At) -> dict[str, str]:
    """Return our annotations without their prefix."""
    held = metadata.get("annotations")
    if held is None:
        return {}
    return {
        name.removeprefix(PREFIX): one.raw or str(one.value)
        for name, one in held.entries.items()
        if name.startswith(PREFIX) and one.kind in {"text", "number", "flag"}
    }


def clause_as_ours(
    findings: Findings, ours: Mapping[str, str], clause: dict[str, Any], node: At
) -> dict[str, Any]:
    """Return what annotations say of a clause beside its objective."""
    if ours.get("kind") not in ClauseKind.values:
        if clause.get("value") is not None:
            findings.note(
                node.get("value") or node,
                "OpenSLO names no unit for this value: say it when you edit the draft.",
            )
        return {"kind": ClauseKind.BUDGET}
    kind = ours["kind"]
    said: dict[str, Any] = {
        "kind": kind,
        "tolerance": ours.get("tolerance", ""),
        "consequence": ours.get("consequence", ""),
        "journey": ours.get("journey", ""),
        "operation": ours.get("operation", ""),
        "unit": ours.get("unit", ""),
    }
    if ours.get("dimension") in Dimension.values:
        said["dimension"] = ours["dimension"]
    if (least := ours.get("min-events", "")).isdecimal() and len(least) < 10:
        said["min_events"] = int(least)
    value = clause.get("value")
    if ours.get("within") == "true" and value is not None and kind != ClauseKind.INVARIANT:
        said |= {"threshold_ms": int(value), "op": "", "value": None}
    if kind == ClauseKind.INVARIANT:
        said |= _invariant(ours, value)
    elif kind in TIMED and ours.get("always") == "true":
        said["target"] = None
    return said


def _invariant(ours: Mapping[str, str], value: Decimal | None) -> dict[str, Any]:
    within, measured = ours.get("within-ms", ""), ours.get("value", "")
    said: dict[str, Any] = {
        "target": None,
        "budgeting": Budgeting.OCCURRENCES,
        "slice_target": None,
        "slice_minutes": None,
        "max_count": int(value or 0),
        "threshold_ms": int(within) if within.isdecimal() and len(within) < 11 else None,
        "op": "",
        "value": None,
    }
    if ours.get("op") in Operator.values and re.fullmatch(r"-?\d{1,14}(\.\d{1,6})?", measured):
        said |= {"op": ours["op"], "value": Decimal(measured)}
    return said


def dimension_of(metadata: At, *, threshold: bool) -> str:
    """Return what an SLO is about: as its label says, else from its kind of metric."""
    labels = metadata.get("labels")
    said = labels.get("dimension") if labels else None
    allowed = {*Dimension.values} - {Dimension.COMMUNICATION}
    if said and said.value in allowed:
        return str(said.value)
    return Dimension.DELAY if threshold else Dimension.ERROR


def date_of(text: str) -> date | None:
    """Return a day, None for what is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
