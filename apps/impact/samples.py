"""What lies under a number of a snapshot: some of its attempts, request by request."""

from base64 import b32encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.crypto import salted_hmac

from apps.analytics.attempts import (
    DAY_MS,
    DEFAULT_WINDOW_S,
    Attempt,
    Frame,
    Try,
    reads,
    sample_attempts,
)
from apps.analytics.events import Outcome
from apps.analytics.sql import Runner
from apps.core.computing import computing
from apps.core.templatetags.portal.times import duration
from apps.impact import inputs
from apps.impact.models import ImpactSnapshot
from apps.telemetry import queries as telemetry

SIZE = 20
MOST_REQUESTS = 2_000_000
"""That a page reads while somebody waits for it, of the window and of what lies around it."""

OUTCOMES = {
    "gave_up": "Gave up",
    "came_back": "Came back",
    "retried": "Tried again",
    "open": "Still open",
    "slow": "Slow",
    "first_try": "First try",
    "cannot_tell": "Cannot tell",
}
"""How an attempt can end, the worst first, and how a page calls it."""

_AGAIN, _BACK = duration(DEFAULT_WINDOW_S), duration(DAY_MS / 1000)

WHY = {
    "first_try": "It worked at once.",
    "slow": "It worked at once, and took longer than promised.",
    "retried": "It worked in the end, after trying again.",
    "came_back": f"It was left alone for more than {_AGAIN}; the same person got it done later.",
    "gave_up": f"It was not tried again within {_AGAIN}, nor done by the same person within {_BACK}.",
    "open": "It had just failed when this was computed; they may still have tried again.",
    "cannot_tell": "We cannot tell these requests apart as attempts of one person.",
}
"""How an attempt ended -> why it is counted so."""

_ENDED = {Outcome.OK: "worked", Outcome.FAILED: "failed", Outcome.CLIENT_ABORT: "they left"}


class TooMany(Exception):
    """The window has too many requests to be read while somebody waits."""


@dataclass(frozen=True, kw_only=True)
class ShownTry:
    """One request: when, how long it took in ms, what was answered, and how that ended for the caller.

    `gap` is the time since the one before was answered: zero where they overlap, None for the first.
    """

    at: datetime
    gap: timedelta | None
    took_ms: int
    status: int | None
    ended: str


@dataclass(frozen=True, kw_only=True)
class ShownAttempt:
    """One attempt of somebody whose name nobody learns."""

    who: str  # the same person has the same one throughout an incident, and another one elsewhere
    customer: str
    wanted: str
    outcome: str  # of OUTCOMES
    made: int  # requests
    lasted: timedelta  # from the first request to the last answer
    tries: list[ShownTry]

    @property
    def left_out(self) -> int:
        """How many of its requests are not in `tries`."""
        return max(0, self.made - len(self.tries))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some of the `total` attempts that were asked for.

    `since`: so many more requests of the whole window are here than when the snapshot was computed, because they
    arrived since; fewer (below zero) where some were erased since. None where the snapshot does not say.
    """

    total: int
    since: int | None
    attempts: list[ShownAttempt]


def sample(
    *,
    snapshot: ImpactSnapshot,
    outcome: str | None,
    customers: Collection[int] | None,
    operation: int | None = None,
    about: str,
) -> Sample:
    """Read some of the attempts that a snapshot counted, as it saw them.

    `outcome` is a key of OUTCOMES, `customers` and `operation` are ids; None is no limit. `about` (an
    incident's reference, say) decides who is called what. Events of the time it saw that arrived since are
    in it, those erased since are not.
    Raises TooMany above MOST_REQUESTS.
    """
    run = snapshot.run
    names = inputs.catalogue(run.service)
    start, end = inputs.milliseconds(run.window_from), inputs.milliseconds(run.window_to)
    frame = Frame(
        files=tuple(inputs.files(*reads(start_ms=start, end_ms=end))),
        start_ms=start,
        end_ms=end,
        as_of_ms=inputs.milliseconds(snapshot.as_of),
        data_end_ms=inputs.milliseconds(snapshot.watermark or snapshot.as_of),
        service=run.service_id,
        kinds={one.id: one.kind for one in names.customers.values()},
        latency_tenets_ms=inputs.slow_after(),
        merged=dict(names.merged),
    )
    rows = telemetry.coverage(frame.read_from_ms, frame.read_to_ms).rows
    if rows > MOST_REQUESTS:
        raise TooMany(
            f"From two hours before to a day after there are {rows:,} requests; a page reads at most"
            f" {MOST_REQUESTS:,}."
        )
    with computing("sample") as con:
        drawn = sample_attempts(
            Runner(con),
            frame,
            outcome=outcome,
            customers=customers,
            operation=operation,
            size=SIZE,
            seed=snapshot.pk,
        )
    counted = (
        ImpactSnapshot.objects.filter(pk=snapshot.pk)
        .values_list("overall__requests__total", flat=True)
        .first()
    )
    customer_names = {one.id: one.name for one in names.customers.values()}
    operations = {pk: one.name for pk, one in names.operations.items()}
    return Sample(
        total=drawn.total,
        since=None if counted is None else drawn.requests - int(counted),
        attempts=[
            _shown(
                one,
                customer=customer_names.get(one.customer, ""),
                wanted=operations.get(one.operation, ""),
                about=about,
            )
            for one in drawn.attempts
        ],
    )


def _shown(one: Attempt, *, customer: str, wanted: str, about: str) -> ShownAttempt:
    return ShownAttempt(
        who="" if one.actor is None else _pseudonym(one.actor, about),
        customer=customer,
        wanted=wanted,
        outcome=one.outcome,
        made=one.made,
        lasted=timedelta(milliseconds=one.until_ms - one.start_ms),
        tries=[
            _shown_try(each, before)
            for before, each in zip([None, *one.tries], one.tries, strict=False)
        ],
    )


def _shown_try(one: Try, before: Try | None) -> ShownTry:
    # Cleaning tells more apart than a sender does: who left after a long wait, a failure nobody believes.
    ended = {3: "they left after waiting", 4: "reported as failed, in doubt"}.get(one.outcome)
    return ShownTry(
        at=_moment(one.at_ms),
        gap=timedelta(milliseconds=max(0, one.at_ms - before.at_ms - before.took_ms))
        if before
        else None,
        took_ms=one.took_ms,
        status=one.status,
        ended=ended or _ENDED[Outcome(one.outcome)],
    )


def _pseudonym(actor: int, about: str) -> str:
    digest = salted_hmac("impact.samples", f"{about}:{actor}", algorithm="sha256").digest()
    return b32encode(digest[:5]).decode()[:6]


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
