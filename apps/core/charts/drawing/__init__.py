"""Draw charts: data → Altair → vl-convert → SVG whose colours are the page's. Run by a process of its own.

Reads one chart a line on stdin (`Chart.asked`) and writes one line each: {"svg": …}, for a mail {"png": …} in
base64, or {"error": …}. The same chart gives the same bytes. Colours are set to stand-ins that become classes, so
that one drawing serves light, dark and high contrast under a policy without inline styles; text stays text, in the
page's own font.

`__main__` is that process; it imports this package alone and not `apps.core.charts`, which would bring Django, so
imports in here are relative. `kinds` has the kinds of charts, `parts` what they are made of, `ink` the stand-ins,
`theming` the way from Vega's SVG to ours, `paper` that to a picture for mail.
"""

import sys
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import orjson

from .ink import INK
from .kinds import KINDS
from .paper import PAPER_WIDTH, on_paper, packed
from .parts import spread
from .theming import themed

__all__ = ["INK", "LARGEST", "WIDTHS", "draw", "draw_for_mail", "main", "spread", "themed"]

#: Wide, for a panel; narrow, for a phone or a column. The stylesheet shows the one that fits.
WIDTHS = {"wide": 560, "narrow": 290}
LARGEST = 400_000  # bytes of one drawing


def draw(asked: Mapping[str, Any]) -> str:
    """Return both sizes of a chart as one piece of markup."""
    import vl_convert  # noqa: PLC0415  (heavy: only the process that draws pays for it)

    build = KINDS[asked["kind"]]
    pieces = []
    for name, width in WIDTHS.items():
        spec = build(asked["data"], width).to_dict()
        svg = vl_convert.vegalite_to_svg(spec)
        pieces.append(themed(svg, size=name, title=asked["title"], summary=asked["summary"]))
    whole = "".join(pieces)
    if len(whole) > LARGEST:
        raise ValueError(f"the drawing has {len(whole)} bytes")
    return whole


def draw_for_mail(asked: Mapping[str, Any]) -> bytes:
    """Return a chart as a PNG: light paper with a margin, so that it stands as well on a dark page."""
    import vl_convert  # noqa: PLC0415  (as above)

    spec = KINDS[asked["kind"]](asked["data"], PAPER_WIDTH).to_dict()
    svg = on_paper(vl_convert.vegalite_to_svg(spec))
    picture = packed(vl_convert.svg_to_png(svg, scale=2))
    if len(picture) > LARGEST:
        raise ValueError(f"the picture has {len(picture)} bytes")
    return picture


def main() -> None:
    """Draw what comes in until nothing more does."""
    for asked in sys.stdin.buffer:
        try:
            chart = orjson.loads(asked)
            if chart.get("for_mail"):
                answer = {"png": b64encode(draw_for_mail(chart)).decode()}
            else:
                answer = {"svg": draw(chart)}
        except Exception as error:  # noqa: BLE001  (whatever Altair or V8 says, the asker is told)
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()
