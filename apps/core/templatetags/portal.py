"""How numbers, times, states and stored text read on a page: `{% load portal %}`.

Filters never fail on what a page may hold: what they cannot read becomes "cannot tell", never a zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import nh3
from django import template
from django.contrib.messages import constants as messages
from django.template import Context
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt
from markdown_it.token import Token

register = template.Library()

CANNOT_TELL = "cannot tell"
#: Between a number and its unit: a space at which no line ends.
UNIT = "\u00a0"
#: Between thousands. The same as in the sentences of the story, which stand beside these numbers.
GROUP = ","

Number = int | float | Decimal


# Numbers


def _finite(value: object) -> Number | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return value if isfinite(value) else None


@register.filter
def number(value: object, places: int = 0) -> str:
    """Return 1390 as "1,390", rounded to `places`; None and what is no number is "cannot tell"."""
    found = _finite(value)
    if found is None:
        return CANNOT_TELL
    return f"{found:,.{places}f}".replace(",", GROUP).replace("-", "\u2212")


@register.filter
def told(value: object) -> str:
    """Return a number for a table's cell, or the hatched "cannot tell" where there is none."""
    if _finite(value) is None:
        return render_to_string("components/cannot_tell.html").strip()
    return number(value)


@register.filter
def shown(value: object) -> object:
    """Return a number grouped, and anything else as it is."""
    return value if _finite(value) is None else number(value)


@register.filter
def is_text(value: object) -> bool:
    """Whether a stat's value is words or a long figure, which are set smaller."""
    return _finite(value) is None and len(str(value)) > 8


@register.filter
def percent(value: object) -> str:
    """Return a share of 0..1 as "31 %"; it says 0 % or 100 % only when nothing or all is meant."""
    found = _finite(value)
    if found is None:
        return CANNOT_TELL
    hundredths = float(found) * 100
    if 0 < abs(hundredths) < 1 or 99 < abs(hundredths) < 100:
        text = f"{hundredths:.1f}"
        if text in {"0.0", "-0.0"}:
            return f"under 0.1{UNIT}%"
        if text == "100.0":
            return f"over 99.9{UNIT}%"
        return f"{text}{UNIT}%".replace("-", "\u2212")
    return f"{hundredths:.0f}{UNIT}%".replace("-", "\u2212")


@register.filter
def share(part: object, whole: object) -> str:
    """Return part of whole as "31 %"; of nothing, no share can be told."""
    a, b = _finite(part), _finite(whole)
    if a is None or not b:
        return CANNOT_TELL
    return percent(float(a) / float(b))


@register.filter
def interval(value: object) -> str:
    """Return an estimate with `estimate, low, high` as "about 240, between 180 and 310".

    Takes a mapping or an object. Without bounds it is "about 240"; without an estimate "cannot tell".
    """
    estimate, low, high = (_finite(_get(value, name)) for name in ("estimate", "low", "high"))
    if estimate is None:
        return CANNOT_TELL
    if low is None or high is None:
        return f"about {number(estimate)}"
    if low == high == estimate:
        return number(estimate)
    return f"about {number(estimate)}, between {number(low)} and {number(high)}"


