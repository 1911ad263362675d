"""Pages of impact."""

from apps.impact.views.gaps import accept, assign, gap_page, gaps, reopen, show_coverage

__all__ = ["accept", "assign", "gap_page", "gaps", "reopen", "show_coverage"]
