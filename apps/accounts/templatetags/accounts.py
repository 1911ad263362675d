"""How people, browsers and the lines of the audit log read."""

import json
import re
from typing import Any, NamedTuple

from django import template
from django.urls import NoReverseMatch, reverse

from apps.accounts.company import company

register = template.Library()

#: Browsers by a word of their own, the more particular first: most pretend to be others.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "Python"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
LONGEST = 300


@register.filter
def device(agent: str) -> str:
    """Say which browser on what; an unknown program by its own first word."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return (
        browser or system or agent.split(" ", maxsplit=1)[0][:60] or "A program that does not say"
    )


#: Actions of the audit log that do not read by themselves.
DONE = {
    "person.invite": "Invited",
    "person.invite_again": "Invited again",
    "person.accept": "Set the first password",
    "person.role": "Changed the role",
    "person.deactivate": "Deactivated",
    "person.reactivate": "Reactivated",
    "person.rename": "Changed the name",
    "person.password": "Changed the password",
    "person.end_sessions": "Signed out elsewhere",
    "person.first": "Became the first admin",
    "person.open": "Came for the first time",
    "person.second_factor_add": "Set up a second factor",
    "person.second_factor_remove": "Removed a second factor",
    "person.second_factor_renew": "Renewed the recovery codes",
    "key.issue": "Issued the key",
    "key.revoke": "Revoked the key",
    "key.rotate": "Rotated the key",
}


@register.filter
def done(action: str) -> str:
    """Say what was done."""
    if action in DONE:
        return DONE[action]
    words = re.sub(r"[._]", " ", action)
    return words[:1].upper() + words[1:]


class Change(NamedTuple):
    """One thing that was one way and is another; None where it was or is not at all."""

    name: str
    before: str | None
    after: str | None


@register.filter
def changes(event: Any) -> list[Change]:
    """Return what an event of the audit log changed, name by name."""
    before, after = event.before, event.after
    if not isinstance(before, dict | None) or not isinstance(after, dict | None):
        return [Change("value", _shown(before), _shown(after))]
    before, after = before or {}, after or {}
    names = [*before, *(name for name in after if name not in before)]
    return [
        Change(name.replace("_", " "), _shown(before.get(name)), _shown(after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = ", ".join(value) or "none"
    elif isinstance(value, str):
        text = value or "empty"
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


#: Where the things that the log speaks of have a page, by the first word of the target.
PAGES = {
    "user": "accounts:person",
    "incident": "incidents:room",
    "outreach": "outreach:detail",
}


@register.filter
def page_of(target: str) -> str:
    """Return the address of what a line of the log is about, empty where it has none."""
    kind, _, number = target.partition(":")
    if kind not in PAGES or not number.isdecimal():
        return ""
    try:
        return reverse(PAGES[kind], args=[int(number)])
    except (NoReverseMatch, ValueError):
        return ""


@register.filter
def at_key(names: dict[str, str], key: str) -> str:
    """Return what stands under a key, empty where nothing does."""
    return names.get(key, "")


@register.filter
def as_json(value: Any) -> str:
    """Return a value as JSON, for an attribute that a script reads."""
    return json.dumps(value)


@register.simple_tag
def company_sign_in() -> dict[str, str] | None:
    """Return the address and the name of the company's own sign-in (PORTAL_OIDC_*), None without one."""
    provider = company()
    return {"href": reverse("company_begin"), "name": provider.name} if provider else None
