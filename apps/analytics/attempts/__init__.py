"""From events to attempts: cleaning, calls, chains, and how each ended.

An *attempt* is the chain of requests that one actor made to get one thing done. Requests with the
same idempotency key within a day are one *call*, whatever lies between them. Calls of one (customer,
operation, target, actor) in time order form chains; a call starts a new chain when it is the first,
when the call before it succeeded, or when more than W has passed since that one ended.

An attempt belongs to the window in which it starts. Events before the window are read so that an
attempt that began earlier is not taken for a new one, events after it (up to the horizon H) so that
a later success is seen. Only requests within reach of a failure, or with a repeated key, need the
window functions: everywhere else each success is an attempt of its own, and is simply counted.
`attempt_sql` is the same rule written plainly over all events; the tests hold both to one answer.
"""

from apps.analytics.attempts.by_hand import attempt_sql
from apps.analytics.attempts.chains import AMBIGUOUS_ABOVE, build_chains
from apps.analytics.attempts.cleaning import (
    Cleaned,
    behind_proxies_sql,
    clean,
    clean_sql,
    remove_duplicates,
    without_sql,
)
from apps.analytics.attempts.frame import DAY_MS, DEFAULT_WINDOW_S, HOUR_MS, Frame, reads
from apps.analytics.attempts.listing import list_attempts
from apps.analytics.attempts.meter import BrokenMeter, Conduct
from apps.analytics.attempts.pauses import Pauses, find_pauses
from apps.analytics.attempts.sampling import Attempt, Try, sample_attempts

__all__ = [
    "AMBIGUOUS_ABOVE",
    "DAY_MS",
    "DEFAULT_WINDOW_S",
    "HOUR_MS",
    "Attempt",
    "BrokenMeter",
    "Cleaned",
    "Conduct",
    "Frame",
    "Pauses",
    "Try",
    "attempt_sql",
    "behind_proxies_sql",
    "build_chains",
    "clean",
    "clean_sql",
    "find_pauses",
    "list_attempts",
    "reads",
    "remove_duplicates",
    "sample_attempts",
    "without_sql",
]
