"""Pages of impact."""

from apps.impact.views.gaps import accept, assign, gap_page, gaps, reopen, show_coverage
from apps.impact.views.runs import again, ask, cancel, run_page, runs

__all__ = [
    "accept",
    "again",
    "ask",
    "assign",
    "cancel",
    "gap_page",
    "gaps",
    "reopen",
    "run_page",
    "runs",
    "show_coverage",
]
