"""Charts: what a page says about its numbers here, how they are drawn in `drawing`, where drawings lie in `shelf`.

A chart is data. Its page shows the drawing if one lies on the shelf under the hash of that data; if not, the page
shows the numbers as a table and asks a worker for the drawing. Drawing takes Altair and V8: 1.3 s and 150 MB the
first time, which no request should pay for.
"""

from apps.core.charts.data import (
    MOST_POINTS,
    MOST_ROWS,
    Band,
    Chart,
    bars,
    line,
    whiskers,
)
from apps.core.charts.outcomes import stacked, steps
from apps.core.charts.people import Away, Dot, away, scatter
from apps.core.charts.worst import Worst, worst_of

__all__ = [
    "MOST_POINTS",
    "MOST_ROWS",
    "Away",
    "Band",
    "Chart",
    "Dot",
    "Worst",
    "away",
    "bars",
    "line",
    "scatter",
    "stacked",
    "steps",
    "whiskers",
    "worst_of",
]
