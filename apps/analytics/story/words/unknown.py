"""What is not known."""

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice
from apps.analytics.story.words.parts import moment
from apps.analytics.story.words.telling import tells


@tells("gap")
def _gap(fact: Fact, voice: Voice) -> str:
    if voice.language == "en":  # the gap itself says it, with its numbers
        return f"{fact.detail['question']} We cannot say: {fact.detail['why']}."
    tellers = {
        "actor": _gap_actor,
        "attempts": _gap_attempts,
        "open": _gap_open,
        "provisional": _gap_provisional,
    }
    if "service" in fact.detail:
        return _gap_sender(fact, voice)
    teller = tellers.get(fact.detail["code"])
    return teller(fact, voice) if teller else _gap_plain(fact.detail["code"], voice)


def _gap_actor(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "We cannot say how many people were hit: {share} of requests carry nothing that tells who made"
        " them; at least {n} was hit.",
        "We cannot say how many people were hit: {share} of requests carry nothing that tells who made"
        " them; at least {n} were hit.",
        fact.detail["at_least"],
        share=voice.percent(fact.detail["unknown"] or 0.0),
    )


def _gap_attempts(fact: Fact, voice: Voice) -> str:
    n = fact.detail["cannot_tell"]
    return voice.many(
        "We cannot say which requests were retries: {n} attempt ({share}) carries neither a person nor a"
        " key, or comes from a caller too busy to tell a retry from new work.",
        "We cannot say which requests were retries: {n} attempts ({share}) carry neither a person nor a"
        " key, or come from callers too busy to tell a retry from new work.",
        n,
        share=voice.percent(n / max(1, fact.detail["attempts"])),
    )


def _gap_open(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "We cannot say yet whether they are still trying: {n} attempt had failed so shortly before the"
        " end of what is seen that another try may follow.",
        "We cannot say yet whether they are still trying: {n} attempts had failed so shortly before the"
        " end of what is seen that another try may follow.",
        fact.detail["open"],
    )


def _gap_provisional(fact: Fact, voice: Voice) -> str:
    until = moment(fact.detail["known_until"])
    return voice.say(
        "We cannot say yet whether those who gave up will come back: what came after is known until {day},"
        " {time} ({zone}) only.",
        day=voice.day(until),
        time=voice.clock(until),
        zone=voice.where(),
    )


def _gap_sender(fact: Fact, voice: Voice) -> str:
    heard = moment(fact.detail["heard"])
    return voice.say(
        "We cannot say whether nobody came or a sender stopped: {service} has sent nothing since {day},"
        " {time} ({zone}).",
        service=voice.quoted(fact.detail["service"]),
        day=voice.day(heard),
        time=voice.clock(heard),
        zone=voice.where(),
    )


def _gap_plain(code: str, voice: Voice) -> str:
    if code == "proxy":
        return voice.say(
            "We cannot say how many people are behind the proxy: its addresses stand for many people."
        )
    if code == "meter":
        return voice.say("We cannot say whether those calls failed.")
    if code == "lost_attempts":
        return voice.say("We cannot say how many never even tried.")
    if code == "not_returned":
        return voice.say("We cannot say who has not come back since.")
    return voice.say("There is another question that we cannot answer yet.")
