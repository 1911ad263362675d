"""A fact in words, in the language of who reads. Every kind of fact has one function here.

A sentence is one message, so that a language may order it as it likes; what bends by number stands
in a message of its own and is put into its place.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from apps.analytics.results import Fact
from apps.analytics.stats import Interval
from apps.analytics.story.voice import Voice, capital, rounded

Teller = Callable[[Fact, Voice], str]
TELLERS: dict[str, Teller] = {}


def words(fact: Fact, voice: Voice) -> str:
    """The sentence, or two, that tell a fact. Raises KeyError for a kind that nobody has words for."""
    return capital(TELLERS[fact.kind](fact, voice))


def tells(*kinds: str) -> Callable[[Teller], Teller]:
    """Let a function tell these kinds of facts."""

    def register(teller: Teller) -> Teller:
        TELLERS.update(dict.fromkeys(kinds, teller))
        return teller

    return register


# ---- parts of sentences --------------------------------------------------------------------------


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _span(fact: Fact, voice: Voice) -> str:
    return voice.span(_moment(fact.detail["from"]), _moment(fact.detail["to"]))


def _interval(fact: Fact) -> Interval:
    value = fact.value or 0.0
    low = value if fact.low is None else fact.low
    high = value if fact.high is None else fact.high
    return Interval(value, low, high)


def _about(fact: Fact, voice: Voice) -> tuple[int, str]:
    """The estimate and its range, rounded to what the interval supports."""
    low, middle, high = rounded(_interval(fact))
    return middle, voice.between(low, high)


def _who(fact: Fact, voice: Voice, n: int) -> str:
    """So many people, or callers where they may be programs, as those who do something."""
    whom = fact.detail.get("whom")
    if whom == "people":
        return voice.many("{n} person", "{n} people", n)
    if whom == "callers":
        return voice.many("{n} caller", "{n} callers", n)
    return voice.many("{n} person or program", "{n} people and programs", n)


def _of_whom(fact: Fact, voice: Voice, n: int) -> str:
    """The same after "of"."""
    whom = fact.detail.get("whom")
    if whom == "people":
        return voice.case("of", "{n} person", "{n} people", n)
    if whom == "callers":
        return voice.case("of", "{n} caller", "{n} callers", n)
    return voice.case("of", "{n} person or program", "{n} people and programs", n)


def _requests(voice: Voice, n: int) -> str:
    return voice.many("{n} request", "{n} requests", n)


def _attempts(voice: Voice, n: int) -> str:
    return voice.many("{n} attempt", "{n} attempts", n)


def _failures(voice: Voice, n: int) -> str:
    return voice.many("{n} failure", "{n} failures", n)


def _what(fact: Fact, voice: Voice) -> str:
    """What was tried: "to place an order" where somebody said so in English, else the journey's name."""
    verb = fact.detail.get("verb")
    return f"to {verb}" if verb and voice.language == "en" else voice.quoted(fact.who)


# ---- what the story opens with -------------------------------------------------------------------


@tells("nothing_came")
def _nothing_came(fact: Fact, voice: Voice) -> str:
    n, between = _about(fact, voice)
    return voice.many(
        "{span}, no customer request reached us at all: about {n} attempt that usually comes at this"
        " hour, {range}, never came.",
        "{span}, no customer request reached us at all: about {n} attempts that usually come at this"
        " hour, {range}, never came.",
        n,
        span=_span(fact, voice),
        range=between,
    )


@tells("meter")
def _meter(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "{span}, {requests} to {service} are reported as failed, yet callers went on as if they had not:"
        " {onward} of calls were followed by something else, {again} by the same again. We take the meter"
        " for broken, not the service.",
        span=_span(fact, voice),
        requests=_requests(voice, int(fact.value or 0)),
        service=voice.names(fact.detail["services"]),
        onward=voice.percent(fact.detail["onward"]),
        again=voice.percent(fact.detail["again"]),
    )


@tells("nothing_usual")
def _nothing_usual(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "{span}, no customer request reached us, which is not unusual at this hour.",
        span=_span(fact, voice),
    )


@tells("nothing_seen")
def _nothing_seen(fact: Fact, voice: Voice) -> str:
    return voice.say(
        "No customer request was recorded {span}: we cannot tell whether nobody came or whether we did"
        " not see them.",
        span=_span(fact, voice),
    )