def _get(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


# Times


@register.filter
def duration(value: object) -> str:
    """Return seconds or a timedelta as "48 s", "11 min", "1 h 20 min" or "3 days"."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else _finite(value)
    if seconds is None:
        return CANNOT_TELL
    whole = abs(int(seconds))
    if whole < 60:
        return f"{whole}{UNIT}s"
    if whole < 3600:
        return f"{whole // 60}{UNIT}min"
    if whole < 2 * 86400:
        minutes = whole % 3600 // 60
        text = f"{whole // 3600}{UNIT}h"
        # Minutes stop to matter after some hours.
        return f"{text} {minutes}{UNIT}min" if minutes and whole < 36000 else text
    return f"{whole // 86400} days"


def _aware(value: object) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    return timezone.make_aware(value, UTC) if timezone.is_naive(value) else value


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _full(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M}"


def _relative(value: object, now: object, kind: str) -> str:
    at = _aware(value)
    if at is None:
        return CANNOT_TELL
    # A page is rendered at the moment that it is read; a view that has its own `now` passes it.
    moment = _aware(now) or timezone.now()
    length = duration(at - moment)
    past = at <= moment
    words = {
        "ago": _ago(moment - at, length) if past else f"in {length}",
        "until": f"{length} overdue" if at < moment else f"in {length}",
        "for": length,
    }[kind]
    return format_html(
        '<time datetime="{}" title="{} UTC" data-relative="{}">{}</time>',
        _iso(at),
        _full(at.astimezone(UTC)),
        kind,
        words,
    )


def _ago(age: timedelta, length: str) -> str:
    return "just now" if age < timedelta(seconds=5) else f"{length} ago"


@register.filter
def ago(value: object, now: object = None) -> str:
    """Return a time element such as "4 min ago", kept true by portal.js; the title says when, in UTC."""
    return _relative(value, now, "ago")


@register.filter
def until(value: object, now: object = None) -> str:
    """Return a time element such as "in 11 min", or "4 min overdue"."""
    return _relative(value, now, "until")


@register.filter
def since(value: object, now: object = None) -> str:
    """Return a time element with the length alone: "27 min"."""
    return _relative(value, now, "for")


@register.simple_tag
def when(value: object, style: str = "full", zone: str = "") -> str:
    """Return an absolute time element. UTC always shows; the reader's zone stands before it when it differs.

    Styles: `full` "22 Nov 2026, 10:04 UTC" · `short` "22 Nov, 10:04 UTC" · `clock` "10:04 UTC" ·
    `bare` "10:04" (say UTC once nearby) · `day` "22 November 2026". `zone` names the zone of who
    reads ("Europe/Berlin"); without it Django's current one counts.
    """
    at = _aware(value)
    if at is None:
        return CANNOT_TELL
    universal = at.astimezone(UTC)
    try:
        local = at.astimezone(ZoneInfo(zone) if zone else timezone.get_current_timezone())
    except (ZoneInfoNotFoundError, ValueError):
        local = universal
    if style == "day":
        words = f"{local.day} {local:%B %Y}"
    elif style == "bare":
        words = f"{local:%H:%M}"
    else:
        clock = f"{universal:%H:%M} UTC"
        if local.utcoffset():
            day = "" if local.date() == universal.date() else f"{universal.day} {universal:%b} "
            clock = f"{local:%H:%M} {local:%Z} · {day}{clock}"
        days = {"full": f"{local.day} {local:%b %Y}, ", "short": f"{local.day} {local:%b}, "}
        words = f"{days.get(style, '')}{clock}"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>', _iso(at), _full(universal), words
    )


# States

#: What a state means for who looks at it. Colour means state only: anything else is neutral.
TONES: dict[str, str] = {
    word: tone
    for tone, words in {
        "fine": "fine resolved reviewed kept active sent delivered accepted replied done closed first_try"
        " not_hit told covered success approved operational",
        "slowed": "slowed slow monitoring at_risk stale paused retried partly_hit warning overdue late"
        " degraded",
        "failing": "failing down hit investigating identified reopened broken failed bounced gave_up expired"
        " error failure critical",
        "unknown": "unknown cannot_tell none blind gap",
        "maintenance": "maintenance",
    }.items()
    for word in words.split()
}

#: A state's icon where it is not the one named like its tone (templates/components/sprite.html).
ICONS: dict[str, str] = {
    "draft": "pencil",
    "in_review": "eye",
    "sent": "sent",
    "sending": "sent",
    "paused": "pause",
    "running": "running",
    "queued": "waiting",
    "claimed": "waiting",
    "submitting": "running",
    "open": "waiting",
    "info": "info",
}


@register.filter
def tone(state: object) -> str:
    """Return fine, slowed, failing, unknown, maintenance or neutral for any state of any model."""
    return TONES.get(_word(state), "neutral")


@register.filter
def state_icon(state: object) -> str:
    """Return the name of the icon that goes with a state."""
    word = _word(state)
    return ICONS.get(word) or TONES.get(word, "neutral")


@register.filter
def words(state: object) -> str:
    """Return a state's name as a reader says it: `partly_hit` is "Partly hit"."""
    text = _word(state).replace("_", " ")
    return text[:1].upper() + text[1:]


def _word(state: object) -> str:
    return "unknown" if state is None else str(state).strip().lower().replace(" ", "_")


@register.filter
def message_state(level: object) -> str:
    """Return the state of a Django message by its level."""
    value = level if isinstance(level, int) else 0
    if value >= messages.ERROR:
        return "failing"
    if value >= messages.WARNING:
        return "slowed"
    return "fine" if value == messages.SUCCESS else "info"


# Stored text

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
}


