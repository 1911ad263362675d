"""From what a file describes to drafts: always drafts, all of a file or nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from apps.accounts.models import AuditEvent, User
from apps.catalog.models import Journey, Operation, Service
from apps.customers.models import Customer
from apps.tenets import actions
from apps.tenets.content import content_of
from apps.tenets.models import Tenet, TenetVersion, VersionState
from apps.tenets.openslo.findings import Report, WantedTenet
from apps.tenets.openslo.reading import Problem


class UnableToImport(actions.Refused):
    """The file cannot become drafts; `problems` say where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].text if problems else "Nothing to import.")
        self.problems = problems


@dataclass(frozen=True)
class Drafted:
    """What became of a tenet of the file."""

    version: TenetVersion
    changed: bool  # False: the newest version says the same already


def make_drafts(
    *,
    report: Report,
    user: User,
    now: datetime,
    kind: str = "",
    add_services: bool = False,
    dry: bool = False,
) -> list[Drafted]:
    """Draft a version of each tenet in the report, or none. `dry` undoes it all. Raises UnableToImport."""
    if report.refused:
        raise UnableToImport([one for one in report.problems if one.error])
    found: list[Drafted] = []
    problems: list[Problem] = []
    with transaction.atomic():
        for wanted in report.tenets:
            try:
                found.append(
                    _draft(wanted, user=user, now=now, kind=kind, add_services=add_services)
                )
            except actions.Refused as problem:
                problems.append(Problem(wanted.line, str(problem)))
        if dry or problems:
            transaction.set_rollback(True)
    if problems:
        raise UnableToImport(problems)
    return found


def _draft(
    wanted: WantedTenet, *, user: User, now: datetime, kind: str, add_services: bool
) -> Drafted:
    tenet = _tenet(wanted, user=user, now=now, kind=kind, add_services=add_services)
    newest = tenet.versions.order_by("-number").first()
    before = content_of(newest) if newest else None
    was_draft = bool(newest and newest.state == VersionState.DRAFT)
    with transaction.atomic():
        version = _write(wanted, tenet, user=user, now=now)
        same = before == content_of(version)
        if same:
            transaction.set_rollback(True)
    if same and newest:
        return Drafted(newest, changed=False)
    if was_draft:
        raise actions.UnableToDraft(
            f"Tenet {tenet.slug} has a draft already that says something else: give it for review or"
            " edit it first."
        )
    return Drafted(version, changed=True)


def _write(wanted: WantedTenet, tenet: Tenet, *, user: User, now: datetime) -> TenetVersion:
    review = wanted.review_by if wanted.review_by and wanted.review_by > now.date() else None
    return actions.draft_version(
        tenet=tenet,
        promise=wanted.promise,
        rationale=wanted.rationale,
        audience=wanted.audience,
        customers=_customers(wanted),
        review_by=review,
        review_every_months=wanted.review_every_months,
        change_note="Imported from OpenSLO.",
        extra=wanted.extra,
        clauses=[actions.ClauseDraft(**_resolved(one, tenet.service)) for one in wanted.clauses],
        user=user,
        now=now,
    )


def _tenet(
    wanted: WantedTenet, *, user: User, now: datetime, kind: str, add_services: bool
) -> Tenet:
    to = wanted.kind or kind
    tenet = Tenet.objects.select_related("service").filter(slug=wanted.slug).first()
    if tenet is None:
        if not to:
            raise actions.UnableToCreate(
                f"{wanted.slug} does not say to which kind of customer it is promised: choose it."
            )
        service = _service(wanted, user=user, now=now, add=add_services)
        return actions.create_tenet(
            slug=wanted.slug, name=wanted.name, service=service, kind=to, user=user, now=now
        )
    if tenet.service.slug not in {wanted.service, slugify(wanted.service)}:
        raise actions.UnableToCreate(
            f"Tenet {tenet.slug} is about {tenet.service.slug}, not {wanted.service}."
        )
    if to and tenet.kind != to:
        raise actions.UnableToCreate(
            f"Tenet {tenet.slug} is promised to {tenet.get_kind_display().lower()}, not to {to}."
        )
    return tenet


def _service(wanted: WantedTenet, *, user: User, now: datetime, add: bool) -> Service:
    slug = wanted.service
    service = Service.objects.filter(slug=slug).first()
    if service:
        return service
    if not add:
        raise actions.UnableToCreate(
            f"The catalog has no service {slug}: choose to add it, or name one that it has."
        )
    slug = slugify(slug)[:100]
    if not slug:
        raise actions.UnableToCreate("The service has no name that makes an address.")
    service, made = Service.objects.get_or_create(
        slug=slug, defaults={"name": wanted.service_name, "public": False}
    )
    if made:
        AuditEvent.note(
            at=now, user=user, action="service.create", target=service, after={"slug": slug}
        )
    return service


def _customers(wanted: WantedTenet) -> list[Customer]:
    found = {one.slug: one for one in Customer.objects.filter(slug__in=wanted.customers)}
    if missing := [slug for slug in wanted.customers if slug not in found]:
        raise actions.UnableToDraft(f"There is no customer {', '.join(missing[:5])}.")
    return [found[slug] for slug in wanted.customers]


def _resolved(clause: dict[str, Any], service: Service) -> dict[str, Any]:
    return {**clause, **dict(_subject(clause, service))}


def _subject(clause: dict[str, Any], service: Service) -> Iterator[tuple[str, Any]]:
    if slug := clause.get("journey"):
        journey = Journey.objects.filter(service=service, slug=slug).first()
        if journey is None:
            raise actions.UnableToDraft(f"{service.name} has no journey {slug}.")
        yield "journey", journey
    else:
        yield "journey", None
    if name := clause.get("operation"):
        operation = Operation.objects.filter(service=service, name=name).first()
        if operation is None:
            raise actions.UnableToDraft(f"{service.name} has no operation {name}.")
        yield "operation", operation
    else:
        yield "operation", None
