"""Pages of impact."""

from apps.impact.views.details import Subject, attempts_page, compare_page, customers_page
from apps.impact.views.gaps import accept, assign, gap_page, gaps, reopen, show_coverage
from apps.impact.views.runs import again, ask, attempts, cancel, compare, customers, run_page, runs

__all__ = [
    "Subject",
    "accept",
    "again",
    "ask",
    "assign",
    "attempts",
    "attempts_page",
    "cancel",
    "compare",
    "compare_page",
    "customers",
    "customers_page",
    "gap_page",
    "gaps",
    "reopen",
    "run_page",
    "runs",
    "show_coverage",
]
