"""From documents to tenets to draft: each field against the specification, each problem with its line."""

import re
from collections.abc import Mapping
from typing import Any

from apps.customers.models import Kind
from apps.tenets.models import Audience
from apps.tenets.openslo.annotations import (
    annotations_of,
    clause_as_ours,
    date_of,
    dimension_of,
)
from apps.tenets.openslo.findings import Findings, Report, WantedTenet, quoted, under
from apps.tenets.openslo.leftovers import leftover
from apps.tenets.openslo.objectives import check_metric, objective_of
from apps.tenets.openslo.reading import At, Problem, Unreadable, documents
from apps.tenets.openslo.secrets import may_hold_a_secret, refuse_secrets
from apps.tenets.openslo.windows import method_of, window_of
from apps.tenets.openslo.words import (
    KINDS,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
    OTHERS,
    V1,
)

#: More than anybody mends at once.
MOST_PROBLEMS = 200
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def check(text: str) -> Report:
    """Read a file; every problem has its line, and nothing raises."""
    report = Report()
    try:
        found = documents(text)
    except Unreadable as problem:
        report.problems.append(problem.problem)
        # What cannot be read cannot be searched either.
        report.secret = may_hold_a_secret(text)
        return report
    if not found:
        report.problems.append(Problem(1, "There is no document in this file."))
    _Checker(report, found).run()
    report.problems = _first(report.problems)
    return report


def _first(problems: list[Problem]) -> list[Problem]:
    """Return as many as anybody reads, by line; errors before notes where there are too many."""
    if len(problems) > MOST_PROBLEMS:
        last = max(one.line for one in problems)
        more = Problem(last, f"And {len(problems) - MOST_PROBLEMS:,} more: mend these first.")
        problems = [*sorted(problems, key=lambda one: not one.error)[:MOST_PROBLEMS], more]
    return sorted(problems)


