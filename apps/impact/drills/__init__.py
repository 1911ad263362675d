"""Drills: the worker of impact runs is killed (`impact`), and real programs send with our snippets (`senders`)."""

from apps.impact.drills.impact import impact
from apps.impact.drills.senders import senders

__all__ = ["impact", "senders"]
