"""How numbers read."""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from apps.core.templatetags.portal.registry import register

CANNOT_TELL = "cannot tell"
#: Between a number and its unit: a space at which no line ends.
UNIT = "\u00a0"
#: Between thousands. The same as in the sentences of the story, which stand beside these numbers.
GROUP = ","

Number = int | float | Decimal


def finite(value: object) -> Number | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return value if isfinite(value) else None


@register.filter
def number(value: object, places: int = 0) -> str:
    """Return 1390 as "1,390", rounded to `places`; None and what is no number is "cannot tell"."""
    found = finite(value)
    if found is None:
        return CANNOT_TELL
    return f"{found:,.{places}f}".replace(",", GROUP).replace("-", "\u2212")


@register.filter
def told(value: object) -> str:
    """Return a number for a table's cell, or the hatched "cannot tell" where there is none."""
    if finite(value) is None:
        return mark_safe(render_to_string("components/cannot_tell.html").strip())  # noqa: S308  (our own markup)
    return number(value)


@register.filter
def shown(value: object) -> object:
    """Return a number grouped, and anything else as it is."""
    return value if finite(value) is None else number(value)


@register.filter
def is_text(value: object) -> bool:
    """Whether a stat's value is words or a long figure, which are set smaller."""
    return finite(value) is None and len(str(value)) > 8


@register.filter
def percent(value: object) -> str:
    """Return a share of 0..1 as "31 %"; it says 0 % or 100 % only when nothing or all is meant."""
    found = finite(value)
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
    a, b = finite(part), finite(whole)
    if a is None or not b:
        return CANNOT_TELL
    return percent(float(a) / float(b))


@register.filter
def interval(value: object) -> str:
    """Return an estimate with `estimate, low, high` as "about 240, between 180 and 310".

    Takes a mapping or an object. Without bounds it is "about 240"; without an estimate "cannot tell".
    """
    estimate, low, high = (finite(get(value, name)) for name in ("estimate", "low", "high"))
    if estimate is None:
        return CANNOT_TELL
    if low is None or high is None:
        return f"about {number(estimate)}"
    if low == high == estimate:
        return number(estimate)
    return f"about {number(estimate)}, between {number(low)} and {number(high)}"


def get(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
