"""What the story opens with."""

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice
from apps.analytics.story.words.parts import about, some_attempts, some_requests, span_of, who_of
from apps.analytics.story.words.telling import tells


@tells("nothing_came")
def _nothing_came(fact: Fact, voice: Voice) -> str:
    n, between = about(fact, voice)
    return voice.many(
        "{span}, no customer request reached us at all: about {n} attempt that usually comes at this"
        " hour, {range}, never came.",
        "{span}, no customer request reached us at all: about {n} attempts that usually come at this"
        " hour, {range}, never came.",
        n,
        span=span_of(fact, voice),
        range=between,
    )


@tells("meter")
def _meter(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "{span}, {requests} to {service} are reported as failed, yet callers went on as if they had not:"
        " {onward} of calls were followed by something else, {again} by the same again. We take the meter"
        " for broken, not the service.",
        span=span_of(fact, voice),
        requests=some_requests(voice, int(fact.value or 0)),
        service=voice.names(fact.detail["services"]),
        onward=voice.percent(fact.detail["onward"]),
        again=voice.percent(fact.detail["again"]),
    )


@tells("nothing_usual")
def _nothing_usual(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "{span}, no customer request reached us, which is not unusual at this hour.",
        span=span_of(fact, voice),
    )


@tells("nothing_seen")
def _nothing_seen(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "No customer request was recorded {span}: we cannot tell whether nobody came or whether we did"
        " not see them.",
        span=span_of(fact, voice),
    )


@tells("silent")
def _silent(fact: Fact, voice: Voice) -> str:
    n, between = about(fact, voice)
    never = voice.many(
        "about {n} attempt that usually comes at this hour, {range}, was not made",
        "about {n} attempts that usually come at this hour, {range}, were not made",
        n,
        range=between,
    )
    were = voice.many("{n} was", "{n} were", fact.detail["observed"])
    values = {"span": span_of(fact, voice), "never": never, "were": were}
    if not fact.detail["failed"]:
        return voice.say(
            "{span}, no request failed, yet many never came: {never}; {were}.", **values
        )
    return voice.many(
        "{span}, only {n} request failed, yet many never came: {never}; {were}.",
        "{span}, only {n} requests failed, yet many never came: {never}; {were}.",
        fact.detail["failed"],
        **values,
    )


@tells("all_fine")
def _all_fine(fact: Fact, voice: Voice) -> str:
    total = fact.detail["actors"]
    if total is None:
        n = fact.detail["at_least"]
        who = voice.many(
            "at least {n} known caller and others", "at least {n} known callers and others", n
        )
        n += 1
    else:
        n, who = total, who_of(fact, voice, total)
    return voice.many(
        "{span}, {who} made {requests} and none failed.",
        "{span}, {who} made {requests} and none failed.",
        n,
        span=span_of(fact, voice),
        who=who,
        requests=some_requests(voice, fact.detail["total"]),
    )


@tells("some_lost")
def _some_lost(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed; {lost}.",
        "{span}, {n} requests of {total} failed; {lost}.",
        fact.detail["failed"],
        span=span_of(fact, voice),
        total=voice.number(fact.detail["total"]),
        lost=voice.many(
            "{n} attempt did not get through",
            "{n} attempts did not get through",
            fact.detail["attempts"],
        ),
    )


@tells("lost_unclear")
def _lost_unclear(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed. Whether anybody gave up because of it cannot be told.",
        "{span}, {n} requests of {total} failed. Whether anybody gave up because of it cannot be told.",
        fact.detail["failed"],
        span=span_of(fact, voice),
        total=voice.number(fact.detail["total"]),
    )


@tells("none_lost")
def _none_lost(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed, and nobody gave up: all who met a failure got through on"
        " another try ({attempts}).",
        "{span}, {n} requests of {total} failed, and nobody gave up: all who met a failure got through on"
        " another try ({attempts}).",
        fact.detail["failed"],
        span=span_of(fact, voice),
        total=voice.number(fact.detail["total"]),
        attempts=some_attempts(voice, fact.detail["attempts"]),
    )


@tells("failed")
def _failed(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed.",
        "{span}, {n} requests of {total} failed.",
        fact.detail["failed"],
        span=span_of(fact, voice),
        total=voice.number(fact.detail["total"]),
    )


@tells("begun_before")
def _begun_before(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed, in attempts that had begun before.",
        "{span}, {n} requests of {total} failed, in attempts that had begun before.",
        fact.detail["failed"],
        span=span_of(fact, voice),
        total=voice.number(fact.detail["total"]),
    )
