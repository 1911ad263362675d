"""Businesses, promises, and what it is worth."""

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice, rounded
from apps.analytics.story.words.parts import interval_of, of_whom, some_failures
from apps.analytics.story.words.telling import tells


@tells("value")
def _value(fact: Fact, voice: Voice) -> str:
    currency = fact.detail["currency"]
    interval = interval_of(fact)
    what = voice.quoted(fact.who)
    if interval.low == interval.high:
        return voice.say(
            "What was not completed of {what} is worth {money}.",
            what=what,
            money=voice.money(interval.estimate, currency),
        )
    low, middle, high = rounded(interval)
    return voice.say(
        "What was not completed of {what} is worth about {money}, between {low} and {high}.",
        what=what,
        money=voice.money(middle, currency),
        low=voice.money(low, currency),
        high=voice.money(high, currency),
    )


@tells("businesses")
def _businesses(fact: Fact, voice: Voice) -> str:
    n, total = round(fact.value or 0), fact.detail["total"]
    if n == total == 2:
        return voice.say("Both businesses had attempts that did not get through.")
    if n == total:
        return voice.many(
            "All {n} businesses had attempts that did not get through.",
            "All {n} businesses had attempts that did not get through.",
            n,
        )
    return voice.many(
        "{n} of {total} businesses had attempts that did not get through.",
        "{n} of {total} businesses had attempts that did not get through.",
        n,
        total=voice.number(total),
    )


@tells("hardest")
def _hardest(fact: Fact, voice: Voice) -> str:
    return voice.say("Hit hardest: {names}.", names=voice.names(fact.detail["names"]))


@tells("dark")
def _dark(fact: Fact, voice: Voice) -> str:
    values = {
        "name": fact.who,
        "duration": voice.duration(fact.detail["seconds"]),
        "failures": some_failures(voice, fact.detail["failures"]),
    }
    if fact.detail["over"]:
        text = voice.say("{name} had no success for {duration} ({failures} in a row).", **values)
    else:
        text = voice.say(
            "{name} had no success for at least {duration} ({failures} in a row).", **values
        )
    if not fact.detail["others"]:
        return text
    others = voice.many(
        "{n} other customer had an outage of their own too.",
        "{n} other customers had an outage of their own too.",
        fact.detail["others"],
    )
    return f"{text} {others}"


@tells("trait")
def _trait(fact: Fact, voice: Voice) -> str:
    interval = interval_of(fact)
    times, low, high = (voice.decimal(x) for x in (interval.estimate, interval.low, interval.high))
    return voice.many(
        "At {what}, {n} of {whom} did not get through, about {times} times the share elsewhere, between"
        " {low} and {high}.",
        "At {what}, {n} of {whom} did not get through, about {times} times the share elsewhere, between"
        " {low} and {high}.",
        fact.detail["failed"],
        what=voice.quoted(fact.who),
        whom=of_whom(fact, voice, fact.detail["actors"]),
        times=times,
        low=low,
        high=high,
    )


@tells("uptime")
def _uptime(fact: Fact, voice: Voice) -> str:
    share = fact.value or 0.0
    if share < 0.001:
        return voice.say("People could use it for almost none of the time they spent here.")
    during = voice.percent(share, 1)
    if fact.usual is None:
        return voice.say(
            "People could use it for {during} of the time they spent here.", during=during
        )
    return voice.say(
        "People could use it for {during} of the time they spent here ({before} in the hour before).",
        during=during,
        before=voice.percent(fact.usual, 1),
    )


@tells("promises")
def _promises(fact: Fact, voice: Voice) -> str:
    n = round(fact.value or 0)
    clauses = [voice.quoted(clause.rstrip(".")) for clause in fact.detail["clauses"]]
    clauses += [""] * (n - len(clauses))
    return voice.many(
        "{n} promise was broken: {clauses}.",
        "{n} promises were broken: {clauses}.",
        n,
        clauses=voice.names(clauses, most=len(fact.detail["clauses"])),
    )


@tells("promises_kept")
def _promises_kept(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "The promise that was measured here was kept.",
        "All {n} promises that were measured here were kept.",
        fact.detail["total"],
    )
