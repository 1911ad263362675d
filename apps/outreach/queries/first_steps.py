"""What a new portal needs before it can tell anybody anything: read from what is there, never ticked off by hand."""

from dataclasses import dataclass

from django.db.models import Max
from django.urls import reverse

from apps.accounts.models import PERMISSIONS, User
from apps.catalog.models import Journey
from apps.customers.models import Customer, IdentificationRule
from apps.incidents.models import Incident
from apps.telemetry.models import Batch
from apps.tenets.models import TenetVersion, VersionState

#: From this share of named requests on, the impact on customers is worth reading.
ENOUGH = 0.95
#: So many of the newest chunks of a log say what the rules name now.
NEWEST = 100


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do, and where it is done."""

    title: str
    text: str
    done: bool
    href: str = ""  # empty: not for this person
    action: str = ""
    command: str = ""


def first_steps(user: User) -> list[Step]:
    """Return what is done and what is left, or nothing: once all is done, or an incident was ever declared."""
    if not user.can("customer.edit") or Incident.objects.exists():
        return []
    steps = [_customers(), _traffic(user), _names(), _catalog(), _colleague(user), _promise()]
    return [] if all(one.done for one in steps) else steps


def _customers() -> Step:
    return Step(
        title="Say who your customers are",
        text="From a file with a line for each: three columns are enough.",
        done=Customer.objects.exists(),
        href=reverse("customers:import"),
        action="Import customers",
    )


def _traffic(user: User) -> Step:
    return Step(
        title="Bring in a little traffic",
        text="An access log, on the machine where the portal runs, or events that a program sends with a key. Keep "
        "the long logs for later: rules name what comes in after them, not what is stored.",
        command=".venv/bin/python manage.py ingest access.log",
        done=Batch.objects.filter(rows__gt=0).exists(),
        href=reverse("accounts:keys") if user.can("keys.manage") else "",
        action="Keys for programs",
    )


def _names() -> Step:
    share, ruled = _named_now()
    since = " since the last rule" if ruled else ""
    if share is not None:
        # Rounded down: "95 %" must not stand beside a step that is not done.
        text = f"{int(share * 100)} % of what came in{since} is of a customer we can name."
    elif ruled:
        text = "Rules name what comes in after them: bring in the next log, and this shows how many they name."
    else:
        text = "Rules know a customer by a host, a key, a network or a whole service."
    return Step(
        title="Name at least 95 % of the traffic",
        text=text,
        done=share is not None and share >= ENOUGH,
        href=reverse("rules:identification"),
        action="See what has no name",
    )


def _named_now() -> tuple[float | None, bool]:
    """Return which share of requests the rules named since the last was made, and whether there is one."""
    newest = IdentificationRule.objects.filter(enabled=True).aggregate(at=Max("created_at"))["at"]
    rows = Batch.objects.filter(rows__gt=0).order_by("-created_at", "-pk")
    if newest:
        rows = rows.filter(created_at__gte=newest)
    tallies = list(rows.values_list("tally", flat=True)[:NEWEST])
    customers = sum(tally.get("customers", 0) for tally in tallies)
    named = sum(tally.get("named", 0) for tally in tallies)
    return (named / customers if customers else None), newest is not None


def _catalog() -> Step:
    return Step(
        title="Confirm what you run",
        text="Traffic proposes services and operations; two clicks confirm them and make journeys of what changes "
        "something. Give journeys the names that customers would use: promises are worded with them.",
        done=Journey.objects.exists(),
        href=reverse("catalog:services"),
        action="Look at the services",
    )


def _colleague(user: User) -> Step:
    may = PERMISSIONS["tenet.approve"]
    return Step(
        title="Invite somebody who approves",
        text="What one writes, another approves: an admin or an incident lead.",
        done=User.objects.filter(is_active=True, role__in=may).exclude(pk=user.pk).exists(),
        href=reverse("accounts:invite") if user.can("people.manage") else "",
        action="Invite a person",
    )


def _promise() -> Step:
    states = set(TenetVersion.objects.values_list("state", flat=True).distinct())
    waits = VersionState.IN_REVIEW in states
    return Step(
        title="Promise something",
        text="A version waits for the approval of somebody who did not write it."
        if waits
        else "Say what a kind of customer can bear; the guide makes a draft of it.",
        done=VersionState.ACTIVE in states,
        href=reverse("tenets:list") if waits else reverse("tenets:guide"),
        action="See what waits" if waits else "Draft with a guide",
    )
