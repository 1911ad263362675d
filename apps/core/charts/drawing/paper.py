"""From Vega's SVG to a picture for mail: real colours instead of stand-ins, on light paper with a margin."""

from xml.etree import ElementTree

from .ink import INK

#: Of the plot, px: with its margins a phone shows it nearly as large as it is.
PAPER_WIDTH = 380
MARGIN = 20
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
    """Return the SVG in the light theme's colours, on a white sheet that is `MARGIN` wider on every side."""
    for name, stand_in in INK.items():
        svg = svg.replace(stand_in, COLOURS[name])
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(svg)  # noqa: S314  (made here, by vl-convert)
    left, top, width, height = (float(one) for one in root.attrib["viewBox"].split())
    left, top, width, height = (
        left - MARGIN, top - MARGIN, width + 2 * MARGIN, height + 2 * MARGIN,
    )  # fmt: skip
    box = {"width": f"{width:g}", "height": f"{height:g}"}
    root.attrib.update({"viewBox": f"{left:g} {top:g} {width:g} {height:g}", **box})
    sheet = ElementTree.Element(
        f"{_SVG}rect", {"x": f"{left:g}", "y": f"{top:g}", "fill": _PAPER, **box}
    )
    root.insert(0, sheet)
    return ElementTree.tostring(root, encoding="unicode")
