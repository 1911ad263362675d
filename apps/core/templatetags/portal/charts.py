"""Charts that a worker draws: `{% chart chart %}`."""

from typing import Any

from django.utils.safestring import mark_safe

from apps.core.charts import shelf
from apps.core.charts.data import Chart
from apps.core.templatetags.portal.registry import register


@register.inclusion_tag("components/chart.html")
def chart(chart: Chart, *, note: str = "", heading: int = 3) -> dict[str, Any]:
    """Show a chart with its numbers as a table; until it is drawn, the table alone.

    `note` is its basis (window, coverage).
    """
    drawing = shelf.find(chart.key) if chart.drawable else ""
    if drawing is None:
        shelf.ask(chart)
    return {
        "chart": chart,
        "note": note,
        "drawing": mark_safe(drawing or ""),  # noqa: S308  (drawn by us; its texts are escaped)
        "waits": drawing is None,
        "too_much": not chart.drawable and len(chart.rows) > 0,
        "failed": chart.drawable and drawing == "",
    }
