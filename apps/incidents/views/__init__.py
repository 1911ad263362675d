"""Pages of incidents: the list, the room, and one small page for each thing that people do there."""

from apps.incidents.views.handling import declare, edit, impact, severity, state
from apps.incidents.views.reading import attempts, compare, customers, listing, room, timeline
from apps.incidents.views.system import system
from apps.incidents.views.telling import discard, publish, resolve, update

__all__ = [
    "attempts",
    "compare",
    "customers",
    "declare",
    "discard",
    "edit",
    "impact",
    "listing",
    "publish",
    "resolve",
    "room",
    "severity",
    "state",
    "system",
    "timeline",
    "update",
]
