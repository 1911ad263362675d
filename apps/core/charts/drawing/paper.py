"""From Vega's SVG to a picture for mail: real colours instead of stand-ins, on light paper with a margin."""

import zlib
from xml.etree import ElementTree

from .ink import INK

#: Of the plot, px: with its margins a phone shows it nearly as large as it is.
PAPER_WIDTH = 340
MARGIN = 16
#: Above and below, where the drawing has air of its own.
_LOW = 8
#: The light theme's colours (static/css/tokens.css): a mail has no style sheet of ours.
COLOURS = {
    "line": "#2b4fb8", "band": "#e2e2de", "window": "#fcedeb", "grid": "#e2e2de", "text": "#17191c",
    "muted": "#575c62", "bar": "#2b4fb8", "unknown": "#c9ccd0", "tick": "#17191c",
    "first_try": "#5aa982", "slow": "#b9d3a0", "retried": "#e9b95b", "came_back": "#e08a4f",
    "gave_up": "#b3261e", "open": "#b9bcc0", "cannot_tell": "#c9ccd0",
    "around": "#cae3d7", "around_failed": "#dd9d99",
    "hit": "#b3261e", "partly_hit": "#8a5200", "slowed": "#8a5200",
}  # fmt: skip
_PAPER = "#ffffff"
_SVG = "{http://www.w3.org/2000/svg}"


def on_paper(svg: str) -> str:
    """Return the SVG in the light theme's colours, on a white sheet that is wider and higher."""
    for name, stand_in in INK.items():
        svg = svg.replace(stand_in, COLOURS[name])
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(svg)  # noqa: S314  (made here, by vl-convert)
    left, top, width, height = (float(one) for one in root.attrib["viewBox"].split())
    left, top = left - MARGIN, top - _LOW
    width, height = width + 2 * MARGIN, height + 2 * _LOW
    box = {"width": f"{width:g}", "height": f"{height:g}"}
    root.attrib.update({"viewBox": f"{left:g} {top:g} {width:g} {height:g}", **box})
    sheet = ElementTree.Element(
        f"{_SVG}rect", {"x": f"{left:g}", "y": f"{top:g}", "fill": _PAPER, **box}
    )
    root.insert(0, sheet)
    return ElementTree.tostring(root, encoding="unicode")


def packed(png: bytes) -> bytes:
    """Return the same picture in a third of the bytes: it goes with every mail, and V8's is packed in haste."""
    at, chunks, data = 8, [], b""
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : end - 4]
        else:
            chunks.append(png[at:end])
        at = end
    body = b"IDAT" + zlib.compress(zlib.decompress(data), 9)
    whole = (len(body) - 4).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
    return png[:8] + b"".join([*chunks[:-1], whole, chunks[-1]])
