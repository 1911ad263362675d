"""One accent per deployment (PORTAL_ACCENT): made readable on every ground of both themes, served as a stylesheet.

Darker for light, lighter for dark, by as little as it takes. Pure but for `accent_of_settings`.
"""

import colorsys
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings

Colour = tuple[float, float, float]  # red, green, blue in 0..1

#: The grounds that text stands on (tokens.css; a test compares them), and the contrast that it needs there.
LIGHT = ("#fcfcfb", "#ffffff", "#f4f4f2")
DARK = ("#131517", "#1a1d20", "#202428")
ENOUGH, MORE = 4.6, 7.1
_INK = ("#ffffff", "#10162a")

_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})")
_RGB = re.compile(r"rgb\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*\)")
_HSL = re.compile(
    r"hsl\(\s*(\d{1,3}(?:\.\d+)?)(?:deg)?[\s,]+(\d{1,3}(?:\.\d+)?)%[\s,]+(\d{1,3}(?:\.\d+)?)%\s*\)"
)


@dataclass(frozen=True)
class Shade:
    """The accent in one theme: the colour, what is written on it, and its ground."""

    accent: str
    text: str
    soft: str


@dataclass(frozen=True)
class Accent:
    """The accent of a deployment in both themes, as it is and with more contrast."""

    light: Shade
    dark: Shade
    light_more: Shade
    dark_more: Shade
    adjusted: bool  # whether the colour given could be used in neither theme as it is

    @property
    def css(self) -> str:
        """The stylesheet. It comes after the tokens and is in their layer."""
        return (
            "@layer tokens{:root{" + _tokens(self.light, self.dark) + "}"
            "@media (prefers-contrast:more){:root{"
            + _tokens(self.light_more, self.dark_more)
            + "}}}\n"
        )

    @property
    def version(self) -> str:
        """What its address carries, so that it may be kept for ever."""
        return hashlib.sha256(self.css.encode()).hexdigest()[:12]


def accent_of_settings() -> Accent | None:
    """Return the deployment's accent; None when it has none, or one that is no colour."""
    colour = parse(settings.PORTAL_ACCENT)
    return accent_of(colour) if colour else None


def parse(text: str) -> Colour | None:
    """Return the colour that `#2b4fb8`, `#25b`, `rgb(43 79 184)` or `hsl(225 62% 44%)` means; None for all else."""
    given = text.strip().lower()
    if found := _HEX.fullmatch(given):
        digits = found[1] if len(found[1]) == 6 else "".join(c * 2 for c in found[1])
        return _of_hex(f"#{digits}")
    if found := _RGB.fullmatch(given):
        red, green, blue = (int(n) for n in found.groups())
        return (red / 255, green / 255, blue / 255) if max(red, green, blue) <= 255 else None
    if found := _HSL.fullmatch(given):
        hue, saturation, lightness = (float(n) for n in found.groups())
        if hue <= 360 and saturation <= 100 and lightness <= 100:
            return colorsys.hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return None


@cache
def accent_of(colour: Colour) -> Accent:
    """Return the accent that a colour makes."""
    light, dark = _shade(colour, LIGHT, ENOUGH, "#000000"), _shade(colour, DARK, ENOUGH, "#ffffff")
    given = _hex(colour)
    return Accent(
        light,
        dark,
        _shade(colour, LIGHT, MORE, "#000000"),
        _shade(colour, DARK, MORE, "#ffffff"),
        adjusted=given not in {light.accent, dark.accent},
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2)."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _shade(colour: Colour, grounds: Sequence[str], enough: float, towards: str) -> Shade:
    """Mix towards black or white until it reads on every ground, its own soft one included."""
    soft = _mix(_of_hex(grounds[0]), colour, 0.09 if towards == "#000000" else 0.16)
    found = _hex(colour)
    for step in range(101):
        found = _mix(colour, _of_hex(towards), step / 100)
        text = max(_INK, key=lambda ink: contrast(ink, found))
        if min(contrast(found, ground) for ground in (*grounds, soft, text)) >= enough:
            break
    return Shade(found, max(_INK, key=lambda ink: contrast(ink, found)), soft)


def _tokens(light: Shade, dark: Shade) -> str:
    return "".join(
        f"--{name}:light-dark({getattr(light, part)},{getattr(dark, part)});"
        for name, part in (("accent", "accent"), ("accent-text", "text"), ("accent-soft", "soft"))
    )


def _mix(one: Colour, other: Colour, share: float) -> str:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return _hex((red, green, blue))


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def _of_hex(text: str) -> Colour:
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in _of_hex(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
