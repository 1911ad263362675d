"""To a customer, of what happened to them."""

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice
from apps.analytics.story.words.parts import moment, span_of
from apps.analytics.story.words.telling import tells


def _of_their_requests(fact: Fact, voice: Voice, n: int) -> str:
    if fact.detail["consumers"]:
        return voice.many("of consumers’ {n} request", "of consumers’ {n} requests", n)
    return voice.many("of your {n} request", "of your {n} requests", n)


def _of_their_attempts(fact: Fact, voice: Voice, n: int) -> str:
    if fact.detail["consumers"]:
        return voice.many("of consumers’ {n} attempt", "of consumers’ {n} attempts", n)
    return voice.many("of your {n} attempt", "of your {n} attempts", n)


def _of_theirs(fact: Fact, voice: Voice) -> str:
    if fact.detail["consumers"]:
        return voice.say("of consumers’ requests")
    return voice.say("of your requests")


def _aimed(fact: Fact, voice: Voice) -> str:
    """What requests were meant for: "to place an order", else "for “Purchase”"."""
    verb = fact.detail.get("verb")
    if verb and voice.language == "en":
        return f"to {verb}"
    return voice.say("for {what}", what=voice.quoted(fact.who))


def _tried_at(fact: Fact, voice: Voice) -> str:
    """What attempts were made at: "to place an order", else "at “Purchase”"."""
    verb = fact.detail.get("verb")
    if verb and voice.language == "en":
        return f"to {verb}"
    return voice.say("at {what}", what=voice.quoted(fact.who))


@tells("theirs_unseen")
def _theirs_unseen(fact: Fact, voice: Voice) -> str:
    return voice.say("We saw no request of yours {span}.", span=span_of(fact, voice))


@tells("theirs_fine")
def _theirs_fine(fact: Fact, voice: Voice) -> str:
    total, span = fact.detail["total"], span_of(fact, voice)
    if total == 1 and fact.detail["consumers"]:
        return voice.say("Consumers’ one request {span} did not fail.", span=span)
    if total == 1:
        return voice.say("Your one request {span} did not fail.", span=span)
    return voice.say(
        "None {of_requests} failed {span}.",
        of_requests=_of_their_requests(fact, voice, total),
        span=span,
    )


@tells("theirs_failed")
def _theirs_failed(fact: Fact, voice: Voice) -> str:
    total, span = fact.detail["total"], span_of(fact, voice)
    if total == 1 and fact.detail["consumers"]:
        return voice.say("Consumers’ one request {span} failed.", span=span)
    if total == 1:
        return voice.say("Your one request {span} failed.", span=span)
    values = {"of_requests": _of_their_requests(fact, voice, total), "span": span}
    n = round(fact.value or 0)
    if not fact.who:
        return voice.many(
            "{n} {of_requests} failed {span}.", "{n} {of_requests} failed {span}.", n, **values
        )
    return voice.many(
        "{n} {of_requests} {aim} failed {span}.",
        "{n} {of_requests} {aim} failed {span}.",
        n,
        aim=_aimed(fact, voice),
        **values,
    )


@tells("theirs_ended")
def _theirs_ended(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{n} {of_attempts} {aim} met a failure {span}; {ends}.",
        "{n} {of_attempts} {aim} met a failure {span}; {ends}.",
        round(fact.value or 0),
        of_attempts=_of_their_attempts(fact, voice, fact.detail["attempts"]),
        aim=_tried_at(fact, voice),
        span=span_of(fact, voice),
        ends=_their_ends(fact, voice),
    )


def _their_ends(fact: Fact, voice: Voice) -> str:
    detail = fact.detail
    if detail["retried"] == fact.value:
        return voice.say("all went through on another try")
    parts = []
    if n := detail["retried"]:
        parts.append(
            voice.many("{n} went through on another try", "{n} went through on another try", n)
        )
    if n := detail["came_back"]:
        parts.append(
            voice.many(
                "{n} came back later and got through", "{n} came back later and got through", n
            )
        )
    if n := detail["gave_up"]:
        parts.append(voice.case("attempts", "{n} gave up", "{n} gave up", n))
    if n := detail["open"]:
        parts.append(voice.many("{n} was still being tried", "{n} were still being tried", n))
    return ", ".join(parts)


@tells("theirs_dark")
def _theirs_dark(fact: Fact, voice: Voice) -> str:
    start = moment(fact.detail["outage_from"])
    values = {
        "start": voice.clock(start, seconds=True),
        "zone": voice.where(),
        "of_requests": _of_theirs(fact, voice),
    }
    if fact.detail["outage_to"] is None:
        return voice.say("From {start} {zone} on we saw none {of_requests} succeed.", **values)
    end = moment(fact.detail["outage_to"])
    return voice.say(
        "For {duration}, from {start} to {end} {zone}, none {of_requests} got through.",
        duration=voice.duration((end - start).total_seconds()),
        end=voice.clock(end, seconds=True),
        **values,
    )


@tells("theirs_slow")
def _theirs_slow(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{n} attempt took longer than we promise.",
        "{n} attempts took longer than we promise.",
        round(fact.value or 0),
    )


@tells("theirs_provisional")
def _theirs_provisional(_: Fact, voice: Voice) -> str:
    return voice.say("These numbers may still change as more becomes known.")
