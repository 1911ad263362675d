"""From Vega's SVG to ours: classes for colours, words for those who hear it, nothing that a policy forbids."""

from xml.etree import ElementTree

from .ink import INK

_CLASSES = {colour: name for name, colour in INK.items()}
_KEPT = frozenset(
    {
        "d",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "r",
        "width",
        "height",
        "transform",
        "dx",
        "dy",
    }
    | {"fill", "fill-opacity", "opacity", "stroke", "stroke-width", "stroke-dasharray"}
    | {"text-anchor", "font-size", "font-weight"}
)
_SVG = "{http://www.w3.org/2000/svg}"


def themed(svg: str, *, size: str, title: str, summary: str) -> str:
    """Return the SVG with classes for colours, a title and a description, and nothing that a policy forbids."""
    ElementTree.register_namespace("", _SVG.strip("{}"))
    root = ElementTree.fromstring(svg)  # noqa: S314  (made here, by vl-convert)
    box = root.attrib["viewBox"]
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("class") == "background" or child.get("fill") == "transparent":
                parent.remove(child)
    for element in root.iter():
        _dress(element)
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "class": f"chart chart-{size}", "role": "img"})
    for place, (name, text) in enumerate((("title", title), ("desc", summary))):
        said = ElementTree.Element(f"{_SVG}{name}")
        said.text = text
        root.insert(place, said)
    return ElementTree.tostring(root, encoding="unicode")


def _dress(element: ElementTree.Element) -> None:
    classes = []
    for attribute in ("fill", "stroke"):
        name = _CLASSES.get(element.get(attribute, ""))
        if name:
            classes.append(f"{attribute}-{name}")
            del element.attrib[attribute]
    for attribute in set(element.attrib) - _KEPT:
        del element.attrib[attribute]
    if classes:
        element.set("class", " ".join(classes))
