"""Whole UTC days, rolled up: what each minute brought, and which attempts began in it.

A day's roll-up is three Parquet files in one folder, made from the day's events and the hour before it, and
made anew whenever they change (never added to). What is read from files is what the same SQL says of the
events: `open_days` takes either, day by day.

    actors    one row per customer and actor (`actor_day_sql`): when first and last, at which hours
    minutes   one row per minute, customer, service and operation (`minutes_sql`)
    starts    how many attempts began in each of these (`starts_sql`)

Times are as reported: clocks are not set right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apps.analytics.attempts import DAY_MS, DEFAULT_WINDOW_S, HOUR_MS, remove_duplicates
from apps.analytics.events import ActorKind, Outcome, Traffic
from apps.analytics.sql import Fragment, Runner, events_from, fill, literal

MINUTE_MS = 60_000
BEFORE_MS = HOUR_MS
"""So much before a day is read as well: what was tried then may be tried again in it."""

APART_REQUESTS = 12
"""Who asks this often for one operation in a day is told apart: 1 − exp(−rate · W) > 0.05 begins at 15 a day."""
APART_ADDRESS = 25
"""An address with so many requests in a day is told apart: it may turn out to be a proxy."""

GROWTH = 1.1
"""Bounds of the latency histogram grow by this: a quantile is off by 5 % at most."""


@dataclass(frozen=True, slots=True)
class Days:
    """What is known of which day: a folder of rolled-up files by day since 1970, events for the others.

    `events` hold the days that are not rolled up whole, and the hour before each of them.
    """

    rolled: Mapping[int, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()

    def within(self, start_ms: int, end_ms: int) -> "Days":
        """Only the days that lie in [start, end) whole are read from their roll-up."""
        return Days(
            {
                day: folder
                for day, folder in self.rolled.items()
                if start_ms <= day * DAY_MS and (day + 1) * DAY_MS <= end_ms
            },
            self.events,
        )

    def files(self, name: str) -> Fragment | None:
        """A SELECT of one of the three files of all rolled-up days; None where no day is."""
        if not self.rolled:
            return None
        names = ", ".join(literal(f"{folder}/{name}.parquet") for folder in self.rolled.values())
        return Fragment(f"SELECT * FROM read_parquet([{names}], hive_partitioning = false)")  # noqa: S608


def open_once(run: Runner, files: Iterable[str], *, start_ms: int, end_ms: int) -> None:
    """Make `day_once`: the events of [start, end) and of the hour before, each request once.

    A request that was reported twice is found where both reports lie in one hour of event time; the first to
    arrive counts. `start_ms` is the beginning of a day.
    """
    run.view(
        "day_events",
        fill(
            "SELECT *, ts // $hour AS hour FROM ($events) WHERE ts >= $first AND ts < $last",
            events=events_from(list(files), located=True),
            hour=HOUR_MS,
            first=start_ms - BEFORE_MS,
            last=end_ms,
        ),
    )
    remove_duplicates(
        run, source="day_events", target="day_once", by=Fragment("hour, service, request")
    )


def actor_day_sql(events: Fragment) -> str:
    """Who was seen on which day: one row per (day, customer, actor) of customers' events.

    Columns: day (since 1970), customer, actor, kind (ActorKind), addr, hours (one bit per UTC hour),
    first_ts, last_ts (epoch ms). The same rows for any split of the events, and for events given twice.
    """
    return fill(
        """
        SELECT (ts // $day)::INTEGER AS day, customer, actor, max(actor_kind) AS kind,
               min(addr) AS addr, bit_or((1 << ((ts // $hour) % 24))::INTEGER) AS hours,
               min(ts) AS first_ts, max(ts) AS last_ts
        FROM ($events) WHERE traffic = $customers AND actor IS NOT NULL AND outcome <> $aborted
        GROUP BY 1, 2, 3
        """,
        events=events,
        day=DAY_MS,
        hour=HOUR_MS,
        customers=int(Traffic.CUSTOMERS),
        aborted=int(Outcome.CLIENT_ABORT),
    )


def minutes_sql(*, days: Fragment) -> str:
    """What each minute brought, from `day_once`, of the days that the condition `days` names.

    Columns: minute (since 1970), customer, service, operation; of customers' requests: requests, ok, failed,
    aborted (the caller left), with_actor, with_key, latency (of the ok ones: bucket -> requests, see
    `latency_quantile`); beside them bots and probes that said so.
    """
    return fill(
        """
        SELECT ts // $minute AS minute, customer, service, operation,
               count_if(theirs) AS requests,
               count_if(theirs AND outcome = $ok) AS ok,
               count_if(theirs AND outcome = $failed) AS failed,
               count_if(theirs AND outcome = $aborted) AS aborted,
               count_if(theirs AND actor IS NOT NULL) AS with_actor,
               count_if(theirs AND key IS NOT NULL) AS with_key,
               count_if(traffic = $bot) AS bots, count_if(traffic = $probe) AS probes,
               histogram(ceil(ln(greatest(latency_ms, 1)) / ln($growth))::SMALLINT)
                   FILTER (theirs AND outcome = $ok AND latency_ms IS NOT NULL) AS latency
        FROM (SELECT *, traffic = $customers AS theirs, ts // $day AS day FROM day_once)
        WHERE $days GROUP BY 1, 2, 3, 4
        """,
        minute=MINUTE_MS,
        day=DAY_MS,
        days=days,
        growth=Fragment(str(GROWTH)),
        ok=int(Outcome.OK),
        failed=int(Outcome.FAILED),
        aborted=int(Outcome.CLIENT_ABORT),
        customers=int(Traffic.CUSTOMERS),
        bot=int(Traffic.BOT),
        probe=int(Traffic.PROBE),
    )


def starts_sql(*, days: Fragment) -> str:
    """How many attempts began, from `day_once`, of the days that the condition `days` names.

    An attempt begins with a request of a customer that does not follow a failure of the same actor at the
    same thing within W (300 s); what a caller left is no request here. Columns: minute, customer, service,
    operation, actor and addr (only of those that are told apart on that day, see APART_REQUESTS and
    APART_ADDRESS), requests, starts; where actor is given also keyed and unkeyed: beginnings by the first
    request with each key, and by those without one among themselves.
    """
    return fill(
        """
        WITH e AS (
            SELECT ts, ts // $day AS day, customer, service, operation, target, actor, actor_kind,
                   addr, key, outcome
            FROM day_once WHERE traffic = $customers AND outcome <> $aborted),
        many AS (
            SELECT day, customer, operation, actor FROM e WHERE actor IS NOT NULL
            GROUP BY ALL HAVING count(*) >= $requests),
        shared AS (
            SELECT day, addr FROM e
            WHERE actor IS NOT NULL AND actor_kind = $address AND addr IS NOT NULL
            GROUP BY ALL HAVING count(*) >= $same),
        ordered AS (
            SELECT customer, operation, actor FROM many
            UNION SELECT customer, operation, actor FROM e
            WHERE outcome = $failed AND actor IS NOT NULL),
        placed AS (
            SELECT ts, day, customer, service, operation, actor, actor_kind, addr,
                   true AS starts, false AS keyed, false AS unkeyed
            FROM e ANTI JOIN ordered o
              ON o.customer = e.customer AND o.operation = e.operation AND o.actor = e.actor
            UNION ALL
            SELECT ts, day, customer, service, operation, actor, actor_kind, addr,
                   before_ts IS NULL OR before = $ok OR ts - before_ts > $w_ms,
                   key IS NOT NULL AND (like_ts IS NULL OR like_ts < day * $day - $before),
                   key IS NULL AND (like_ts IS NULL OR alike = $ok OR ts - like_ts > $w_ms)
            FROM (
                SELECT e.*, lag(outcome) OVER p AS before, lag(ts) OVER p AS before_ts,
                       lag(outcome) OVER k AS alike, lag(ts) OVER k AS like_ts
                FROM e SEMI JOIN ordered o
                  ON o.customer = e.customer AND o.operation = e.operation AND o.actor = e.actor
                WINDOW p AS (PARTITION BY customer, operation, target, actor
                             ORDER BY ts, outcome DESC),
                       k AS (PARTITION BY customer, operation, target, actor, key
                             ORDER BY ts, outcome DESC)))
        SELECT p.ts // $minute AS minute, p.customer, p.service, p.operation, m.actor, s.addr,
               count(*) AS requests, count_if(p.starts) AS starts,
               count_if(p.keyed AND m.actor IS NOT NULL) AS keyed,
               count_if(p.unkeyed AND m.actor IS NOT NULL) AS unkeyed
        FROM (SELECT * FROM placed WHERE $days) p
        LEFT JOIN many m ON m.day = p.day AND m.customer = p.customer
                        AND m.operation = p.operation AND m.actor = p.actor
        LEFT JOIN shared s ON s.day = p.day AND s.addr = p.addr
                          AND p.actor_kind = $address AND p.actor IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5, 6
        """,
        days=days,
        day=DAY_MS,
        minute=MINUTE_MS,
        before=BEFORE_MS,
        w_ms=DEFAULT_WINDOW_S * 1000,
        requests=APART_REQUESTS,
        same=APART_ADDRESS,
        ok=int(Outcome.OK),
        failed=int(Outcome.FAILED),
        aborted=int(Outcome.CLIENT_ABORT),
        customers=int(Traffic.CUSTOMERS),
        address=int(ActorKind.ADDRESS),
    )


def write_day(run: Runner, day: int, files: Iterable[str], folder: Path) -> int:
    """Write the three files of a day into a folder that is there; return how many (customer, actor) were seen.

    `files` hold the day's events and those of the hour before it; more do no harm.
    """
    start, end = day * DAY_MS, (day + 1) * DAY_MS
    open_once(run, files, start_ms=start, end_ms=end)
    theirs = Fragment(fill("SELECT * FROM day_once WHERE ts >= $start", start=start))
    only = Fragment(fill("day = $day", day=day))
    rows = 0
    for name, text, order in (
        ("minutes", minutes_sql(days=only), "minute, customer, operation"),
        ("starts", starts_sql(days=only), "minute, customer, operation"),
        ("actors", actor_day_sql(theirs), "customer, actor"),
    ):
        (rows,) = run.one(
            f"COPY ({text} ORDER BY {order}) TO {literal(str(folder / f'{name}.parquet'))}"
            " (FORMAT parquet, COMPRESSION zstd)"
        )
    return int(rows)
