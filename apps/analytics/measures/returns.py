"""Who did not come back: people whose attempt failed for good, against people like them in earlier weeks."""

from collections.abc import Mapping, Sequence
from math import sqrt

from apps.analytics.attempts import DAY_MS, HOUR_MS, Frame
from apps.analytics.daily import Days, actor_day_sql
from apps.analytics.events import ActorKind
from apps.analytics.measures.found import CannotTell, Dose, NotReturned, StillAway
from apps.analytics.names import Week
from apps.analytics.reasons import Why
from apps.analytics.sql import Fragment, Runner, events_from, fill, numbers
from apps.analytics.stats import NEVER, Stratum, excess_gone, log_rank, wilson

EXPOSED_NEEDED = 30
RETURN_MS = 10 * DAY_MS
"""People are followed for so long after the window, as far as time has passed."""
LOOK_BACK_DAYS = 7
WEEK_MS = 7 * DAY_MS
WHOLE_DAY = (1 << 24) - 1


def return_reads(
    *, start_ms: int, end_ms: int, seen_ms: int, weeks: Sequence[int]
) -> tuple[int, int]:
    """Return the span of event times that `not_returned` may look at, epoch ms, end not included."""
    first = start_ms - WEEK_MS * max(weeks, default=0) - LOOK_BACK_DAYS * DAY_MS
    return first // DAY_MS * DAY_MS, min(end_ms + RETURN_MS, seen_ms + 1)


