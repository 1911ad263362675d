"""Who is a person: proxies behind one address, programs that only look like visitors, shares known.

The rules here decide when an actor may be counted as one person or program, and when not.
"""

from apps.analytics.sql import Fragment, Runner, fill

PROXY_MIN_EVENTS = 50
PROXY_AGENTS = 3
PROXY_SHARE = 0.20
PROXY_MANY_AGENTS = 20
PROXY_MANY_SHARE = 0.01
PROXY_ALONE_SHARE = 0.50
PROXY_ALONE_EVENTS = 200
PROXY_FEW_AGENTS = 2
PROXY_FEW_EVENTS = 200
PROXY_BESIDE_SHARE = 0.10

PROBE_MIN_EVENTS = 1000
PROBE_MIN_HOURS = 23
PROBE_DAYS = 4

ACTOR_SHARE_NEEDED = 0.80
"""Below this share of requests with an actor, a count of actors is only a lower bound."""


def find_proxies(run: Runner, *, groups: str) -> list[int]:
    """Addresses that stand for many people: a proxy, a load balancer, a large shared network.

    Only matters where address + user agent stands for a person (`ActorKind.ADDRESS`). With *share*
    the address's part of all address-based requests read, an address is a proxy when it has at
    least 50 requests and

    * at least 3 user agents, or 2 and 200 requests, and a share of at least 20 %, or
    * at least 20 user agents and a share of at least 1 %, or
    * a share of at least 50 % and at least 200 requests, whatever its user agents, or
    * a share of at least 10 % beside an address that one of these holds for:
      what stands in front of a site seldom has one address only.

    One visitor seldom brings more than two user agents, and on a site with few visitors (20
    addresses with one user agent each and 5 % of the traffic) none of these applies. Actors of a
    proxy become unknown: people cannot be counted and attempts cannot be told apart behind it.
    """
    found = run.rows(
        fill(
            """
            WITH per_address AS (
                SELECT addr, count(DISTINCT actor) AS agents, sum(n_all) AS n
                FROM $groups WHERE kind = 3 AND addr IS NOT NULL GROUP BY addr)
            SELECT addr, agents, n, sum(n) OVER () AS everything FROM per_address
            QUALIFY n >= $min_events AND n >= 0.01 * everything
            """,
            groups=Fragment(groups),
            min_events=PROXY_MIN_EVENTS,
        )
    )
    proxies = {int(row[0]) for row in found if _is_proxy(row[1], row[2], row[3])}
    if proxies:
        proxies |= {int(row[0]) for row in found if _may_stand_beside(row[2], row[3])}
    return sorted(proxies)


def _is_proxy(agents: int, events: int, everything: int) -> bool:
    share = float(events) / float(everything)
    return (
        (agents >= PROXY_AGENTS and share >= PROXY_SHARE)
        or (agents >= PROXY_FEW_AGENTS and events >= PROXY_FEW_EVENTS and share >= PROXY_SHARE)
        or (agents >= PROXY_MANY_AGENTS and share >= PROXY_MANY_SHARE)
        or (share >= PROXY_ALONE_SHARE and events >= PROXY_ALONE_EVENTS)
    )


def _may_stand_beside(events: float, everything: float) -> bool:
    return float(events) >= PROXY_BESIDE_SHARE * float(everything)


def find_probes(run: Runner, *, events: str, until_ms: int) -> list[int]:
    """Actors with a machine's rhythm: monitoring that nobody flagged.

    An actor with at least 1,000 events, active in at least 23 different hours of the day, whose gaps
    are all nearly alike: q95 - q05 below 0.1 of the median. Needs about a day of events; looks at
    the four days before and the day after `until_ms`, the end of the window.
    """
    found = run.rows(
        fill(
            """
            WITH many AS (
                SELECT actor FROM $events
                WHERE actor IS NOT NULL AND ts >= $from_ms GROUP BY actor
                HAVING count(*) >= $min_events),
            gaps AS (
                SELECT actor, ts, ts - lag(ts) OVER (PARTITION BY actor ORDER BY ts) AS gap
                FROM $events SEMI JOIN many USING (actor)
                WHERE ts >= $from_ms),
            spread AS (
                SELECT actor, quantile_cont(gap, [0.05, 0.5, 0.95]) AS q
                FROM gaps GROUP BY actor
                HAVING bit_count(bit_or(1 << ((ts // 3600000) % 24)::INTEGER)) >= $min_hours)
            SELECT actor FROM spread WHERE q[2] > 0 AND (q[3] - q[1]) < 0.1 * q[2]
            """,
            events=Fragment(events),
            from_ms=until_ms - PROBE_DAYS * 86_400_000,
            min_events=PROBE_MIN_EVENTS,
            min_hours=PROBE_MIN_HOURS,
        )
    )
    return sorted(int(row[0]) for row in found)
