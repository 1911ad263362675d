"""Every attempt by itself: what lies under the counts."""

from apps.analytics.attempts.frame import Frame
from apps.analytics.sql import Runner, fill


def list_attempts(run: Runner, frame: Frame) -> None:
    """Make the view `listed` after `build_chains`: one row per attempt of the window.

    Columns: customer, operation, target, actor (null where unknown), class, start_ts and until (epoch
    ms), tries, fails (tries that failed or were left), key (null where chains are not told apart by
    keys), loc (place of the first request in `clean` and `deduped`).
    """
    run.view("listed", fill(_LISTED, start=frame.start_ms, end=frame.end_ms))


# A success out of reach of any failure is in no chain: `work` has the others. Requests with neither
# actor nor key are an attempt each, of which nothing more can be told.
_LISTED = """
SELECT customer, operation, target, actor, class, start_ts, last_until AS until,
       tries, fails, part AS key, place AS loc
FROM chains
UNION ALL
SELECT e.customer, e.operation, e.target, e.actor,
       CASE WHEN e.outcome = 4 OR e.actor IS NULL AND e.key IS NULL THEN 'cannot_tell'
            WHEN e.latency > t.limit_ms THEN 'slow' ELSE 'first_try' END,
       e.ts, e.ts + e.latency, 1, CASE WHEN e.outcome = 0 THEN 0 ELSE 1 END, NULL, e.loc
FROM clean e LEFT JOIN chains_tenet t USING (operation)
WHERE e.ts >= $start AND e.ts < $end AND e.outcome <> 2
  AND (e.outcome = 4 OR (e.actor IS NULL AND e.key IS NULL)
       OR e.outcome = 0 AND NOT EXISTS (SELECT 1 FROM work w WHERE w.place = e.loc))
"""
