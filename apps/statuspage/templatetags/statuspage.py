"""Words of the status page: `{% load statuspage %}`."""

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import mark_safe

from apps.core.templatetags.portal import when
from apps.incidents.models import State

register = template.Library()


@register.simple_tag
def moment(value: datetime, now: datetime) -> str:
    """Return a time element in UTC, no longer than it must be on a page of `now`."""
    at, today = value.astimezone(UTC), now.astimezone(UTC)
    if at.date() == today.date():
        return when(value, "clock", "UTC")
    return when(value, "short" if abs((today - at).days) < 300 else "full", "UTC")


@register.simple_tag
def period(start: datetime, end: datetime, now: datetime) -> str:
    """Return "10:04–10:30 UTC", with the day before it unless it is today's."""
    if start.astimezone(UTC).date() != end.astimezone(UTC).date():
        return format_html("{} to {}", moment(start, now), moment(end, now))
    first = moment(start, now).replace(" UTC</time>", "</time>")
    return mark_safe(f"{first}–{when(end, 'clock', 'UTC')}")  # noqa: S308  (two time elements)


@register.filter
def incident_tone(state: str) -> str:
    """Return fine, slowed or failing for an incident's published state."""
    if state == State.MONITORING:
        return "slowed"
    return "fine" if state in {State.RESOLVED, State.REVIEWED} else "failing"


@register.filter
def service_tone(state: str) -> str:
    """Return the tone of a service's word."""
    return {"working": "fine", "recovering": "slowed"}.get(state, "failing")


@register.filter
def grade_tone(grade: str) -> str:
    """Return the tone of what hit a customer."""
    return {"hit": "failing", "partly_hit": "failing", "slowed": "slowed", "not_hit": "fine"}.get(
        grade, "unknown"
    )
