"""What stands around a story: its titles, what it stands on, and the words in a customer's picture."""

from apps.analytics.results import METHOD, ImpactResult, rfc3339
from apps.analytics.story.voice import Voice


def stands_on(result: ImpactResult, voice: Voice) -> str:
    """The line under a story in a terminal. Times are RFC 3339 UTC."""
    named = result.figures.coverage.named_customer
    if named is None:
        covers = voice.say("no requests")
    else:
        covers = voice.say(
            "{share} of requests belong to a named customer", share=voice.percent(named)
        )
    return voice.say(
        "Basis: {start} to {end}, as of {as_of} ({state}); data up to {watermark}; {covers}; method:"
        " {method}.",
        start=rfc3339(result.start_ms),
        end=rfc3339(result.end_ms),
        as_of=rfc3339(result.as_of_ms),
        state=voice.say("provisional") if result.provisional else voice.say("final"),
        watermark=rfc3339(result.watermark_ms),
        covers=covers,
        method=METHOD,
    )


def unknown_title(voice: Voice) -> str:
    """What stands above the questions that could not be answered."""
    return voice.say("What we cannot tell")


def title_for_them(voice: Voice, *, so_far: bool) -> str:
    """What stands above a customer's own story in a message to them."""
    if so_far:
        return voice.say("What it did to you, so far")
    return voice.say("What it did to you")


def title_of_outcomes(voice: Voice) -> str:
    """What stands above a picture of a customer's own attempts."""
    return voice.say("What became of your attempts")


def outcome_words(voice: Voice) -> dict[str, str]:
    """How attempts that a customer reads of ended, best first, as a key of colours has it."""
    return {
        "first_try": voice.say("at the first try"),
        "retried": voice.say("on another try"),
        "came_back": voice.say("got through later"),
        "gave_up": voice.say("gave up"),
        "open": voice.say("still being tried"),
    }


def got_through(voice: Voice, through: int, total: int) -> str:
    """How many of their attempts got through: "380 of 412 got through"."""
    return voice.say(
        "{through} of {total} got through", through=voice.number(through), total=voice.number(total)
    )