def not_returned(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    days: Days,
    *,
    proxies: Sequence[int],
    probes: Sequence[int],
) -> NotReturned | CannotTell:
    """People whose attempt was given up (or who came back only later) and who were not seen since.

    Seen: any request to any service, in the D after the window; D is ten days, or what has passed of
    them, at least H. Compared with people active in the same window of earlier weeks and followed for
    the same D, if that ended before our window began; stratum by stratum of activity (active hours in
    the seven days before): never with everyone else, for those who are hit are the active ones.
    excess and its interval: `stats.excess_gone`; whether the whole curve of return differs: `stats.log_rank`,
    in the same strata. The same excess of those who got through on another try, of the slowed and of those
    to whom nothing happened (`doses`): the more, the worse it was for them, and about none of the last.
    Refuses below 30 exposed, before H has passed, and
    without an earlier week whose seven days before are known too. Needs `chains` and `history`.
    """
    within_ms = min(RETURN_MS, frame.seen_until_ms + 1 - frame.end_ms)
    if within_ms < frame.horizon_ms:
        return CannotTell("the time in which they may come back has not passed")
    (exposed,) = run.one(
        "SELECT count(DISTINCT actor) FROM chains WHERE class IN ('gave_up', 'came_back')"
    )
    if exposed < EXPOSED_NEEDED:
        return CannotTell(
            Why(
                "only {n} people failed for good; {needed} are needed",
                n=int(exposed),
                needed=EXPOSED_NEEDED,
            )
        )
    run.table("doses", _DOSES)
    _open_days(run, frame, weeks, days, proxies=proxies, probes=probes)
    first = run.one("SELECT min(first_ts) FROM seen")[0]
    backs = [
        week.back
        for week in weeks
        if first is not None
        and first <= frame.start_ms - WEEK_MS * (week.back + 1) + DAY_MS
        and week.back * WEEK_MS >= within_ms + frame.end_ms - frame.start_ms
    ]
    if not backs:
        return CannotTell("no earlier week with the seven days before it to compare with")
    by_dose = _followed(run, frame, back=0, within_ms=within_ms)
    ours = by_dose.get(GAVE_UP, {})
    theirs: _Followed = {}
    for back in backs:
        like = _followed(run, frame, back=back, within_ms=within_ms).get(0, {})
        for stratum, found in like.items():
            known = theirs.setdefault(stratum, {})
            for day, n in found.items():
                known[day] = known.get(day, 0) + n
    if not theirs:
        return CannotTell("nobody was active in the same window of earlier weeks")
    strata = _strata(ours, theirs)
    return NotReturned(
        exposed=int(exposed),
        missing=sum(one.exposed_gone for one in strata),
        interval=excess_gone(strata),
        compared=sum(sum(found.values()) for found in theirs.values()),
        within_ms=within_ms,
        curve=tuple(_curve(ours, theirs, within_ms // DAY_MS)),
        log_rank=log_rank(
            [(found, theirs[_nearest(theirs, stratum)]) for stratum, found in sorted(ours.items())]
        ),
        doses=tuple(
            _dose(name, _strata(by_dose[dose], theirs))
            for dose, name in DOSES.items()
            if dose in by_dose
        ),
    )


_Followed = dict[int, dict[int, int]]
"""By stratum: people by the day on which they were first seen again (0: the same), NEVER: not at all."""
GAVE_UP = 4
DOSES = {GAVE_UP: "gave_up", 2: "recovered", 1: "slow", 0: "untouched"}
"""What happened to people at worst. 3: it is not known, so that they are in none of these."""
_DOSES = """
SELECT actor, max(dose) AS dose FROM (
    SELECT actor, CASE WHEN class IN ('gave_up', 'came_back') THEN 4 WHEN class = 'retried' THEN 2
                       WHEN class = 'slow' THEN 1 WHEN class = 'first_try' THEN 0 ELSE 3 END AS dose
    FROM chains
    UNION ALL
    SELECT actor, CASE WHEN slow > 0 THEN 1 ELSE 0 END FROM quiet WHERE first_try + slow > 0)
WHERE actor IS NOT NULL GROUP BY actor
"""


def _strata(ours: _Followed, theirs: _Followed) -> list[Stratum]:
    return [
        Stratum(*_counts(found), *_counts(theirs[_nearest(theirs, stratum)]))
        for stratum, found in sorted(ours.items())
    ]


def _dose(name: str, strata: Sequence[Stratum]) -> Dose:
    people, missing = (
        sum(getattr(one, key) for one in strata) for key in ("exposed", "exposed_gone")
    )
    return Dose(name, people, missing, excess_gone(strata))


def _counts(found: Mapping[int, int]) -> tuple[int, int]:
    """Return people, and those of them not seen again."""
    return sum(found.values()), found.get(NEVER, 0)


def _curve(ours: _Followed, theirs: _Followed, last_day: int) -> list[StillAway]:
    """The share not seen again by the end of each day; the usual share is weighted to our strata.

    Everybody is followed for the same time, so Kaplan and Meier's estimate is the plain share. The interval
    of the usual: the Wilson limits of each stratum, combined as MOVER does.
    """
    people = sum(sum(found.values()) for found in ours.values())
    points = []
    for day in range(last_day + 1):
        away = usual = down = up = 0.0
        # In one order: a sum of fractions is to be the same to the last bit, however DuckDB gave them.
        for stratum, found in sorted(ours.items()):
            like = theirs[_nearest(theirs, stratum)]
            away += _away(found, day)
            weight, share = sum(found.values()), _away(like, day) / sum(like.values())
            low, high = wilson(_away(like, day), sum(like.values()))
            usual += weight * share
            down += (weight * (share - low)) ** 2
            up += (weight * (high - share)) ** 2
        points.append(
            StillAway(
                day,
                away / people,
                usual / people,
                (usual - sqrt(down)) / people,
                (usual + sqrt(up)) / people,
            )
        )
    return points


def _away(found: Mapping[int, int], day: int) -> int:
    return sum(n for back, n in found.items() if back == NEVER or back > day)


def _nearest(known: _Followed, stratum: int) -> int:
    """The comparison of this stratum, or of the nearest one that has any."""
    return min(known, key=lambda other: (abs(other - stratum), other))


def _open_days(
    run: Runner,
    frame: Frame,
    weeks: Sequence[Week],
    days: Days,
    *,
    proxies: Sequence[int],
    probes: Sequence[int],
) -> None:
    """Make `seen`: who was seen on which day, without proxies and probes."""
    backs = [week.back for week in weeks]
    start, end = return_reads(
        start_ms=frame.start_ms, end_ms=frame.end_ms, seen_ms=frame.seen_until_ms, weeks=backs
    )
    days = days.within(start, end)
    run.view("return_events", events_from(days.events))
    raw = Fragment(
        fill(
            "SELECT * FROM return_events WHERE ts >= $start AND ts < $end AND ts // $day NOT IN ($rolled)",
            start=start,
            end=end,
            day=DAY_MS,
            rolled=numbers(days.rolled or [-1]),
        )
    )
    parts = [actor_day_sql(raw)]
    if rolled := days.files("actors"):
        parts.append(rolled)
    run.table(
        "seen",
        fill(
            "SELECT day, actor, hours, first_ts, last_ts FROM ($parts)"
            " WHERE actor NOT IN ($probes) AND NOT (kind = $address AND coalesce(addr IN ($proxies), false))",
            parts=Fragment(" UNION ALL ".join(parts)),
            probes=numbers(probes or [0]),
            proxies=numbers(proxies or [0]),
            address=int(ActorKind.ADDRESS),
        ),
    )


def _followed(run: Runner, frame: Frame, *, back: int, within_ms: int) -> dict[int, _Followed]:
    """Return who was active in the window `back` weeks earlier, and when they came again, by dose (earlier: 0)."""
    start, end = frame.start_ms - back * WEEK_MS, frame.end_ms - back * WEEK_MS
    who = "SELECT actor, dose FROM doses"
    if back:
        who = fill(
            "SELECT DISTINCT actor, 0 AS dose FROM history"
            " WHERE actor IS NOT NULL AND outcome <> 2 AND ts >= $start AND ts < $end",
            start=start,
            end=end,
        )
    # The look-back is whole hours: the window's own first hour tells nothing about earlier activity.
    hour = start // HOUR_MS % 24
    until = end + within_ms
    found = run.rows(
        fill(
            """
            WITH who AS ($who),
            folded AS (
                SELECT actor, any_value(dose) AS dose,
                       coalesce(sum(bit_count(hours & CASE day WHEN $oldest THEN $late
                                              WHEN $start_day THEN $early ELSE $whole END))
                                FILTER (day BETWEEN $oldest AND $start_day), 0) AS active,
                       min(day - $end_day) FILTER (
                           (day = $end_day AND last_ts >= $end)
                           OR (day > $end_day AND day < $until_day)
                           OR (day > $end_day AND day = $until_day AND first_ts < $until)) AS again
                FROM seen JOIN who USING (actor)
                WHERE day BETWEEN $oldest AND $until_day GROUP BY actor)
            SELECT CASE WHEN active <= 2 THEN active WHEN active <= 4 THEN 3 WHEN active <= 7 THEN 4
                        ELSE 5 END AS stratum, again, dose, count(*)
            FROM folded GROUP BY stratum, again, dose
            """,
            who=Fragment(who),
            oldest=start // DAY_MS - LOOK_BACK_DAYS,
            start_day=start // DAY_MS,
            end_day=end // DAY_MS,
            until_day=until // DAY_MS,
            late=WHOLE_DAY & ~((1 << hour) - 1),
            early=(1 << hour) - 1,
            whole=WHOLE_DAY,
            end=end,
            until=until,
        )
    )
    followed: dict[int, _Followed] = {}
    for stratum, again, dose, n in found:
        days = followed.setdefault(int(dose), {}).setdefault(int(stratum), {})
        days[NEVER if again is None else int(again)] = int(n)
    return followed
