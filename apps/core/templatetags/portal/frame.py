"""The frame of a page: navigation, theme, pages of a list."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from apps.core.places import COMMANDS, SETTINGS, Place, open_to
from apps.core.templatetags.portal.registry import register

#: Label, URL name, the permission it needs ("" = anybody with a console). Hidden while the name does not exist.
NAVIGATION: tuple[tuple[str, str, str], ...] = (
    ("Today", "today", ""),
    ("Incidents", "incidents:list", ""),
    ("Customers", "customers:list", ""),
    ("System", "system:map", ""),
    ("Tenets", "tenets:list", ""),
    ("Outreach", "outreach:list", ""),
    ("Guidance", "guidance:list", ""),
    ("Gaps", "impact:gaps", ""),
    ("Reports", "statuspage:reports", ""),
    ("Settings", "settings", ""),
)

#: Pages that only another one leads to, and whose place in the navigation is therefore theirs.
BELOW = {"runs:list": "incidents:list"}


@dataclass(frozen=True)
class NavItem:
    """One link of the navigation."""

    label: str
    href: str
    current: bool


@register.simple_tag(takes_context=True)
def nav_items(context: Context) -> list[NavItem]:
    """Return the links that exist and that this person may follow, the current one marked."""
    request = context.get("request")
    can = getattr(getattr(request, "user", None), "can", None)
    found: list[tuple[str, str]] = []
    for label, name, action in NAVIGATION:
        if action and not (can and can(action)):
            continue
        try:
            found.append((label, reverse(name)))
        except NoReverseMatch:
            continue
    path = getattr(request, "path", "")
    # Today's address begins every other one's, so it counts only when it is the whole.
    homes = {href for a, href in found for b, other in found if a != b and other.startswith(href)}
    here = [
        href for _, href in found if path == href or (href not in homes and path.startswith(href))
    ]
    current = max(here, key=len, default=None) or _above(path) or _home_of(path)
    return [NavItem(label, href, href == current) for label, href in found]


def _above(path: str) -> str | None:
    for below, above in BELOW.items():
        try:
            if path.startswith(reverse(below)):
                return reverse(above)
        except NoReverseMatch:
            continue
    return None


def _home_of(path: str) -> str | None:
    """Return the address of Settings for a page that only Settings leads to."""
    below = any(path.startswith(place.href) for place in SETTINGS)
    try:
        return reverse("settings") if below else None
    except NoReverseMatch:
        return None


@register.simple_tag(takes_context=True)
def command_places(context: Context) -> list[Place]:
    """Return where the command bar leads: verbs first, then the settings; the navigation stands beside them."""
    user = getattr(context.get("request"), "user", None)
    return open_to(user, (*COMMANDS, *SETTINGS))


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """Return ` data-theme="dark"` when the reader chose a theme (a cookie that portal.js sets)."""
    request = context.get("request")
    chosen = getattr(request, "COOKIES", {}).get("theme")
    return format_html(' data-theme="{}"', chosen) if chosen in {"light", "dark"} else ""


@register.filter
def pages(page: Any) -> list[int | None]:
    """Return the numbers to show for a Page: first, last and those near; None is a gap between."""
    last = page.paginator.num_pages
    near = sorted({1, last, *range(max(1, page.number - 1), min(last, page.number + 1) + 1)})
    shown: list[int | None] = [near[0]]
    for before, after in pairwise(near):
        if after - before > 1:
            shown.append(None)
        shown.append(after)
    return shown