class _Checker:
    """Walks the documents of one file."""

    def __init__(self, report: Report, found: list[At]) -> None:
        self.report = report
        self.findings = Findings(report)
        self.found = found
        self.named: dict[tuple[str, str], At] = {}
        self.kept: list[dict[str, Any]] = []

    def run(self) -> None:
        for document in self.found:
            refuse_secrets(self.findings, document)
        slos = [one for one in self.found if self._document(one) == "SLO"]
        for slo in slos:
            self._slo(slo)
        if self.found and not slos and not self.report.refused:
            self.findings.error(self.found[0], "There is no SLO in this file: nothing to promise.")
        for tenet in self.report.tenets:
            if self.kept:
                tenet.extra["documents"] = self.kept

    # What every document has

    def _document(self, document: At) -> str:
        if document.kind != "map":
            self.findings.error(
                document, "A document is a map with apiVersion, kind, metadata and spec."
            )
            return ""
        version, kind = (
            self.findings.text(document, "apiVersion"),
            self.findings.text(document, "kind"),
        )
        if version != V1:
            why = f": {OTHERS[version]}" if version in OTHERS else ""
            self.findings.error(
                document.get("apiVersion") or document,
                f"apiVersion {quoted(version)} is not read{why}. Write {V1}.",
            )
            return ""
        if kind not in KINDS:
            self.findings.error(
                document.get("kind") or document,
                f"kind {quoted(kind)} is none of OpenSLO: {', '.join(KINDS)}.",
            )
            return ""
        metadata = document.get("metadata")
        if metadata is None or metadata.kind != "map":
            self.findings.error(metadata or document, "metadata with a name is missing.")
            return ""
        name = self._name(metadata)
        if name and (kind, name) in self.named:
            self.findings.error(document, f"{kind} {name} stands here twice.")
            return ""
        if name:
            self.named[kind, name] = document
        spec = document.get("spec")
        if kind != "Service" and (spec is None or spec.kind != "map"):
            self.findings.error(document, f"{kind} has no spec.")
            return ""
        if spec and spec.kind == "map":
            self._description(spec)
        if kind not in {"SLO", "SLI", "Service"}:
            self.kept.append(document.plain())
            self.findings.note(document, f"Kept beside the draft, not used: {kind} {name}.")
        return kind

    def _name(self, metadata: At) -> str:
        name = self.findings.text(metadata, "name")
        if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
            self.findings.error(
                metadata.get("name") or metadata,
                f"metadata.name {quoted(name)} is no name: small letters, digits and dashes, at most"
                f" {LONGEST_NAME}, beginning and ending with a letter or digit (RFC 1123).",
            )
            return ""
        for part in ("labels", "annotations"):
            held = metadata.get(part)
            if held and held.kind != "map":
                self.findings.error(held, f"metadata.{part} is a map.")
            for word, one in held.entries.items() if held else ():
                if one.kind == "map":
                    self.findings.error(one, f"metadata.{part}: {quoted(word)} is text.")
        return name

    def _description(self, spec: At) -> None:
        words = spec.get("description")
        if words and len(str(words.value or "")) > LONGEST_DESCRIPTION:
            self.findings.error(
                words, f"description is longer than {LONGEST_DESCRIPTION:,} characters."
            )

    # SLOs

    def _slo(self, slo: At) -> None:
        spec, metadata = slo.entries["spec"], slo.entries["metadata"]
        ours = annotations_of(metadata)
        service = self.findings.text(spec, "service")
        if not service:
            self.findings.error(spec, "spec.service is missing: name what this is promised for.")
        window = window_of(self.findings, spec)
        method = method_of(self.findings, spec)
        indicator = self._indicator(spec)
        objectives = spec.get("objectives")
        if objectives is None or objectives.kind != "list" or not objectives.items:
            self.findings.error(
                objectives or spec, "spec.objectives is a list with at least one objective."
            )
            return
        threshold = bool(
            indicator and indicator.get("spec") and under(indicator, "thresholdMetric")
        )
        if threshold and len(objectives.items) > 1:
            self.findings.error(
                objectives.items[1],
                "With a thresholdMetric there is only one objective (specification).",
            )
        clauses = [
            objective_of(self.findings, one, method, threshold=threshold)
            for one in objectives.items
        ]
        policies = spec.get("alertPolicies")
        if policies and policies.kind != "list":
            self.findings.error(policies, "alertPolicies is a list.")
        elif policies:
            self.findings.note(policies, "Kept beside the draft, not used: alertPolicies.")
        if self.report.refused:
            return  # what follows takes for granted that everything is in its place
        tenet = self._tenet(slo, service, ours)
        for position, (node, clause) in enumerate(zip(objectives.items, clauses, strict=True)):
            said = {**clause, **window, **clause_as_ours(self.findings, ours, clause, node)}
            said["dimension"] = said.get("dimension") or dimension_of(metadata, threshold=threshold)
            said["text"] = ours.get("text") or self._words(slo, node, alone=len(clauses) == 1)
            tenet.clauses.append(said)
            tenet.extra.setdefault("slos", []).append(
                {"text": said["text"], **leftover(slo, node, indicator, position)}
            )

    def _tenet(self, slo: At, service: str, ours: Mapping[str, str]) -> WantedTenet:
        metadata, spec = slo.entries["metadata"], slo.entries["spec"]
        name = self.findings.text(metadata, "name")
        labels = metadata.get("labels")
        said_kind = self.findings.text(labels, "customer-class")
        slug = ours.get("tenet") or self.findings.text(labels, "tenet") or name
        if not re.fullmatch(r"[-a-zA-Z0-9_]{1,100}", slug):
            self.findings.error(
                metadata, f"The tenet's short name {quoted(slug)} is none for an address."
            )
        for tenet in self.report.tenets:
            if tenet.slug == slug:
                return tenet
        held = self.named.get(("Service", service))
        service_at = held.get("metadata") if held else None
        shown = self.findings.text(service_at, "displayName") if service_at else ""
        kind = ours.get("customer-class") or said_kind
        review, every = ours.get("review-by", ""), ours.get("review-every-months", "")
        tenet = WantedTenet(
            line=slo.line,
            slug=slug,
            name=(ours.get("name") or self.findings.text(metadata, "displayName") or name)[:200],
            service=ours.get("service") or service,
            service_name=(shown or service)[:200],
            kind=kind if kind in Kind.values else "",
            promise=ours.get("promise")
            or self.findings.text(spec, "description")
            or self.findings.text(metadata, "displayName")
            or name,
            rationale=ours.get("rationale", ""),
            audience=ours.get("audience", Audience.CLASS),
            customers=ours.get("customers", "").split(),
            review_by=date_of(review),
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
        own = self.findings.text(objective, "displayName")
        whole = self.findings.text(metadata, "displayName") or self.findings.text(metadata, "name")
        return (whole if alone or not own else f"{whole}: {own}")[:300]

    def _indicator(self, spec: At) -> At | None:
        inline, ref = spec.get("indicator"), spec.get("indicatorRef")
        if inline and ref:
            self.findings.error(ref, "Either indicator or indicatorRef, not both.")
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
                self.findings.error(
                    ref,
                    f"indicatorRef {quoted(str(ref.value or ''))}: no such SLI in this file. Put the SLI"
                    " into the same file, with a line --- between.",
                )
                return None
        if inline is None:
            if _composite(spec):
                self.findings.error(
                    spec, "A composite of several indicators cannot be told for one customer."
                )
            else:
                self.findings.error(spec, "indicator or indicatorRef is missing.")
            return None
        check_metric(self.findings, inline)
        return inline

    def _kind_and_name(self, document: At) -> tuple[str, str]:
        metadata = document.get("metadata")
        return self.findings.text(document, "kind"), self.findings.text(
            metadata, "name"
        ) if metadata else ""


def _composite(spec: At) -> bool:
    objectives = spec.get("objectives")
    return bool(
        objectives
        and any(one.get("indicator") or one.get("indicatorRef") for one in objectives.items)
    )
