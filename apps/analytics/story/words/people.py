"""People, waiting, who never came."""

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice
from apps.analytics.story.words.parts import about, of_whom, some_attempts, some_requests, who_of
from apps.analytics.story.words.telling import tells


def _failed_of(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{n} of {requests} failed",
        "{n} of {requests} failed",
        fact.detail["failed"],
        requests=some_requests(voice, fact.detail["total"]),
    )


@tells("hit")
def _hit(fact: Fact, voice: Voice) -> str:
    hit, total = round(fact.value or 0), fact.detail["actors"]
    failed = _failed_of(fact, voice)
    if hit == total == 1:
        return voice.say("The one caller there was met a failure: {failed}.", failed=failed)
    if hit == total:
        return voice.many(
            "All {who} met a failure: {failed}.",
            "All {who} met a failure: {failed}.",
            hit,
            who=who_of(fact, voice, total),
            failed=failed,
        )
    return voice.many(
        "{n} of {whom} met a failure: {failed}.",
        "{n} of {whom} met a failure: {failed}.",
        hit,
        whom=of_whom(fact, voice, total),
        failed=failed,
    )


@tells("hit_at_least")
def _hit_at_least(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "At least {n} was hit: {failed}.",
        "At least {n} were hit: {failed}.",
        round(fact.value or 0),
        failed=_failed_of(fact, voice),
    )


SOME_PAUSED = 0.01
"""From this share of the waiting on, the sum is told as what it is: in part an estimate."""


@tells("waiting")
def _waiting(fact: Fact, voice: Voice) -> str:
    n, p50, p95 = fact.detail["attempts"], fact.detail["p50"], fact.detail["p95"]
    total = voice.duration(fact.detail["sum"])
    if p50 is None or p95 is None:
        return voice.many(
            "{n} attempt got through on another try, after {sum} of extra waiting.",
            "{n} attempts got through on another try, after {sum} of extra waiting in all.",
            n,
            sum=total,
        )
    if fact.detail.get("paused", 0) >= SOME_PAUSED * fact.detail["sum"]:
        return voice.say(
            "Those who tried again until it worked ({attempts}) waited longer than usual, half of them {half}"
            " or more, one in twenty over {most}; about {sum} in all, with those who paused for more than five"
            " minutes.",
            attempts=some_attempts(voice, n),
            half=voice.duration(p50),
            most=voice.duration(p95),
            sum=total,
        )
    return voice.say(
        "Those who tried again until it worked ({attempts}) waited longer than usual, half of them {half} or"
        " more, one in twenty over {most}; {sum} in all.",
        attempts=some_attempts(voice, n),
        half=voice.duration(p50),
        most=voice.duration(p95),
        sum=total,
    )


@tells("slow")
def _slow(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{n} attempt worked at once but took longer than promised.",
        "{n} attempts worked at once but took longer than promised.",
        round(fact.value or 0),
    )


@tells("lost")
def _lost(fact: Fact, voice: Voice) -> str:
    n, between = about(fact, voice)
    return voice.many(
        "About {n} attempt that usually comes at this hour, {range}, was never made.",
        "About {n} attempts that usually come at this hour, {range}, were never made.",
        n,
        range=between,
    )


@tells("made_up")
def _made_up(fact: Fact, voice: Voice) -> str:
    n, between = about(fact, voice)
    return voice.many(
        "In the six hours after, about {n} attempt more than usual began, {range}: some had only put"
        " it off.",
        "In the six hours after, about {n} attempts more than usual began, {range}: some had only put"
        " it off.",
        n,
        range=between,
    )


@tells("lost_none")
def _lost_none(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "Nobody stayed away: {n} attempt came where about {expected} are usual at this hour; we would"
        " have seen {seen} or more missing.",
        "Nobody stayed away: {n} attempts came where about {expected} are usual at this hour; we would"
        " have seen {seen} or more missing.",
        fact.detail["observed"],
        expected=voice.number(round(fact.detail["expected"])),
        seen=voice.number(round(fact.detail["seen_from"])),
    )


@tells("gone")
def _gone(fact: Fact, voice: Voice) -> str:
    n, between = about(fact, voice)
    return voice.many(
        "About {n} more person than usual, {range}, has not been back since, of {exposed} whose attempt failed.",
        "About {n} more people than usual, {range}, have not been back since, of {exposed} whose attempt failed.",
        n,
        range=between,
        exposed=voice.number(fact.detail["exposed"]),
    )


@tells("gone_none")
def _gone_none(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "Nobody was lost: those who gave up ({who}) have been back as usual; we would have seen {n} or"
        " more stay away.",
        "Nobody was lost: those who gave up ({who}) have been back as usual; we would have seen {n} or"
        " more stay away.",
        round(fact.detail["seen_from"]),
        who=voice.number(fact.detail["exposed"]),
    )


@tells("gone_unclear")
def _gone_unclear(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "Whether anybody was lost cannot be told: of {who} who gave up, we would have noticed only if {n}"
        " or more had stayed away.",
        "Whether anybody was lost cannot be told: of {who} who gave up, we would have noticed only if {n}"
        " or more had stayed away.",
        round(fact.detail["seen_from"]),
        who=voice.number(fact.detail["exposed"]),
    )
