"""Measures that need more than counting attempts: uptime of users, dark time, the lost, the gone.

Each function says what it means, its unit, and when it refuses (a `CannotTell`, never a guess).
"""

from apps.analytics.measures.felt import (
    OUTAGE_MIN_FAILURES,
    UPTIME_MIN_ACTORS,
    outages,
    user_uptime,
    usual_latency,
)
from apps.analytics.measures.found import CannotTell, NotReturned, Outage, StillAway, UserUptime
from apps.analytics.measures.history import (
    NOT_PASSED,
    PUT_OFF_MINUTES,
    lost,
    net_lost,
    open_history,
)
from apps.analytics.measures.returns import not_returned, return_reads
from apps.analytics.measures.senders import stopped
from apps.analytics.measures.series import (
    Bins,
    Series,
    Usual,
    over_time,
    uptime_over_time,
    usual_starts,
)
from apps.analytics.measures.traits import TimesAsMany, TraitImpact, by_traits
from apps.analytics.measures.windowed import WindowedUptime, WorstWindow, windowed_uptime

__all__ = [
    "NOT_PASSED",
    "OUTAGE_MIN_FAILURES",
    "PUT_OFF_MINUTES",
    "UPTIME_MIN_ACTORS",
    "Bins",
    "CannotTell",
    "NotReturned",
    "Outage",
    "Series",
    "StillAway",
    "TimesAsMany",
    "TraitImpact",
    "UserUptime",
    "Usual",
    "WindowedUptime",
    "WorstWindow",
    "by_traits",
    "lost",
    "net_lost",
    "not_returned",
    "open_history",
    "outages",
    "over_time",
    "return_reads",
    "stopped",
    "uptime_over_time",
    "user_uptime",
    "usual_latency",
    "usual_starts",
    "windowed_uptime",
]