@register.filter
def markdown(text: object) -> SafeString:
    """Render stored Markdown. Markup in it stays text, and only plain elements come out.

    Headings move one level down, so that the page's own h1 stays the only one; pictures are dropped.
    """
    tokens = _MARKDOWN.parse("" if text is None else str(text))
    for token in tokens:
        _one_lower(token)
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return mark_safe(  # noqa: S308  (nh3 has cleaned it)
        nh3.clean(
            html,
            tags=_TAGS,
            attributes={"a": {"href", "title"}},
            url_schemes={"http", "https", "mailto", "tel"},
            link_rel="noopener noreferrer nofollow",
        )
    )


def _one_lower(token: Token) -> None:
    if token.type in {"heading_open", "heading_close"}:
        token.tag = f"h{min(int(token.tag[1]) + 1, 4)}"


# Components that hold other markup


def _hold(component: str, content: str, /, **values: object) -> SafeString:
    return render_to_string(f"components/{component}.html", {"content": content, **values})


@register.simple_block_tag
def page_header(
    content: str,
    title: str,
    *,
    lead: str = "",
    state: str = "",
    state_label: str = "",
    trail: str = "",
    trail_href: str = "",
) -> SafeString:
    """Head a page: h1, one lead sentence, where it hangs (`trail`), and inside: the actions."""
    return _hold(
        "page_header",
        content if content.strip() else "",
        title=title,
        lead=lead,
        state=state,
        state_label=state_label,
        trail=trail,
        trail_href=trail_href,
    )


@register.simple_block_tag
def panel(
    content: str, title: str, *, note: str = "", name: str = "", quiet: bool = False
) -> SafeString:
    """Set a part of a page under a heading; `note` stands at its right, `name` is its id."""
    return _hold("panel", content, title=title, note=note, name=name or slugify(title), quiet=quiet)


@register.simple_block_tag
def table_wrap(content: str, label: str) -> SafeString:
    """Let a table scroll inside itself, by keyboard too. `label` says what it lists."""
    return _hold("table_wrap", content, label=label)


@register.simple_block_tag
def figure(content: str, title: str, *, note: str = "", name: str = "") -> SafeString:
    """Frame a chart: `title` says what it shows, `note` its basis (window, coverage)."""
    return _hold("figure", content, title=title, note=note, name=name or slugify(title))


@register.simple_block_tag
def dialog(content: str, name: str, title: str) -> SafeString:
    """Hold a dialog; `<a href="…" data-opens="name">` opens it, and goes to its href without JavaScript."""
    return _hold("dialog", content, name=name, title=title)


@register.simple_block_tag(takes_context=True)
def danger(context: Context, content: str, label: str, action: str, *, confirm: str) -> SafeString:
    """Ask twice: the button `label` uncovers the content and the button `confirm`, which POSTs to `action`."""
    return _hold(
        "danger",
        content,
        label=label,
        action=action,
        confirm=confirm,
        csrf_token=context.get("csrf_token"),
    )


# Charts without a library: geometry by SVG attributes, colour by class

