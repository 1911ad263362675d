"""How numbers, times, states and stored text read on a page: `{% load portal %}`.

Filters never fail on what a page may hold: what they cannot read becomes "cannot tell", never a zero.
"""

from apps.core.templatetags.portal.blocks import (
    danger,
    dialog,
    figure,
    page_header,
    panel,
    table_wrap,
)
from apps.core.templatetags.portal.charts import chart
from apps.core.templatetags.portal.drawings import (
    OUTCOMES,
    Segment,
    outcome_bar,
    segments,
    sparkline,
)
from apps.core.templatetags.portal.found import marked
from apps.core.templatetags.portal.frame import NAVIGATION, NavItem, nav_items, pages, theme
from apps.core.templatetags.portal.numbers import (
    CANNOT_TELL,
    GROUP,
    UNIT,
    interval,
    is_text,
    number,
    percent,
    share,
    shown,
    told,
)
from apps.core.templatetags.portal.registry import register
from apps.core.templatetags.portal.states import (
    ICONS,
    TONES,
    message_state,
    state_icon,
    tone,
    words,
)
from apps.core.templatetags.portal.text import markdown
from apps.core.templatetags.portal.times import ago, duration, since, until, when

__all__ = [
    "CANNOT_TELL",
    "GROUP",
    "ICONS",
    "NAVIGATION",
    "OUTCOMES",
    "TONES",
    "UNIT",
    "NavItem",
    "Segment",
    "ago",
    "chart",
    "danger",
    "dialog",
    "duration",
    "figure",
    "interval",
    "is_text",
    "markdown",
    "marked",
    "message_state",
    "nav_items",
    "number",
    "outcome_bar",
    "page_header",
    "pages",
    "panel",
    "percent",
    "register",
    "segments",
    "share",
    "shown",
    "since",
    "sparkline",
    "state_icon",
    "table_wrap",
    "theme",
    "told",
    "tone",
    "until",
    "when",
    "words",
]
