"""Who tried what, and how it ended."""

from typing import Any

from apps.analytics.results import Fact
from apps.analytics.story.voice import Voice, capital
from apps.analytics.story.words.parts import span_of, what_of, who_of
from apps.analytics.story.words.telling import tells


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
    what, span = what_of(fact, voice), span_of(fact, voice)
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
    who = who_of(fact, voice, actors)
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
    what = what_of(fact, voice)
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
    who = who_of(fact, voice, actors)
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
