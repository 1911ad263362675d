"""Pages of impact."""

from apps.impact.views.gaps import assign, gaps

__all__ = ["assign", "gaps"]
