"""The status page's world: an incident that hit Acme (Bob) and not Globex (Charlie), and a way to ask the front."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from apps.accounts.models import Role, User
from apps.customers.models import Customer
from apps.impact.models import ImpactSnapshot
from apps.incidents.models import Incident, IncidentRun, Update
from apps.statuspage.front import serve_rendered_first
from tests.factories import (
    NOW,
    make_contact,
    make_customer,
    make_incident,
    make_service,
    make_snapshot,
    make_user,
)

#: Enough people behind every part, so that a breakdown may be told.
MANY = {
    "people": {
        "first_try": 350,
        "slow": 0,
        "retried": 27,
        "gave_up": 31,
        "came_back": 0,
        "open": 0,
        "cannot_tell": 0,
    }
}


@dataclass
class World:
    alice: User
    bob: User
    charlie: User
    acme: Customer
    globex: Customer
    incident: Incident
    snapshot: ImpactSnapshot


def publish(
    incident: Incident,
    text: str = "Some card payments fail. We are looking.",
    *,
    state: str = "investigating",
    at: datetime = NOW,
    advice: str = "",
    next_update_at: datetime | None = None,
) -> Update:
    author = incident.declared_by
    Incident.objects.filter(pk=incident.pk).update(state=state)
    return Update.objects.create(
        incident=incident,
        state=state,
        text=text,
        advice=advice,
        next_update_at=next_update_at,
        author=author,
        created_at=at,
        published_at=at,
        published_by=author,
    )


def measure(incident: Incident, *customers: Customer, **columns: Any) -> ImpactSnapshot:
    snapshot = make_snapshot(*customers, **columns)
    IncidentRun.objects.create(incident=incident, run=snapshot.run)
    return snapshot


def make_world() -> World:
    alice = make_user("Alice")
    bob = make_user("Bob", role=Role.CUSTOMER)
    charlie = make_user("Charlie", role=Role.CUSTOMER)
    acme, globex = make_customer("Acme"), make_customer("Globex")
    make_contact(acme, "Bob", user=bob)
    make_contact(globex, "Charlie", user=charlie)
    shop = make_service("Shop")
    make_service("Search")
    incident = make_incident(
        "Checkout fails for some", services=[shop], declared_by=alice, cannot="Pay by card"
    )
    publish(incident, at=NOW - timedelta(minutes=25))
    publish(
        incident,
        "A supplier's network drops part of our requests.",
        state="identified",
        at=NOW - timedelta(minutes=8),
        advice="If a payment failed, try once more in a minute. You were not charged.",
        next_update_at=NOW + timedelta(minutes=12),
    )
    snapshot = measure(incident, acme, result=MANY)
    return World(alice, bob, charlie, acme, globex, incident, snapshot)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def never(environ, start_response):
    raise AssertionError(f"Django was asked for {environ['PATH_INFO']}")


@dataclass
class Front:
    """The middleware, with an application behind it that must not be asked unless told otherwise."""

    application: Any = never
    wsgi: Any = field(init=False)

    def __post_init__(self):
        self.wsgi = serve_rendered_first(self.application)

    def get(
        self, path: str = "/", *, method: str = "GET", query: str = "", **headers: str
    ) -> Answer:
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(b""),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        seen: dict[str, Any] = {}

        def start_response(status, headers, exc_info=None):
            names = [name for name, _ in headers]
            assert len(names) == len(set(names)), f"a header twice: {names}"
            seen.update(status=int(status.split()[0]), headers=dict(headers))

        body = b"".join(self.wsgi(environ, start_response))
        return Answer(seen["status"], seen["headers"], body)
