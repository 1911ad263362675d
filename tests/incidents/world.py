"""What the tests of incidents share."""

from datetime import timedelta
from typing import Any

from django.urls import reverse

from apps.accounts.models import User
from apps.impact.models import ImpactRun, ImpactSnapshot, RunState
from apps.incidents import actions
from apps.incidents.models import Incident, IncidentRun, State, Update, Visibility
from tests.factories import NOW, make_snapshot, make_user

MARKUP = "<script>alert(1)</script>"
LATER = NOW + timedelta(minutes=15)


def declared(user: User | None = None, **columns: Any) -> Incident:
    """An incident that was declared at NOW, 26 minutes after its first failure."""
    return actions.declare(
        **{
            "title": "Checkout fails for some",
            "started_at": NOW - timedelta(minutes=26),
            "services": [],
            "cannot": "pay by card",
            "fault": "unknown",
            "visibility": Visibility.PUBLIC,
            "user": user or User.objects.filter(role="lead").first() or make_user(),
            "now": NOW,
            **columns,
        }
    )


def drafted(incident: Incident, user: User, **columns: Any) -> Update:
    return actions.draft_update(
        **{
            "incident": incident,
            "state": State.IDENTIFIED,
            "text": "Some card payments are failing. We know the cause.",
            "advice": "Try once more in a minute.",
            "next_update_at": LATER,
            "user": user,
            "now": NOW,
            **columns,
        }
    )


def finish(run: ImpactRun, result: dict[str, Any] | None = None, *, now=NOW) -> ImpactSnapshot:
    """Do what the worker does when it has computed a run."""
    ImpactRun.objects.filter(pk=run.pk).update(state=RunState.DONE, finished_at=now, progress=100)
    return ImpactSnapshot.objects.create(
        run=run,
        as_of=now,
        watermark=now,
        provisional=True,
        method="test",
        created_at=now,
        result=result or {},
    )


def finish_all(incident: Incident, result: dict[str, Any] | None = None, *, now=NOW) -> None:
    for row in IncidentRun.objects.filter(incident=incident, run__state=RunState.QUEUED):
        finish(row.run, result, now=now)


def snapshot_of(incident, *customers, **columns):
    """A snapshot with these customers hit, as the incident's latest."""
    snapshot = make_snapshot(*customers, **columns)
    IncidentRun.objects.create(incident=incident, run=snapshot.run)
    return snapshot


def room(incident, page="room", **more):
    """The address of a page of the incident."""
    return reverse(f"incidents:{page}", kwargs={"pk": incident.pk, **more})


def pages(incident):
    """Every address of the console's incidents: name -> (address, is it a form or a button)."""
    return {
        "list": (reverse("incidents:list"), False),
        "declare": (reverse("incidents:declare"), True),
        "room": (room(incident), False),
        "customers": (room(incident, "customers"), False),
        "timeline": (room(incident, "timeline"), False),
        "edit": (room(incident, "edit"), True),
        "state": (room(incident, "state"), True),
        "severity": (room(incident, "severity", kind="business"), True),
        "impact": (room(incident, "impact"), True),
        "update": (room(incident, "update"), True),
        "publish": (room(incident, "publish"), True),
        "discard": (room(incident, "discard"), True),
        "resolve": (room(incident, "resolve"), True),
        "gaps": (reverse("impact:gaps"), False),
    }
