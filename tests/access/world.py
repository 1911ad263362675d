"""Two customers with everything that can belong to one, and a person for every role."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from apps.accounts import actions as accounts
from apps.accounts.models import Role, User
from apps.customers.actions import begin_import
from apps.customers.jobs import run_next as run_import
from apps.customers.models import Attribute, Customer, CustomerJourney, IdentificationRule, Kind
from apps.guidance import actions as guidance
from apps.impact.models import Gap, ImpactRun
from apps.incidents.models import Severity
from apps.outreach.models import Delivery, Outreach
from apps.statuspage.actions import report_mismatch
from apps.telemetry.models import Sender
from apps.tenets import actions as tenets
from apps.tenets.models import Clause, Dimension
from tests.factories import (
    NOW,
    make_contact,
    make_customer,
    make_operation,
    make_service,
    make_user,
)
from tests.incidents.world import drafted
from tests.outreach.world import World as Told
from tests.outreach.world import make_world

#: The roles in the order of the table; None has not signed in.
PEOPLE = ("nobody", "Bob", "Charlie", "Amy", "Max", "Vic", "Ben", "Alice", "Ada")


@dataclass
class World:
    told: Told
    people: dict[str, User | None]
    names: dict[str, object]  # what stands in the addresses of Acme's things
    acme: Customer
    globex: Customer
    outreach: Outreach
    delivery: Delivery
    sessions: dict[str, tuple[str, str]] = field(default_factory=dict)  # who -> key, contents


def make_access_world() -> World:
    told = make_world()
    bob = make_user("Bob", role=Role.CUSTOMER)
    charlie = make_user("Charlie", role=Role.CUSTOMER)
    max_ = make_user("Max", role=Role.ACCOUNT_MANAGER)
    people = {
        "nobody": None,
        "Bob": bob,
        "Charlie": charlie,
        "Amy": told.amy,
        "Max": max_,
        "Vic": make_user("Vic", role=Role.VIEWER),
        "Ben": told.liaison,
        "Alice": told.alice,
        "Ada": make_user("Ada", role=Role.ADMIN),
    }
    told.bob.user = bob
    told.bob.save()
    globex = make_customer("Globex", account_manager=max_, parent=told.acme)
    make_contact(globex, "Charlie", user=charlie)
    outreach = told.approved()
    incident = told.incident
    service = make_service("Shop")
    incident.services.set([service])
    operation = service.operations.create(name="POST /orders", changes_state=True)
    journey = service.journeys.create(slug="purchase", name="Purchase")
    journey.steps.create(operation=operation, position=1)
    update = drafted(incident, told.alice)
    Severity.objects.create(
        incident=incident, kind=Kind.BUSINESS, level=2, reason="60 of 480 failed"
    )
    window = ImpactRun.objects.create(
        window_from=NOW - timedelta(hours=1), window_to=NOW, apart=True, created_at=NOW
    )
    gap = Gap.objects.create(
        code="no_actor",
        question="How many people were hit?",
        why="The log names nobody.",
        first_snapshot=told.snapshot,
        latest_snapshot=told.snapshot,
        opened_at=NOW,
    )
    report = report_mismatch(by=bob, customer=told.acme, text="It fails for us too.", now=NOW)
    tenet = tenets.create_tenet(
        slug="orders", name="Orders", service=service, kind=Kind.BUSINESS, user=told.alice, now=NOW
    )
    version = tenet.versions.create(number=1, promise="Orders go through.", author=told.alice)
    Clause.objects.create(
        version=version,
        position=1,
        dimension=Dimension.ERROR,
        text="Orders that work",
        target="0.999",
    )
    guidance.save_advice(
        by=told.alice,
        now=NOW,
        code="502",
        kind="",
        title="We failed",
        what_happened="A server of ours did not answer.",
        what_to_do="Try again in a minute.",
        tell_your_customers="",
        retry_from_s=30,
        retry_to_s=90,
    )
    admin = people["Ada"]
    assert admin is not None
    invited = accounts.invite_person(
        email="zoe@example.com", name="Zoe", role=Role.VIEWER, by=admin, now=timezone.now()
    )
    key, _ = accounts.issue_key(name="edge", scopes=["ingest"], by=admin, now=NOW)
    rule = IdentificationRule.objects.create(
        customer=told.acme, attribute=Attribute.HOST, value="api.acme.example"
    )
    delivery = outreach.deliveries.get()
    CustomerJourney.objects.create(
        customer=told.acme, journey="checkout", value="49.90", currency="EUR", note="Tills."
    )
    taken = begin_import(
        name="customers.csv",
        content=b"external_id,name,kind\n1,One,business\n2,,business\n",
        user=told.alice,
        now=NOW,
    )
    run_import(clock=lambda: NOW, only=taken.pk)
    sender = Sender.objects.create(source="api: edge", first_at=NOW, seen_at=NOW, state="quiet")
    sender.silences.create(began_at=NOW, noticed_at=NOW, usual=3)
    names = {
        "rule": rule.pk,
        "sender": sender.pk,
        "service": service.slug,
        "operation": operation.pk,
        "route": make_operation(make_service("Site"), "GET /orders/{id}", route=True).pk,
        "refused": service.refused_patterns.create(method="GET", pattern="/{id}").pk,
        "journey": journey.pk,
        "dependency": service.dependencies.create(supplier="Cards Ltd").pk,
        "incident": incident.pk,
        "reference": incident.reference,
        "update": update.pk,
        "outreach": outreach.pk,
        "delivery": delivery.pk,
        "acme": told.acme.pk,
        "slug": told.acme.slug,
        "contact": told.bob.pk,
        "import": taken.pk,
        "tenet": tenet.slug,
        "gap": gap.pk,
        "window": window.pk,
        "chart": "0" * 64,
        "report": report.pk,
        "person": invited.user_id,
        "token": invited.token,
        "key": key.pk,
        "passkey": 1,
    }
    return World(told, people, names, told.acme, globex, outreach, delivery)


def routes() -> set[str]:
    """Return every route of the URLconf."""

    def walk(patterns, prefix):
        for one in patterns:
            route = prefix + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, route)
            else:
                assert isinstance(one, URLPattern)
                yield route

    return set(walk(get_resolver().url_patterns, ""))


#: A sign-in writes these; that is not what a page may not do.
NOT_WATCHED = {"accounts_usersession", "django_session", "portal_cache", "django_migrations"}


#: Table -> the rows that count as a change: all but the one line that a GET may write, and the audit log is for.
READING_WRITES = {"accounts_auditevent": " WHERE action <> 'impact.attempts'"}


def contents() -> dict[str, str]:
    """Return a checksum for the rows of every table; who looked at single requests is noted by reading."""
    tables = sorted(set(connection.introspection.table_names()) - NOT_WATCHED)
    with connection.cursor() as cursor:
        parts = [
            f"SELECT '{t}', md5(coalesce(string_agg(r::text, '' ORDER BY r::text), '')) FROM \"{t}\" r"  # noqa: S608
            f"{READING_WRITES.get(t, '')}"
            for t in tables
        ]
        cursor.execute(" UNION ALL ".join(parts))
        return dict(cursor.fetchall())
