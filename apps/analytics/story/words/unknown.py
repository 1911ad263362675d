"""What is not known: the question, why it cannot be answered, and what would close it."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice
from apps.analytics.story.words.parts import moment
from apps.analytics.story.words.telling import tells

Said = tuple[str, str, str]
Numbers = Mapping[str, Any]


@tells("gap")
def _gap(fact: Fact, voice: Voice) -> str:
    if voice.language == "en":  # the gap itself says it, with its numbers
        return f"{fact.detail['question']} We cannot say: {fact.detail['why']}."
    # What was kept before gaps had numbers of their own has those of the whole beside them.
    numbers = {**fact.detail, **fact.detail.get("numbers", {})}
    said = gap_words(str(fact.detail["code"]), numbers, voice)
    if said is None:
        return voice.say("There is another question that we cannot answer yet.")
    return voice.say("{question} We cannot say: {why}.", question=said[0], why=said[1])


def gap_words(code: str, numbers: Numbers, voice: Voice) -> Said | None:
    """A gap's question, why, and what closes it (the last two without a full stop), from its code and numbers.

    None for a code that we have no words for, or whose numbers were not kept.
    """
    teller = _TELLERS.get(code)
    try:
        return teller(numbers, voice) if teller else None
    except (KeyError, TypeError):
        return None


def _no_events(_: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Did anybody try anything?"),
        voice.say("no customer request was recorded in this window"),
        voice.say("Check that the sender was running, and ingest its log for this window"),
    )


def _meter(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Did those calls fail?"),
        voice.many(
            "{n} call of {where} is reported as failed, and callers went on as if it had not",
            "{n} calls of {where} are reported as failed, and callers went on as if they had not",
            numbers["calls"],
            where=numbers["where"],
        ),
        voice.say(
            "Look at what writes the status: the log's status field, the exporter, a proxy that answers"
            " in place of the service"
        ),
    )


def _sender(numbers: Numbers, voice: Voice) -> Said:
    values = {
        "service": voice.quoted(numbers["service"]),
        "when": _when(numbers["heard"], voice),
    }
    if others := numbers.get("others", 0):
        why = voice.many(
            "{service} has sent nothing since {when}, and {n} more service likewise",
            "{service} has sent nothing since {when}, and {n} more services likewise",
            others,
            **values,
        )
    else:
        why = voice.say("{service} has sent nothing since {when}", **values)
    return (
        voice.say("Did nobody come, or did the sender stop?"),
        why,
        voice.say(
            "Look whether what sends its log or events still runs, and send what it kept back"
        ),
    )


def _proxy(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("How many people are behind the proxy?"),
        voice.many(
            "{n} address carries so many user agents or so much of the traffic that it stands for many people",
            "{n} addresses carry so many user agents or so much of the traffic that they stand for many people",
            numbers["proxies"],
        ),
        voice.say("{session}; or log the forwarded client address", session=_session(voice)),
    )


def _actor(numbers: Numbers, voice: Voice) -> Said:
    share = voice.percent(numbers["unknown"])
    if journey := numbers.get("journey"):
        question = voice.say(
            "How many people were hit at {journey}?", journey=voice.quoted(journey)
        )
        why = voice.many(
            "{share} of its requests carry nothing that tells who made them; at least {n} was hit",
            "{share} of its requests carry nothing that tells who made them; at least {n} were hit",
            numbers["at_least"],
            share=share,
        )
    else:
        question = voice.say("How many people were hit?")
        why = voice.many(
            "{share} of requests carry nothing that tells who made them; at least {n} was hit",
            "{share} of requests carry nothing that tells who made them; at least {n} were hit",
            numbers["at_least"],
            share=share,
        )
    return question, why, _session(voice)


def _address(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Is each address and browser one person?"),
        voice.many(
            "{n} of the people counted is known by address and user agent only",
            "{n} of the people counted are known by address and user agent only",
            numbers["people"],
        ),
        _session(voice),
    )


def _customer(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Whose traffic is it?"),
        voice.say(
            "{share} of requests belong to nobody we can name",
            share=voice.percent(numbers["unnamed"]),
        ),
        voice.say("Add an identification rule to the customer that sends them"),
    )


def _attempts(numbers: Numbers, voice: Voice) -> Said:
    n = numbers["cannot_tell"]
    return (
        voice.say("Which requests were retries?"),
        voice.many(
            "{n} attempt ({share}) carries neither a person nor a key, or comes from a caller too busy to"
            " tell a retry from new work",
            "{n} attempts ({share}) carry neither a person nor a key, or come from callers too busy to"
            " tell a retry from new work",
            n,
            share=voice.percent(n / max(1, numbers["attempts"])),
        ),
        voice.say("Ask callers for an Idempotency-Key header, or for a user or session id"),
    )


def _extra_wait(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("How long did those who tried again usually wait?"),
        voice.many(
            "only {n} got through on another try; {needed} are needed for a median",
            "only {n} got through on another try; {needed} are needed for a median",
            numbers["n"],
            needed=voice.number(numbers["needed"]),
        ),
        voice.say("Nothing to add: too few people were affected to say"),
    )


def _user_uptime(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("For which share of their time could people use it?"),
        voice.say(
            "fewer than {needed} known people were active in the window",
            needed=voice.number(numbers["needed"]),
        ),
        _session(voice) if numbers["blind"] else voice.say("A longer window"),
    )


def _quiet(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Was their own business down?"),
        voice.many(
            "all requests of {n} customer failed, and fewer than {needed} are known: too quiet at this hour"
            " to say whether they were down",
            "all requests of {n} customers failed, and of each fewer than {needed} are known: too quiet at"
            " this hour to say whether they were down",
            numbers["customers"],
            needed=voice.number(numbers["needed"]),
        ),
        voice.say("Probe what they use for them, or ask them for their own counts"),
    )


def _server_time(_: Numbers, voice: Voice) -> Said:
    return (
        voice.say("How long did they wait on the way to us?"),
        voice.say(
            "what our logs time begins when a request reaches us: waiting on the network is not in it"
        ),
        voice.say("Have browsers and apps report how long their calls took"),
    )


def _ingest_time(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Which request came first?"),
        voice.many(
            "{hosts} hosts report without saying when it arrived, so that their clocks cannot be set right,"
            " and in {n} attempt requests follow each other within a second",
            "{hosts} hosts report without saying when it arrived, so that their clocks cannot be set right,"
            " and in {n} attempts requests follow each other within a second",
            numbers["attempts"],
            hosts=voice.number(numbers["hosts"]),
        ),
        voice.say("Send with each event when the collector received it"),
    )


def _too_few(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Did somebody leave whom we would not have noticed?"),
        voice.say(
            "of {exposed} who failed for good we would have noticed only if {seen} had left",
            exposed=voice.number(numbers["exposed"]),
            seen=voice.number(numbers["seen"]),
        ),
        voice.say("Nothing to add: too few people to tell a smaller number from chance"),
    )


def _put_off(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Did those who never came only put it off?"),
        _reason(numbers, voice),
        voice.say("Ask again when six hours have passed after the window")
        if numbers["later"]
        else voice.say("Nothing to add: what began later does not tell it"),
    )


def _net_lost(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Did those who never came fail on the way, or not try?"),
        voice.many(
            "at least {n} attempt fewer than usual began, and what fails before it reaches us leaves no"
            " trace in our logs",
            "at least {n} fewer attempts than usual began, and what fails before it reaches us leaves no"
            " trace in our logs",
            numbers["low"],
        ),
        voice.say(
            "Have browsers and apps report failures of their own, or ask customers for their counts"
        ),
    )


def _lost_attempts(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("How many never even tried?"),
        _reason(numbers, voice),
        voice.say("Keep and ingest the logs of at least three earlier weeks"),
    )


def _not_returned(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Who has not come back since?"),
        _reason(numbers, voice),
        voice.say("Keep and ingest earlier weeks, and ask again when a day has passed"),
    )


def _open(numbers: Numbers, voice: Voice) -> Said:
    return (
        voice.say("Are they still trying?"),
        voice.many(
            "{n} attempt had failed so shortly before the end of what is seen that another try may follow",
            "{n} attempts had failed so shortly before the end of what is seen that another try may follow",
            numbers["open"],
        ),
        voice.say("Ask again later"),
    )


def _provisional(numbers: Numbers, voice: Voice) -> Said:
    until = numbers.get("until")
    return (
        voice.say("Will those who gave up come back?"),
        voice.say(
            "what came after is known until {when} only", when=_when(numbers["known_until"], voice)
        ),
        voice.say("Ask again after {when} with the events up to then", when=_when(until, voice))
        if until
        else voice.say("Ask again later"),
    )


_TELLERS: dict[str, Callable[[Numbers, Voice], Said]] = {
    "no_events": _no_events,
    "meter": _meter,
    "sender": _sender,
    "proxy": _proxy,
    "actor": _actor,
    "address": _address,
    "customer": _customer,
    "attempts": _attempts,
    "extra_wait": _extra_wait,
    "user_uptime": _user_uptime,
    "quiet": _quiet,
    "server_time": _server_time,
    "ingest_time": _ingest_time,
    "too_few": _too_few,
    "put_off": _put_off,
    "net_lost": _net_lost,
    "lost_attempts": _lost_attempts,
    "not_returned": _not_returned,
    "open": _open,
    "provisional": _provisional,
}


def _session(voice: Voice) -> str:
    return voice.say(
        "Log a pseudonymous session or user id with each request, for example sid=$cookie_sid"
    )


def _when(at: str, voice: Voice) -> str:
    """A moment, "3 November 2026, 10:04 (UTC)"."""
    when = moment(at)
    return voice.say(
        "{day}, {time} ({zone})", day=voice.day(when), time=voice.clock(when), zone=voice.where()
    )


def _reason(numbers: Numbers, voice: Voice) -> str:
    """Why a measure refused, by its English message (`reasons.told_as`)."""
    why = numbers.get("reason") or {}
    message = str(why.get("message"))
    if message not in REASONS:
        return voice.say("the data does not allow it")
    return voice.say(message, **{name: voice.number(n) for name, n in why["numbers"].items()})


#: Marks a message for `make messages`: measures know no languages.
say = str

#: Why measures refuse, as `CannotTell` says it.
REASONS = {
    say("the window is longer than half a week"),
    say("next to nothing of the window is known yet"),
    say("no earlier weeks to compare with"),
    say("only {n} earlier weeks to compare with; three are needed"),
    say("only {n} attempts were to be expected; 30 are needed"),
    say("too few attempts in earlier weeks to expect 30 in the window"),
    say("retries cannot be told from new attempts: too few requests carry an actor"),
    say("a service sends nothing any more: nobody came, or its sender stopped"),
    say("the six hours in which they may make up for it have not passed"),
    say("after the window fewer than usual began too"),
    say("the time in which they may come back has not passed"),
    say("only {n} people failed for good; {needed} are needed"),
    say("no earlier week with the seven days before it to compare with"),
    say("nobody was active in the same window of earlier weeks"),
}
