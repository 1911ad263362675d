"""The advice that comes with the portal, until staff write their own.

It stands in code rather than in rows: an error page must have something true to say on a portal
that was just installed, or whose database is down.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from apps.customers.models import Kind
from apps.guidance.models import Advice

ANYONE = ""
WRITTEN = datetime(2026, 11, 1, tzinfo=UTC)

_PAYING = (
    "If you were paying, look at your orders or your mail before you pay again: the first payment"
    " may have gone through."
)
_IDEMPOTENT = (
    "Send the same idempotency key again, so that an order or payment that did arrive is not made"
    " twice. Without a key, ask for its state before you repeat it."
)
_COLLEAGUES = (
    "If others at your desk see the same, say so in the incident channel with the request id."
)

#: code -> (title, what happened, wait of people, wait of programs); seconds from, to.
_SERVER = {
    "500": (
        "Something broke on our side",
        "Our service met an error that it could not handle. You did nothing wrong.",
        (30, 90),
        (10, 40),
    ),
    "502": (
        "A part of our service does not answer properly",
        "The server in front got no usable answer from the one behind it. You did nothing wrong.",
        (30, 120),
        (10, 60),
    ),
    "503": (
        "Our service cannot take your request right now",
        "It is overloaded or being worked on. You did nothing wrong.",
        (60, 180),
        (30, 120),
    ),
    "504": (
        "Our service took too long to answer",
        "We waited for a part of our service and gave up. What you asked for may still have been done.",
        (60, 180),
        (30, 120),
    ),
    "5xx": (
        "Something failed on our side",
        "Our service could not do what you asked. You did nothing wrong.",
        (30, 120),
        (10, 60),
    ),
}


def all_defaults() -> list[Advice]:
    """Return the advice that comes with the portal, unsaved, by code and kind."""
    return [*_server_errors(), *_too_many()]


def general() -> Advice:
    """Return what can be said about an error of which we know nothing."""
    return Advice(
        code="other",
        kind=ANYONE,
        title="We have no advice on this error yet",
        what_happened="We do not know this error code. Whoever showed it to you may know more.",
        what_to_do="Try once more in a minute or two. If it fails again, write to us with the request"
        f" id and the time. {_PAYING}",
        retry_from_s=60,
        retry_to_s=150,
        updated_at=WRITTEN,
    )


def _server_errors() -> Iterator[Advice]:
    for code, (title, happened, people, programs) in _SERVER.items():
        yield _advice(
            code,
            ANYONE,
            title,
            happened,
            f"Try again once after the wait below. {_PAYING} If it fails again, come back later rather"
            " than trying many times.",
            people,
        )
        yield _advice(
            code,
            Kind.BUSINESS,
            title,
            happened,
            "Let your client wait, then try again, doubling the wait each time and adding a random"
            f" part, at most five times. {_IDEMPOTENT}",
            programs,
            tell="Some requests to one of our suppliers are failing right now. If something did not go"
            " through, please try once more in a few minutes; please check before paying again.",
        )
        yield _advice(
            code,
            Kind.INTERNAL,
            title,
            happened,
            f"Try again once after the wait below. {_COLLEAGUES}",
            people,
        )


def _too_many() -> Iterator[Advice]:
    title = "Too many requests at once"
    yield _advice(
        "429",
        ANYONE,
        title,
        "More requests came from you, or from your network, than we can take at once. Nothing is"
        " broken, and nothing was changed.",
        "Wait as long as it says below, then try once more. Reloading faster makes the wait longer.",
        (30, 90),
    )
    yield _advice(
        "429",
        Kind.BUSINESS,
        title,
        "Your client sent more requests than your limit allows. The refused requests were not carried"
        " out.",
        "Follow the Retry-After header. Send fewer at a time, and add a random part to each wait so"
        " that your clients do not all return in the same second. If your normal traffic needs more,"
        " ask your account manager for a higher limit.",
        (20, 80),
    )
    yield _advice(
        "429",
        Kind.INTERNAL,
        title,
        "This tool sent more requests than it may. The refused requests were not carried out.",
        "Wait as long as it says below. If a script of yours is running, slow it down.",
        (30, 90),
    )


def _advice(
    code: str,
    kind: str,
    title: str,
    happened: str,
    todo: str,
    wait: tuple[int, int],
    tell: str = "",
) -> Advice:
    return Advice(
        code=code,
        kind=kind,
        title=title,
        what_happened=happened,
        what_to_do=todo,
        tell_your_customers=tell,
        retry_from_s=wait[0],
        retry_to_s=wait[1],
        updated_at=WRITTEN,
    )