@tells("silent")
def _silent(fact: Fact, voice: Voice) -> str:
    n, between = _about(fact, voice)
    never = voice.many(
        "about {n} attempt that usually comes at this hour, {range}, was not made",
        "about {n} attempts that usually come at this hour, {range}, were not made",
        n,
        range=between,
    )
    were = voice.many("{n} was", "{n} were", fact.detail["observed"])
    values = {"span": _span(fact, voice), "never": never, "were": were}
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
        n, who = total, _who(fact, voice, total)
    return voice.many(
        "{span}, {who} made {requests} and none failed.",
        "{span}, {who} made {requests} and none failed.",
        n,
        span=_span(fact, voice),
        who=who,
        requests=_requests(voice, fact.detail["total"]),
    )


@tells("some_lost")
def _some_lost(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed; {lost}.",
        "{span}, {n} requests of {total} failed; {lost}.",
        fact.detail["failed"],
        span=_span(fact, voice),
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
        span=_span(fact, voice),
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
        span=_span(fact, voice),
        total=voice.number(fact.detail["total"]),
        attempts=_attempts(voice, fact.detail["attempts"]),
    )


@tells("failed")
def _failed(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed.",
        "{span}, {n} requests of {total} failed.",
        fact.detail["failed"],
        span=_span(fact, voice),
        total=voice.number(fact.detail["total"]),
    )


@tells("begun_before")
def _begun_before(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{span}, {n} request of {total} failed, in attempts that had begun before.",
        "{span}, {n} requests of {total} failed, in attempts that had begun before.",
        fact.detail["failed"],
        span=_span(fact, voice),
        total=voice.number(fact.detail["total"]),
    )


# ---- journeys ------------------------------------------------------------------------------------


@tells("journey")
def _journey(fact: Fact, voice: Voice) -> str:
    ends = [clause for clause in (*_ended(fact.detail, voice), _blocked(fact, voice)) if clause]
    tried = _tried_then(fact, voice) if "from" in fact.detail else _tried(fact, voice)
    return f"{tried} {_sentence(voice.clauses(ends))}" if ends else tried


def _sentence(text: str) -> str:
    return capital(f"{text}.")


def _tried_then(fact: Fact, voice: Voice) -> str:
    """Who tried it in the window; the story opens with it."""
    attempts, actors = fact.detail["attempts"], fact.detail["actors"]
    what, span = _what(fact, voice), _span(fact, voice)
    if not attempts:
        return voice.say(
            "{span}, nobody got as far as {what}.", span=span, what=voice.quoted(fact.who)
        )
    times = voice.many("{n} time", "{n} times", attempts)
    if actors is None:
        return voice.many(
            "{span}, {what} was tried {times}.",
            "{span}, {what} was tried {times}.",
            attempts,
            span=span,
            what=voice.quoted(fact.who),
            times=times,
        )
    who = _who(fact, voice, actors)
    if actors == attempts:
        return voice.many(
            "{span}, {who} tried {what}.",
            "{span}, {who} tried {what}.",
            actors,
            span=span,
            who=who,
            what=what,
        )
    return voice.many(
        "{span}, {who} tried {what} {times}.",
        "{span}, {who} tried {what} {times}.",
        actors,
        span=span,
        who=who,
        what=what,
        times=times,
    )


def _tried(fact: Fact, voice: Voice) -> str:
    """The same further down, where the window has been said."""
    attempts, actors = fact.detail["attempts"], fact.detail["actors"]
    what = _what(fact, voice)
    if not attempts:
        return capital(voice.say("nobody got as far as {what}.", what=voice.quoted(fact.who)))
    times = voice.many("{n} time", "{n} times", attempts)
    if actors is None:
        name = voice.quoted(fact.who)
        return voice.many(
            "{what} was tried {times}.",
            "{what} was tried {times}.",
            attempts,
            what=name,
            times=times,
        )
    who = _who(fact, voice, actors)
    if actors == attempts:
        return voice.many("{who} tried {what}.", "{who} tried {what}.", actors, who=who, what=what)
    return voice.many(
        "{who} tried {what} {times}.",
        "{who} tried {what} {times}.",
        actors,
        who=who,
        what=what,
        times=times,
    )


def _ended(detail: Any, voice: Voice) -> list[str]:
    """How attempts ended, clause by clause; the parts sum to the attempts."""
    through, retried = detail["through"], detail["retried"]
    parts = []
    if through and retried and through > retried:
        parts.append(
            voice.many(
                "{n} got through, {again} of them only on another try",
                "{n} got through, {again} of them only on another try",
                through,
                again=voice.number(retried),
            )
        )
    elif through and retried:
        parts.append(
            voice.many(
                "{n} got through only on another try",
                "{n} got through only on another try",
                through,
            )
        )
    elif through:
        parts.append(voice.many("{n} got through", "{n} got through", through))
    if n := detail["gave_up"]:
        parts.append(voice.many("{n} gave up", "{n} gave up", n))
    if n := detail["came_back"]:
        parts.append(
            voice.many("{n} gave up and came back later", "{n} gave up and came back later", n)
        )
    if n := detail["open"]:
        parts.append(voice.many("{n} was still trying", "{n} were still trying", n))
    if n := detail["cannot_tell"]:
        parts.append(voice.many("{n} cannot be told", "{n} cannot be told", n))
    return parts


