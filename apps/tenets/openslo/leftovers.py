"""What an SLO says that a clause has no place for: kept for the way back."""

from typing import Any

from apps.tenets.openslo.findings import under
from apps.tenets.openslo.reading import At
from apps.tenets.openslo.words import PREFIX

_SLO_SPEC = {
    "description", "service", "indicator", "indicatorRef", "timeWindow", "budgetingMethod",
    "objectives",
}  # fmt: skip
_OBJECTIVE = {
    "displayName", "op", "value", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow",
}  # fmt: skip


def leftover(slo: At, objective: At, indicator: At | None, position: int) -> dict[str, Any]:
    """Return what an SLO says that a clause has no place for."""
    metadata, spec = slo.entries["metadata"], slo.entries["spec"]
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    found: dict[str, Any] = {
        "name": metadata.entries["name"].raw or metadata.entries["name"].value,
        "indicator": _inline(indicator) if indicator else None,
        "metadata": _rest(metadata, {"name", "displayName", "labels", "annotations"}),
        "labels": _rest(labels, {"tenet", "customer-class", "dimension"}) if labels else {},
        "annotations": _rest(
            annotations, {name for name in annotations.entries if name.startswith(PREFIX)}
        )
        if annotations
        else {},
        "spec": _rest(spec, _SLO_SPEC),
        "objective": _rest(objective, _OBJECTIVE - ({"op"} if _ratio(indicator) else set())),
    }
    return {name: value for name, value in found.items() if value}


def _inline(indicator: At) -> dict[str, Any]:
    return {
        name: one.plain() for name, one in indicator.entries.items() if name in {"metadata", "spec"}
    }


def _ratio(indicator: At | None) -> bool:
    return bool(indicator and under(indicator, "ratioMetric"))


def _rest(at: At | None, known: set[str]) -> dict[str, Any]:
    if at is None or at.kind != "map":
        return {}
    return {name: one.plain() for name, one in at.entries.items() if name not in known}
