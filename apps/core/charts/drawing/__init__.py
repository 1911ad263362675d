"""Draw charts: data → Altair → vl-convert → SVG whose colours are the page's. Run by a process of its own."""

from apps.core.charts.drawing.kinds import INK, spread, themed

__all__ = ["INK", "spread", "themed"]