def _blocked(fact: Fact, voice: Voice) -> str:
    """How many were stopped at an earlier step."""
    blocked = fact.detail["blocked"]
    if not blocked:
        return ""
    step, several = voice.quoted(fact.detail["step"]), fact.detail["steps"] > 1
    if fact.detail["attempts"] and several:
        return voice.many(
            "{n} more person failed before that, most at {step}, and got no further",
            "{n} more people failed before that, most at {step}, and got no further",
            blocked,
            step=step,
        )
    if fact.detail["attempts"]:
        return voice.many(
            "{n} more person failed before that at {step} and got no further",
            "{n} more people failed before that at {step} and got no further",
            blocked,
            step=step,
        )
    if several:
        return voice.many(
            "{n} person failed before that, most at {step}, and got no further",
            "{n} people failed before that, most at {step}, and got no further",
            blocked,
            step=step,
        )
    return voice.many(
        "{n} person failed before that at {step} and got no further",
        "{n} people failed before that at {step} and got no further",
        blocked,
        step=step,
    )


# ---- people, waiting, who never came -------------------------------------------------------------


def _failed_of(fact: Fact, voice: Voice) -> str:
    return voice.many(
        "{n} of {requests} failed",
        "{n} of {requests} failed",
        fact.detail["failed"],
        requests=_requests(voice, fact.detail["total"]),
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
            who=_who(fact, voice, total),
            failed=failed,
        )
    return voice.many(
        "{n} of {whom} met a failure: {failed}.",
        "{n} of {whom} met a failure: {failed}.",
        hit,
        whom=_of_whom(fact, voice, total),
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
    return voice.say(
        "Those who tried again until it worked ({attempts}) waited {half} longer than usual, one in twenty"
        " over {most}; {sum} in all.",
        attempts=_attempts(voice, n),
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
    n, between = _about(fact, voice)
    return voice.many(
        "About {n} attempt that usually comes at this hour, {range}, was never made.",
        "About {n} attempts that usually come at this hour, {range}, were never made.",
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
    n, between = _about(fact, voice)
    return voice.many(
        "About {n} more person than usual, {range}, has not been back since, of {exposed} who gave up.",
        "About {n} more people than usual, {range}, have not been back since, of {exposed} who gave up.",
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


# ---- business ------------------------------------------------------------------------------------


@tells("value")
def _value(fact: Fact, voice: Voice) -> str:
    currency = fact.detail["currency"]
    interval = _interval(fact)
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
        "failures": _failures(voice, fact.detail["failures"]),
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
    interval = _interval(fact)
    times, low, high = (voice.decimal(x) for x in (interval.estimate, interval.low, interval.high))
    return voice.many(
        "At {what}, {n} of {whom} did not get through, about {times} times the share elsewhere, between"
        " {low} and {high}.",
        "At {what}, {n} of {whom} did not get through, about {times} times the share elsewhere, between"
        " {low} and {high}.",
        fact.detail["failed"],
        what=voice.quoted(fact.who),
        whom=_of_whom(fact, voice, fact.detail["actors"]),
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


# ---- what is not known ---------------------------------------------------------------------------


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
    until = _moment(fact.detail["known_until"])
    return voice.say(
        "We cannot say yet whether those who gave up will come back: what came after is known until {day},"
        " {time} ({zone}) only.",
        day=voice.day(until),
        time=voice.clock(until),
        zone=voice.where(),
    )


def _gap_sender(fact: Fact, voice: Voice) -> str:
    heard = _moment(fact.detail["heard"])
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


# ---- to a customer -------------------------------------------------------------------------------


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
    return voice.say("We saw no request of yours {span}.", span=_span(fact, voice))


@tells("theirs_fine")
def _theirs_fine(fact: Fact, voice: Voice) -> str:
    total, span = fact.detail["total"], _span(fact, voice)
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
    total, span = fact.detail["total"], _span(fact, voice)
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
        span=_span(fact, voice),
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
    start = _moment(fact.detail["outage_from"])
    values = {
        "start": voice.clock(start, seconds=True),
        "zone": voice.where(),
        "of_requests": _of_theirs(fact, voice),
    }
    if fact.detail["outage_to"] is None:
        return voice.say("From {start} {zone} on we saw none {of_requests} succeed.", **values)
    end = _moment(fact.detail["outage_to"])
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
