"""How times read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone
from django.utils.html import format_html

from apps.core.templatetags.portal.numbers import CANNOT_TELL, UNIT, finite
from apps.core.templatetags.portal.registry import register


@register.filter
def duration(value: object) -> str:
    """Return seconds or a timedelta as "48 s", "11 min", "1 h 20 min" or "3 days"."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else finite(value)
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
    `bare` "10:04" (say UTC once nearby) · `seconds` "10:04:31 UTC" · `day` "22 November 2026". `zone`
    names the zone of who reads ("Europe/Berlin"); without it Django's current one counts.
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
    elif style == "seconds":
        words = f"{universal:%H:%M:%S} UTC"
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