#: The classes of an attempt's outcome, from best to worst, then what is not known. Key, words, explanation.
OUTCOMES: tuple[tuple[str, str], ...] = (
    ("first_try", "first try"),
    ("slow", "slow"),
    ("retried", "after retries"),
    ("came_back", "came back later"),
    ("gave_up", "gave up"),
    ("open", "still open"),
    ("cannot_tell", CANNOT_TELL),
)


@dataclass(frozen=True)
class Segment:
    """One part of an outcome bar: `x` and `width` are percentages of the bar."""

    key: str
    label: str
    count: int
    share: float
    x: float
    width: float

    @property
    def left(self) -> str:
        """Where it begins, as an SVG length."""
        return f"{self.x:.2f}%"

    @property
    def length(self) -> str:
        """How wide it is, as an SVG length."""
        return f"{self.width:.2f}%"


def segments(attempts: object) -> list[Segment]:
    """Split a bar by outcome. What happened at all is never narrower than 0.8 % of the bar."""
    counts = {key: int(_finite(_get(attempts, key)) or 0) for key, _ in OUTCOMES}
    total = sum(counts.values())
    if total <= 0:
        return []
    raw = {key: max(n / total * 100, 0.8) for key, n in counts.items() if n > 0}
    scale = 100 / sum(raw.values())
    found, x = [], 0.0
    for key, label in OUTCOMES:
        if key in raw:
            width = raw[key] * scale
            found.append(Segment(key, label, counts[key], counts[key] / total, x, width))
            x += width
    return found


@register.inclusion_tag("components/outcome_bar.html")
def outcome_bar(attempts: object, what: str = "attempts", *, slim: bool = False) -> dict[str, Any]:
    """Draw what became of attempts. `attempts` has the keys of OUTCOMES (a mapping or an object).

    `what` completes "Of 4,800 …"; `slim` is the bar alone, for a table's cell.
    """
    parts = segments(attempts)
    return {
        "segments": parts,
        "total": sum(part.count for part in parts),
        "what": what,
        "slim": slim,
        "label": ", ".join(f"{number(part.count)} {part.label}" for part in parts),
    }


@register.inclusion_tag("components/sparkline.html")
def sparkline(
    values: Iterable[object],
    label: str,
    state: str = "neutral",
    *,
    window: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Draw a small line from zero; None is a hole in it. `window` = first and last shaded index."""
    points = [_finite(value) for value in values]
    top = max((float(p) for p in points if p is not None), default=0.0) or 1.0
    step = 100 / max(len(points) - 1, 1)
    lines: list[list[str]] = [[]]
    for index, point in enumerate(points):
        if point is None:
            lines.append([])
        else:
            lines[-1].append(f"{index * step:.2f},{22 - 20 * float(point) / top:.2f}")
    shade = None
    if window:
        left, right = window[0] * step, window[-1] * step
        shade = {"x": f"{left:.2f}", "width": f"{max(right - left, 1):.2f}"}
    # A lone point needs a second one to be seen.
    drawn = [line if len(line) > 1 else [line[0], line[0]] for line in lines if line]
    return {
        "lines": [" ".join(line) for line in drawn],
        "label": label,
        "state": state,
        "shade": shade,
    }


# The frame

#: Label, URL name, the permission it needs ("" = anybody with a console). Hidden while the name does not exist.
NAVIGATION: tuple[tuple[str, str, str], ...] = (
    ("Today", "today", ""),
    ("Incidents", "incidents:list", ""),
    ("Customers", "customers:list", ""),
    ("System", "catalog:system", ""),
    ("Tenets", "tenets:list", ""),
    ("Outreach", "outreach:list", ""),
    ("Guidance", "guidance:list", ""),
    ("Gaps", "impact:gaps", ""),
    ("Reports", "statuspage:reports", ""),
    ("Settings", "accounts:settings", "settings"),
)


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
    current = max(here, key=len, default=None)
    return [NavItem(label, href, href == current) for label, href in found]


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
