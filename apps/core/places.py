"""Where a person may go: the addresses that exist and that their role may open, for menus and the command bar."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.urls import Resolver404, get_script_prefix, resolve


@dataclass(frozen=True)
class Place:
    """An address with its name; `about` says in a sentence what is there."""

    label: str
    path: str
    about: str = ""

    @property
    def href(self) -> str:
        """The address as a link has it."""
        return get_script_prefix() + self.path


#: What is set once and looked at rarely. Shown where the address exists.
SETTINGS: tuple[Place, ...] = (
    Place("People", "console/people/", "Who may sign in, as what, and who was invited."),
    Place("Roles", "console/people/roles/", "What each role may do."),
    Place("Keys", "console/keys/", "Keys with which machines send events and read."),
    Place("Audit log", "console/audit/", "Who changed what, when, and what stood there before."),
    Place("Rules", "console/rules/", "By what traffic is known to be a customer’s."),
    Place(
        "Identification",
        "console/identification/",
        "How much traffic belongs to a customer we can name, and what the rest has in common.",
    ),
    Place("Services", "console/services/", "What we run, and what it stands on."),
    Place("Operations", "console/operations/", "What callers can ask of a service."),
    Place("Journeys", "console/journeys/", "What people come for, step by step."),
    Place("Import customers", "console/customers/import/", "Many at once, from a file."),
    Place("Components", "console/style/", "Every part that a page is made of, in every state."),
)

#: What the command bar offers beside the navigation and the settings: verbs.
COMMANDS: tuple[Place, ...] = (
    Place("Declare an incident", "console/incidents/declare/"),
    Place("Add a customer", "console/customers/new/"),
    Place("Write a tenet", "console/tenets/new/"),
    Place("Write advice about an error", "console/guidance/new/"),
    Place("Telemetry: is data coming in", "console/system/telemetry/"),
    Place("Invite a person", "console/people/invite/"),
    Place("Your account", "console/account/"),
    Place("Search", "console/search/"),
    Place("Status page", ""),
)


def open_to(user: Any, places: Iterable[Place]) -> list[Place]:
    """Return the places that exist and that `user` may open."""
    return [place for place in places if _may_open(user, place)]


def _may_open(user: Any, place: Place) -> bool:
    found, action = _guard(place.path)
    can = getattr(user, "can", None)
    return found and (not action or bool(can and can(action)))


@lru_cache(maxsize=256)
def _guard(path: str) -> tuple[bool, str]:
    """Return whether the address exists, and the permission that its view asks for ("" = none)."""
    try:
        view = resolve(f"/{path}").func
    except Resolver404:
        return False, ""
    return True, str(getattr(view, "action", ""))
