"""An SLO's indicator and objectives."""

from decimal import Decimal
from typing import Any

from apps.tenets.models import Operator
from apps.tenets.openslo.findings import Findings, under
from apps.tenets.openslo.reading import At
from apps.tenets.openslo.windows import slices_of


def check_metric(findings: Findings, indicator: At) -> None:
    """Hold an indicator to the specification: one metric, whole."""
    ratio, threshold = under(indicator, "ratioMetric"), under(indicator, "thresholdMetric")
    if (ratio is None) == (threshold is None):
        findings.error(indicator, "An indicator has either a thresholdMetric or a ratioMetric.")
        return
    if threshold is not None:
        _check_source(findings, threshold, "thresholdMetric")
        return
    if ratio is None or ratio.kind != "map":
        findings.error(ratio or indicator, "ratioMetric is a map.")
        return
    has = {name for name in ("good", "bad", "total", "raw") if ratio.get(name)}
    if has not in ({"good", "total"}, {"bad", "total"}, {"raw"}):
        findings.error(ratio, "ratioMetric has good and total, or bad and total, or raw alone.")
    if has == {"raw"} and findings.text(ratio, "rawType") not in {"success", "failure"}:
        findings.error(ratio.get("rawType") or ratio, "With raw, rawType is success or failure.")
    for name in sorted(has):
        _check_source(findings, ratio.entries[name], name)


def _check_source(findings: Findings, metric: At, name: str) -> None:
    source = metric.get("metricSource")
    if source is None or source.kind != "map":
        findings.error(source or metric, f"{name} has a metricSource, which is a map.")
        return
    for text in ("type", "metricSourceRef"):
        findings.text(source, text)
    spec = source.get("spec")
    if spec and spec.kind != "map":
        findings.error(spec, "metricSource.spec is a map.")


def objective_of(findings: Findings, node: At, method: str, *, threshold: bool) -> dict[str, Any]:
    """Return what an objective says of a clause; `threshold`: it is about a measured value."""
    if node.kind != "map":
        findings.error(node, "An objective is a map.")
        return {}
    for name in ("indicator", "indicatorRef", "compositeWeight"):
        if held := node.get(name):
            findings.error(
                held,
                f"objectives[].{name} makes a composite: several indicators weighed into one cannot"
                " be told for one customer. Write one SLO for each.",
            )
    clause: dict[str, Any] = {"target": _target(findings, node), "budgeting": method}
    clause |= slices_of(findings, node, method)
    if threshold:
        clause |= _value(findings, node)
    return clause


def _target(findings: Findings, node: At) -> Decimal | None:
    share, percent = node.get("target"), node.get("targetPercent")
    if (share is None) == (percent is None):
        findings.error(node, "An objective has either target or targetPercent.")
        return None
    at = share or percent
    assert at  # noqa: S101  (one of them)
    limit = 1 if share else 100
    if at.kind != "number" or not 0 <= at.value < limit:
        findings.error(
            at, f"{'target' if share else 'targetPercent'} is a number from 0 to below {limit}."
        )
        return None
    target: Decimal = at.value / limit
    if target != round(target, 6):
        findings.error(at, "A target has at most six decimals as a share, four in percent.")
        return None
    return target


def _value(findings: Findings, node: At) -> dict[str, Any]:
    op, value = findings.text(node, "op"), node.get("value")
    if op not in Operator.values:
        findings.error(
            node.get("op") or node,
            f"With a thresholdMetric, op is one of {', '.join(Operator.values)}.",
        )
    if value is None or value.kind != "number":
        findings.error(value or node, "With a thresholdMetric, value is a number.")
        return {}
    if abs(value.value) >= 10**14 or value.value != round(value.value, 6):
        findings.error(value, "value has at most 14 digits before and 6 after the point.")
        return {}
    return {"op": op, "value": value.value}
