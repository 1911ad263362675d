"""How wide a text is, roughly: a server cannot measure it, and a label must not leave its box."""

from unicodedata import combining, east_asian_width

#: Parts of a letter's size, a little more than the widest of the common sans serifs needs.
_THIN, _NARROW, _USUAL, _BROAD, _FULL = 0.3, 0.42, 0.58, 0.76, 1.02
_WIDTHS = {
    **dict.fromkeys("ijl.,:;'|!·’", _THIN),
    **dict.fromkeys("frtI ()[]-/", _NARROW),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ&+=<>", _BROAD),
    **dict.fromkeys("mwMW@%…—", 0.95),
}


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide a text is, in the unit of `size`."""
    return sum(_letter(one) for one in text) * size * (1.04 if bold else 1.0)


def cut(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Return a text that fits into `room`, ended by "…" where something is left out."""
    if width_of(text, size, bold=bold) <= room:
        return text
    left = room - width_of("…", size, bold=bold)
    kept = 0
    for letter in text:
        left -= width_of(letter, size, bold=bold)
        if left < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def _letter(letter: str) -> float:
    if combining(letter):
        return 0.0
    if letter.isascii() or letter in _WIDTHS:
        return _WIDTHS.get(letter, _USUAL)
    if east_asian_width(letter) in "FW":
        return _FULL
    return _BROAD
