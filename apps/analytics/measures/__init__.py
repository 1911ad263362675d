"""Measures that need more than counting attempts: uptime of users, dark time, the lost, the gone.

Each function says what it means, its unit, and when it refuses (a `CannotTell`, never a guess).
"""

from apps.analytics.measures.felt import UPTIME_MIN_ACTORS, outages, user_uptime, usual_latency
from apps.analytics.measures.found import CannotTell, NotReturned, Outage, UserUptime
from apps.analytics.measures.history import lost, not_returned, open_history

__all__ = [
    "UPTIME_MIN_ACTORS",
    "CannotTell",
    "NotReturned",
    "Outage",
    "UserUptime",
    "lost",
    "not_returned",
    "open_history",
    "outages",
    "user_uptime",
    "usual_latency",
]
