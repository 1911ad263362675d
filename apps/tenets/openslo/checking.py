"""From documents to tenets to draft: each field against the specification, each problem with its line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from apps.customers.models import Kind
from apps.tenets.models import (
    CALENDAR_UNITS,
    LOCAL,
    ROLLING_UNITS,
    TIMED,
    Audience,
    Budgeting,
    ClauseKind,
    Dimension,
    Operator,
)
from apps.tenets.openslo.reading import At, Problem, Unreadable, documents
from apps.tenets.openslo.words import (
    KINDS,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    METHODS,
    MINUTES,
    PREFIX,
    V1,
    V2ALPHA,
)

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdwMQY])")
_SECRET = re.compile(
    r"secret|passw|passphrase|token|credential|bearer|api.?key|access.?key|private.?key|authorization",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"://[^/\s@]*:[^/\s@]*@")
_SLO_SPEC = {
    "description", "service", "indicator", "indicatorRef", "sli", "sliRef", "timeWindow",
    "budgetingMethod", "objectives",
}  # fmt: skip
_OBJECTIVE = {
    "displayName", "op", "value", "target", "targetPercent", "timeSliceTarget", "timeSliceWindow",
}  # fmt: skip


@dataclass(kw_only=True)
class WantedTenet:
    """A tenet that a file describes."""

    line: int
    slug: str
    name: str
    service: str
    service_name: str
    kind: str  # "" when the file does not say
    promise: str
    rationale: str = ""
    audience: str = Audience.CLASS
    customers: Sequence[str] = ()
    review_by: date | None = None
    review_every_months: int | None = None
    clauses: list[dict[str, Any]] = field(default_factory=list)  # ClauseDraft, names for rows
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Report:
    """What a file holds, and what is wrong with it."""

    tenets: list[WantedTenet] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    secret: bool = False  # then nothing of the file is shown again

    @property
    def refused(self) -> bool:
        """Whether anything keeps the file from being imported."""
        return any(one.error for one in self.problems)


def check(text: str) -> Report:
    """Read a file; every problem has its line, and nothing raises."""
    report = Report()
    try:
        found = documents(text)
    except Unreadable as problem:
        report.problems.append(problem.problem)
        # What cannot be read cannot be searched either.
        report.secret = bool(_SECRET.search(text) or _USERINFO.search(text))
        return report
    if not found:
        report.problems.append(Problem(1, "There is no document in this file."))
    _Checker(report, found).run()
    report.problems.sort()
    return report


class _Checker:
    """Walks the documents of one file."""

    def __init__(self, report: Report, found: list[At]) -> None:
        self.report = report
        self.found = found
        self.named: dict[tuple[str, str], At] = {}
        self.kept: list[dict[str, Any]] = []

    def run(self) -> None:
        for document in self.found:
            self._secrets(document)
        slos = [one for one in self.found if self._document(one) == "SLO"]
        for slo in slos:
            self._slo(slo)
        if self.found and not slos and not self.report.refused:
            self._error(self.found[0], "There is no SLO in this file: nothing to promise.")
        for tenet in self.report.tenets:
            if self.kept:
                tenet.extra["documents"] = self.kept

    # What every document has

    def _document(self, document: At) -> str:
        if document.kind != "map":
            self._error(document, "A document is a map with apiVersion, kind, metadata and spec.")
            return ""
        version, kind = self._text(document, "apiVersion"), self._text(document, "kind")
        if version not in {V1, V2ALPHA}:
            self._error(
                document.get("apiVersion") or document,
                f"apiVersion {_quoted(version)} is not read: write {V1} (or {V2ALPHA}).",
            )
            return ""
        if kind not in KINDS:
            self._error(
                document.get("kind") or document,
                f"kind {_quoted(kind)} is none of OpenSLO: {', '.join(KINDS)}.",
            )
            return ""
        name = self._name(document)
        if name and (kind, name) in self.named:
            self._error(document, f"{kind} {name} stands here twice.")
            return ""
        if name:
            self.named[kind, name] = document
        spec = document.get("spec")
        if kind != "Service" and (spec is None or spec.kind != "map"):
            self._error(document, f"{kind} has no spec.")
            return ""
        if spec and spec.kind == "map":
            self._description(spec)
        if kind not in {"SLO", "SLI", "Service"}:
            self.kept.append(document.plain())
            self._note(document, f"Kept beside the draft, not used: {kind} {name}.")
        return kind

    def _name(self, document: At) -> str:
        metadata = document.get("metadata")
        if metadata is None or metadata.kind != "map":
            self._error(metadata or document, "metadata with a name is missing.")
            return ""
        name = self._text(metadata, "name")
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            self._error(
                metadata.get("name") or metadata,
                f"metadata.name {_quoted(name)} is no name: small letters, digits and dashes, at most"
                f" {LONGEST_NAME}, beginning and ending with a letter or digit (RFC 1123).",
            )
            return ""
        for part in ("labels", "annotations"):
            held = metadata.get(part)
            if held and held.kind != "map":
                self._error(held, f"metadata.{part} is a map.")
        return name

    def _description(self, spec: At) -> None:
        words = spec.get("description")
        if words and len(str(words.value or "")) > LONGEST_DESCRIPTION:
            self._error(words, f"description is longer than {LONGEST_DESCRIPTION:,} characters.")

    def _secrets(self, document: At) -> None:
        """Refuse secrets by name and by shape; their values are never said."""
        for name, one in document.walk():
            told = one.kind in {"text", "number"} and str(one.value).strip()
            if told and _SECRET.search(name) and not name.startswith(PREFIX):
                self._secret(one, f"“{name[:40]}” looks like a secret")
            elif one.kind == "text" and _USERINFO.search(one.value):
                self._secret(one, f"“{name[:40]}” has a password in its address")
        for _, details in document.walk():
            held = details.get("connectionDetails") if details.kind == "map" else None
            for item in held.items if held else []:
                if item.kind == "text" and _SECRET.search(item.value):
                    self._secret(item, "connectionDetails look like they hold a secret")

    def _secret(self, at: At, what: str) -> None:
        self.report.secret = True
        self._error(
            at, f"{what}: secrets do not belong into such a file. Take it out; nothing was kept."
        )

    # SLOs

    def _slo(self, slo: At) -> None:
        before = len([one for one in self.report.problems if one.error])
        spec, metadata = slo.entries["spec"], slo.get("metadata")
        assert metadata  # noqa: S101  (checked with its name)
        ours = _annotations(metadata)
        service = self._text(spec, "service")
        if not service:
            self._error(spec, "spec.service is missing: name what this is promised for.")
        window = self._window(spec)
        method = self._method(spec)
        indicator = self._indicator(spec)
        objectives = spec.get("objectives")
        if objectives is None or objectives.kind != "list" or not objectives.items:
            self._error(
                objectives or spec, "spec.objectives is a list with at least one objective."
            )
            return
        threshold = bool(
            indicator and indicator.get("spec") and _under(indicator, "thresholdMetric")
        )
        if threshold and len(objectives.items) > 1:
            self._error(
                objectives.items[1],
                "With a thresholdMetric there is only one objective (specification).",
            )
        clauses = [self._objective(one, method, threshold=threshold) for one in objectives.items]
        if len([one for one in self.report.problems if one.error]) > before:
            return
        tenet = self._tenet(slo, service, ours)
        for position, (node, clause) in enumerate(zip(objectives.items, clauses, strict=True)):
            said = {**clause, **window, **self._ours(ours, clause, node)}
            said["dimension"] = said.get("dimension") or _dimension(metadata, threshold=threshold)
            said["text"] = ours.get("text") or self._words(slo, node, alone=len(clauses) == 1)
            tenet.clauses.append(said)
            tenet.extra.setdefault("slos", []).append(
                {"text": said["text"], **_leftover(slo, node, indicator, position)}
            )

    def _tenet(self, slo: At, service: str, ours: Mapping[str, str]) -> WantedTenet:
        metadata, spec = slo.entries["metadata"], slo.entries["spec"]
        name = self._text(metadata, "name")
        labels = metadata.get("labels")
        said_kind = self._text(labels, "customer-class")
        slug = ours.get("tenet") or self._text(labels, "tenet") or name
        if not re.fullmatch(r"[-a-zA-Z0-9_]{1,100}", slug):
            self._error(metadata, f"The tenet's short name {_quoted(slug)} is none for an address.")
        for tenet in self.report.tenets:
            if tenet.slug == slug:
                return tenet
        held = self.named.get(("Service", service))
        service_at = held.get("metadata") if held else None
        shown = self._text(service_at, "displayName") if service_at else ""
        kind = ours.get("customer-class") or said_kind
        review, every = ours.get("review-by", ""), ours.get("review-every-months", "")
        tenet = WantedTenet(
            line=slo.line,
            slug=slug,
            name=(ours.get("name") or self._text(metadata, "displayName") or name)[:200],
            service=ours.get("service") or service,
            service_name=(shown or service)[:200],
            kind=kind if kind in Kind.values else "",
            promise=ours.get("promise")
            or self._text(spec, "description")
            or self._text(metadata, "displayName")
            or name,
            rationale=ours.get("rationale", ""),
            audience=ours.get("audience", Audience.CLASS),
            customers=ours.get("customers", "").split(),
            review_by=_date(review),
            review_every_months=int(every)
            if every.isdecimal() and int(every or 0) < 1000
            else None,
        )
        if held and (rest := held.get("spec")):
            tenet.extra["service"] = rest.plain()
        self.report.tenets.append(tenet)
        return tenet

    def _words(self, slo: At, objective: At, *, alone: bool) -> str:
        metadata = slo.entries["metadata"]
        own = self._text(objective, "displayName")
        whole = self._text(metadata, "displayName") or self._text(metadata, "name")
        return (whole if alone or not own else f"{whole}: {own}")[:300]

    def _window(self, spec: At) -> dict[str, Any]:
        held = spec.get("timeWindow")
        if held is None:
            self._note(spec, "There is no timeWindow: 28 days rolling are taken.")
            return {}
        if held.kind != "list" or len(held.items) != 1 or held.items[0].kind != "map":
            self._error(held, "timeWindow is a list with exactly one window.")
            return {}
        window = held.items[0]
        calendar, rolling = window.get("calendar"), window.get("isRolling")
        if rolling and rolling.kind != "flag":
            self._error(rolling, "isRolling is true or false.")
        if (rolling.value if rolling else calendar is None) is True:
            if calendar:
                self._error(calendar, "A rolling window has no calendar.")
            return self._duration(window, ROLLING_UNITS, "A rolling window has m, h, d or w")
        return {
            **self._duration(
                window,
                CALENDAR_UNITS,
                "A calendar window has d, w, M (months), Q or Y; a small m means minutes",
            ),
            **self._calendar(calendar, window),
        }

    def _calendar(self, calendar: At | None, window: At) -> dict[str, Any]:
        if calendar is None or calendar.kind != "map":
            self._error(window, "A window that does not roll has a calendar with a timeZone.")
            return {}
        zone, start = self._text(calendar, "timeZone"), self._text(calendar, "startTime")
        if zone not in available_timezones():
            self._error(
                calendar.get("timeZone") or calendar,
                f"timeZone {_quoted(zone)} is not in the IANA database, such as America/New_York.",
            )
        if start and not _is_local(start):
            self._error(
                calendar.get("startTime") or calendar,
                "startTime is written as 2020-01-21 12:30:00, without a zone.",
            )
        return {"window_zone": zone, "window_start": start}

    def _duration(self, window: At, units: Sequence[str], words: str) -> dict[str, Any]:
        found = _DURATION.fullmatch(self._text(window, "duration"))
        at = window.get("duration") or window
        if not found or int(found[1]) > 32767:
            self._error(at, "duration is a number with m, h, d, w, M, Q or Y, such as 28d or 1M.")
            return {}
        if found[2] not in units:
            self._error(at, f"duration {found[0]}: {words}.")
            return {}
        return {"window_count": int(found[1]), "window_unit": found[2]}

    def _method(self, spec: At) -> str:
        said = self._text(spec, "budgetingMethod")
        if said not in METHODS:
            self._error(
                spec.get("budgetingMethod") or spec,
                f"budgetingMethod {_quoted(said)} is none of {', '.join(METHODS)}.",
            )
        return METHODS.get(said, Budgeting.OCCURRENCES)

    def _indicator(self, spec: At) -> At | None:
        inline = spec.get("indicator") or spec.get("sli")
        ref = spec.get("indicatorRef") or spec.get("sliRef")
        if inline and ref:
            self._error(ref, "Either indicator or indicatorRef, not both.")
        if inline is None and ref is not None:
            inline = self.named.get(("SLI", str(ref.value)))
            if inline is None:
                inline = next(
                    (
                        one
                        for one in self.found
                        if self._kind_and_name(one) == ("SLI", str(ref.value))
                    ),
                    None,
                )
            if inline is None:
                self._error(
                    ref, f"indicatorRef {_quoted(str(ref.value))}: no such SLI in this file."
                )
                return None
        if inline is None:
            if _composite(spec):
                self._error(
                    spec, "A composite of several indicators cannot be told for one customer."
                )
            else:
                self._error(spec, "indicator or indicatorRef is missing.")
            return None
        self._metric(inline)
        return inline

    def _kind_and_name(self, document: At) -> tuple[str, str]:
        metadata = document.get("metadata")
        return self._text(document, "kind"), self._text(metadata, "name") if metadata else ""

    def _metric(self, indicator: At) -> None:
        ratio, threshold = _under(indicator, "ratioMetric"), _under(indicator, "thresholdMetric")
        if (ratio is None) == (threshold is None):
            self._error(indicator, "An indicator has either a thresholdMetric or a ratioMetric.")
            return
        if ratio is None:
            return
        if ratio.kind != "map":
            self._error(ratio, "ratioMetric is a map.")
            return
        has = {name for name in ("good", "bad", "total", "raw") if ratio.get(name)}
        if has not in ({"good", "total"}, {"bad", "total"}, {"raw"}):
            self._error(ratio, "ratioMetric has good and total, or bad and total, or raw alone.")
        if has == {"raw"} and self._text(ratio, "rawType") not in {"success", "failure"}:
            self._error(ratio, "With raw, rawType is success or failure.")

    # Objectives

    def _objective(self, node: At, method: str, *, threshold: bool) -> dict[str, Any]:
        if node.kind != "map":
            self._error(node, "An objective is a map.")
            return {}
        for name in ("indicator", "indicatorRef", "compositeWeight"):
            if held := node.get(name):
                self._error(
                    held,
                    f"objectives[].{name} makes a composite: several indicators weighed into one cannot"
                    " be told for one customer. Write one SLO for each.",
                )
        clause: dict[str, Any] = {"target": self._target(node), "budgeting": method}
        clause |= self._slices(node, method)
        if threshold:
            clause |= self._value(node)
        return clause

    def _target(self, node: At) -> Decimal | None:
        share, percent = node.get("target"), node.get("targetPercent")
        if (share is None) == (percent is None):
            self._error(node, "An objective has either target or targetPercent.")
            return None
        at = share or percent
        assert at  # noqa: S101  (one of them)
        limit = 1 if share else 100
        if at.kind != "number" or not 0 <= at.value < limit:
            self._error(
                at, f"{'target' if share else 'targetPercent'} is a number from 0 to below {limit}."
            )
            return None
        target: Decimal = at.value / limit
        if target != round(target, 6):
            self._error(at, "A target has at most six decimals as a share, four in percent.")
            return None
        return target

    def _slices(self, node: At, method: str) -> dict[str, Any]:
        length, share = node.get("timeSliceWindow"), node.get("timeSliceTarget")
        if method == Budgeting.OCCURRENCES:
            for at in (length, share):
                if at:
                    self._error(at, "Only Timeslices have a timeSliceWindow and timeSliceTarget.")
            return {}
        found: dict[str, Any] = {"slice_minutes": self._slice_minutes(length, node)}
        if method == Budgeting.RATIO_TIMESLICES:
            if share:
                self._error(share, "RatioTimeslices average over slices: no timeSliceTarget.")
            return found
        if share is None or share.kind != "number" or not 0 < share.value <= 1:
            self._error(share or node, "timeSliceTarget is a number above 0, at most 1.")
        elif share.value != round(share.value, 6):
            self._error(share, "timeSliceTarget has at most six decimals.")
        else:
            found["slice_target"] = share.value
        return found

    def _slice_minutes(self, length: At | None, node: At) -> int | None:
        words = "timeSliceWindow is a number of minutes or a duration such as 1m, 2h or 1d."
        if length is None:
            self._error(node, words)
            return None
        if (
            length.kind == "number"
            and length.value == int(length.value)
            and 0 < length.value < 10**6
        ):
            return int(length.value)
        found = _DURATION.fullmatch(str(length.value))
        if not found or found[2] not in MINUTES:
            self._error(length, words)
            return None
        return int(found[1]) * MINUTES[found[2]]

    def _value(self, node: At) -> dict[str, Any]:
        op, value = self._text(node, "op"), node.get("value")
        if op not in Operator.values:
            self._error(
                node.get("op") or node,
                f"With a thresholdMetric, op is one of {', '.join(Operator.values)}.",
            )
        if value is None or value.kind != "number":
            self._error(value or node, "With a thresholdMetric, value is a number.")
            return {}
        if abs(value.value) >= 10**14 or value.value != round(value.value, 6):
            self._error(value, "value has at most 14 digits before and 6 after the point.")
            return {}
        return {"op": op, "value": value.value}

    # What our own files say beside the specification

    def _ours(self, ours: Mapping[str, str], clause: dict[str, Any], node: At) -> dict[str, Any]:
        if ours.get("kind") not in ClauseKind.values:
            if clause.get("value") is not None:
                self._note(
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
            said |= self._invariant(ours, value)
        elif kind in TIMED and ours.get("always") == "true":
            said["target"] = None
        return said

    def _invariant(self, ours: Mapping[str, str], value: Decimal | None) -> dict[str, Any]:
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

    # What they share

    def _text(self, at: At | None, name: str) -> str:
        held = at.get(name) if at else None
        if held is None:
            return ""
        if held.kind in {"map", "list"}:
            self._error(held, f"{name} is text.")
            return ""
        if held.kind == "flag":
            return "true" if held.value else "false"
        return str(held.value).strip()

    def _error(self, at: At, text: str) -> None:
        problem = Problem(at.line, text)
        if problem not in self.report.problems:
            self.report.problems.append(problem)

    def _note(self, at: At, text: str) -> None:
        self.report.problems.append(Problem(at.line, text, error=False))


def _annotations(metadata: At) -> dict[str, str]:
    held = metadata.get("annotations")
    if held is None:
        return {}
    return {
        name.removeprefix(PREFIX): str(one.value or "")
        for name, one in held.entries.items()
        if name.startswith(PREFIX) and one.kind in {"text", "number"}
    }


def _leftover(slo: At, objective: At, indicator: At | None, position: int) -> dict[str, Any]:
    """Return what an SLO says that a clause has no place for."""
    metadata, spec = slo.entries["metadata"], slo.entries["spec"]
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    found: dict[str, Any] = {
        "name": metadata.entries["name"].value,
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
    return bool(indicator and _under(indicator, "ratioMetric"))


def _rest(at: At | None, known: set[str]) -> dict[str, Any]:
    if at is None or at.kind != "map":
        return {}
    return {name: one.plain() for name, one in at.entries.items() if name not in known}


def _under(indicator: At, name: str) -> At | None:
    spec = indicator.get("spec")
    return spec.get(name) if spec and spec.kind == "map" else None


def _composite(spec: At) -> bool:
    objectives = spec.get("objectives")
    return bool(
        objectives
        and any(one.get("indicator") or one.get("indicatorRef") for one in objectives.items)
    )


def _dimension(metadata: At, *, threshold: bool) -> str:
    labels = metadata.get("labels")
    said = labels.get("dimension") if labels else None
    allowed = {*Dimension.values} - {Dimension.COMMUNICATION}
    if said and said.value in allowed:
        return str(said.value)
    return Dimension.DELAY if threshold else Dimension.ERROR


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_local(text: str) -> bool:
    try:
        datetime.strptime(text, LOCAL)  # noqa: DTZ007  (local on purpose)
    except ValueError:
        return False
    return True


def _quoted(text: str) -> str:
    return f"“{text[:60]}”" if text else "(none)"
