"""A version as an OpenSLO file: a Service, then one SLO for each clause, and what came with an import."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import yaml

from apps.tenets.models import Budgeting, Clause, ClauseKind, TenetVersion
from apps.tenets.openslo.words import (
    ALMOST_ALWAYS,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    METHODS,
    PREFIX,
    V1,
)

_METHOD_OF = {str(method): name for name, method in METHODS.items()}


class _Dumper(yaml.SafeDumper):
    """Writes decimals as they are, and no anchors."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _decimal(dumper: yaml.SafeDumper, number: Decimal) -> Any:
    text = f"{number.normalize():f}"
    return dumper.represent_scalar(
        "tag:yaml.org,2002:float" if "." in text else "tag:yaml.org,2002:int", text
    )


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    """Quote and escape what has line breaks of any kind: folded, some would come back as others."""
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    )


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(str, _text)


def export(version: TenetVersion) -> str:
    """Return the file; its first lines say what OpenSLO has no words for."""
    documents = [_service(version), *_slos(version), *version.extra.get("documents", [])]
    body = yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=True,
        width=100,
    )
    return "".join(f"# {line}\n" for line in warnings(version)) + body


def warnings(version: TenetVersion) -> Iterator[str]:
    """Say what of a version other readers of OpenSLO will not understand."""
    for clause in version.clauses.all():
        if clause.kind == ClauseKind.INVARIANT:
            yield (
                f"Clause {clause.position} must never be broken; OpenSLO has only targets below 1."
                f" The annotation {PREFIX}kind says what is meant."
            )
        elif clause.target is None:
            yield (
                f"Clause {clause.position} has a time and no share; OpenSLO has only shares below 1."
                f" The annotation {PREFIX}always says what is meant."
            )


def _service(version: TenetVersion) -> dict[str, Any]:
    service = version.tenet.service
    return {
        "apiVersion": V1,
        "kind": "Service",
        "metadata": {"name": _name(service.slug), "displayName": service.name},
        "spec": version.extra.get("service") or _described(service.description),
    }


def _slos(version: TenetVersion) -> Iterator[dict[str, Any]]:
    left = list(version.extra.get("slos", []))
    names: set[str] = {""}
    for clause in version.clauses.all():
        kept: dict[str, Any] = next((one for one in left if one.get("text") == clause.text), {})
        if kept:
            left.remove(kept)
        yield _slo(version, clause, kept, names)


def _slo(
    version: TenetVersion, clause: Clause, kept: dict[str, Any], names: set[str]
) -> dict[str, Any]:
    tenet = version.tenet
    name = kept.get("name", "")
    if name in names:
        name = _name(tenet.slug, f"-{version.number}-{clause.position}")
    names.add(name)
    spec: dict[str, Any] = {
        **_described(version.promise),
        "service": _name(tenet.service.slug),
        "indicator": kept.get("indicator") or _indicator(clause, name),
        "timeWindow": [_window(clause)],
        "budgetingMethod": _METHOD_OF[_method(clause)],
        "objectives": [{**kept.get("objective", {}), **_objective(clause)}],
        **kept.get("spec", {}),
    }
    return {
        "apiVersion": V1,
        "kind": "SLO",
        "metadata": {
            "name": name,
            "displayName": clause.text,
            **kept.get("metadata", {}),
            "labels": {
                **kept.get("labels", {}),
                "customer-class": tenet.kind,
                "tenet": tenet.slug,
                "dimension": clause.dimension,
            },
            "annotations": {
                **kept.get("annotations", {}),
                **{f"{PREFIX}{key}": said for key, said in _annotations(version, clause) if said},
            },
        },
        "spec": spec,
    }


def _annotations(version: TenetVersion, clause: Clause) -> Iterator[tuple[str, str]]:
    yield "tenet", version.tenet.slug
    yield "name", version.tenet.name
    yield "service", version.tenet.service.slug
    yield "customer-class", version.tenet.kind
    yield "promise", version.promise
    yield "rationale", version.rationale
    yield "audience", version.audience
    yield "customers", " ".join(customer.slug for customer in version.customers.all())
    yield "owner", version.owner.name if version.owner else ""
    yield "review-by", version.review_by.isoformat() if version.review_by else ""
    yield "review-every-months", str(version.review_every_months or "")
    yield "version", str(version.number)
    yield "sha256", version.content_sha256
    yield "text", clause.text
    yield "kind", clause.kind
    yield "dimension", clause.dimension
    yield "tolerance", clause.tolerance
    yield "consequence", clause.consequence
    yield "journey", clause.journey.slug if clause.journey else ""
    yield "operation", clause.operation.name if clause.operation else ""
    yield "min-events", str(clause.min_events)
    yield "unit", clause.unit
    if clause.kind == ClauseKind.INVARIANT:
        yield "invariant", "true"
        yield "within-ms", str(clause.threshold_ms or "")
        yield "op", clause.op
        yield "value", "" if clause.value is None else f"{clause.value.normalize():f}"
        return
    yield "within", "true" if clause.threshold_ms is not None else ""
    yield "always", "true" if clause.target is None else ""


def _indicator(clause: Clause, name: str) -> dict[str, Any]:
    about = clause.journey or clause.operation
    source = {
        "metricSource": {
            "type": "customer-reliability-portal",
            "spec": {"about": str(about or "all")},
        }
    }
    timed = (
        clause.threshold_ms is not None
        or clause.value is not None
        or clause.kind == ClauseKind.INVARIANT
    )
    return {
        "metadata": {"name": name},
        "spec": {"thresholdMetric": source}
        if timed
        else {"ratioMetric": {"counter": True, "good": source, "total": source}},
    }


def _window(clause: Clause) -> dict[str, Any]:
    duration = f"{clause.window_count}{clause.window_unit}"
    if not clause.window_zone:
        return {"duration": duration, "isRolling": True}
    start = {"startTime": clause.window_start} if clause.window_start else {}
    return {
        "duration": duration,
        "calendar": {**start, "timeZone": clause.window_zone},
        "isRolling": False,
    }


def _method(clause: Clause) -> str:
    return Budgeting.TIMESLICES if clause.kind == ClauseKind.INVARIANT else str(clause.budgeting)


def _objective(clause: Clause) -> dict[str, Any]:
    if clause.kind == ClauseKind.INVARIANT:
        return {
            "op": "lte",
            "value": clause.max_count or 0,
            "target": Decimal(ALMOST_ALWAYS),
            "timeSliceTarget": 1,
            "timeSliceWindow": "1m",
        }
    found: dict[str, Any] = {}
    if clause.threshold_ms is not None:
        found |= {"op": "lte", "value": clause.threshold_ms}
    elif clause.value is not None:
        found |= {"op": clause.op, "value": clause.value}
    found["target"] = Decimal(ALMOST_ALWAYS) if clause.target is None else clause.target
    if clause.slice_target is not None:
        found["timeSliceTarget"] = clause.slice_target
    if clause.slice_minutes is not None:
        found["timeSliceWindow"] = (
            f"{clause.slice_minutes}m" if clause.slice_minutes < 10**5 else clause.slice_minutes
        )
    return found


def _described(words: str) -> dict[str, str]:
    return {"description": words[:LONGEST_DESCRIPTION]} if words else {}


def _name(slug: str, end: str = "") -> str:
    """Return a name as RFC 1123 has it."""
    base = re.sub(r"[^a-z0-9-]+", "-", slug.lower()).strip("-") or "x"
    return base[: LONGEST_NAME - len(end)].strip("-") + end
