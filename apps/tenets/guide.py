"""From what a kind of customer can bear to clauses: the answers to four questions about each journey."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from apps.catalog.models import Journey
from apps.customers.models import Kind
from apps.tenets.actions import ClauseDraft
from apps.tenets.models import Budgeting, ClauseKind, Dimension
from apps.tenets.wording import count


@dataclass(frozen=True)
class Question:
    """What is asked about a journey, with the answers in words and the number beside them."""

    name: str
    words: str
    number: str  # what the number is
    most: int


QUESTIONS = (
    Question("outage", "Can they bear an outage?", "minutes in 28 days", 40_319),
    Question("error", "Can they bear an error?", "of 1,000 attempts", 1000),
    Question("delay", "Can they bear a delay?", "seconds", 86_400),
    Question("loss", "Can they bear a loss?", "of what we acknowledged, in 28 days", 1_000_000),
)
ANSWERS = (("no", "No"), ("some", "Some"), ("yes", "Yes: promise nothing"))
#: What is mostly right, to begin with: the answer and its number.
DEFAULTS: dict[str, dict[str, tuple[str, int]]] = {
    Kind.CONSUMERS: {
        "outage": ("some", 40), "error": ("some", 5), "delay": ("some", 3), "loss": ("no", 0),
    },
    Kind.BUSINESS: {
        "outage": ("some", 20), "error": ("some", 1), "delay": ("some", 10), "loss": ("no", 0),
    },
    Kind.INTERNAL: {
        "outage": ("some", 240), "error": ("some", 20), "delay": ("some", 30), "loss": ("yes", 0),
    },
}  # fmt: skip
_MINUTES = 28 * 24 * 60
#: Shares of 1: what “no” means where a share must stay below 1.
_STRICT = Decimal("0.999900")


@dataclass(frozen=True)
class Answer:
    """What they can bear of one thing: no, some (up to a number), yes."""

    bears: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What traffic says about a journey today in a sentence, "" when it cannot be told; and when, or why not."""

    text: str
    basis: str


class Witness(Protocol):
    """Says what traffic shows that a kind of customer bears; given by who can read traffic."""

    def __call__(self, *, kind: str, journeys: Sequence[Journey]) -> dict[int, Evidence]:
        """Return what is known of every journey, or why nothing is, by their ids."""
        ...


def clauses_of(journey: Journey, answers: dict[str, Answer]) -> list[ClauseDraft]:
    """Return the clauses that follow from the answers about a journey."""
    makers = {"outage": _outage, "error": _error, "delay": _delay, "loss": _loss}
    return [
        makers[question.name](journey, answers[question.name])
        for question in QUESTIONS
        if answers[question.name].bears != "yes"
    ]


def promise_of(journeys: Sequence[Journey], answers: Sequence[dict[str, Answer]]) -> str:
    """Return a first wording of the promise, no stronger than its weakest journey; people write a better one."""
    names = _listed([journey.name for journey in journeys])
    many = len(journeys) > 1
    outage, error, delay, loss = (
        _weakest([one[question.name] for one in answers]) for question in QUESTIONS
    )
    parts, first = [], ""
    if outage:
        first = f"{names} {'work' if many else 'works'} when you need {'them' if many else 'it'}"
        if outage.bears == "some":
            first += f", apart from at most {count(outage.number, 'minute')} in 28 days"
    elif error:
        first = f"{names} {'go' if many else 'goes'} through at the first try"
        if error.bears == "some":
            first += f", but for at most {error.number:,} of 1,000 attempts"
    if delay:
        seconds = count(_seconds(delay), "second")
        done = f"{'are' if many else 'is'} done within {seconds}"
        first = f"{first}, and {done}" if first else f"{names} {done}"
    if first:
        parts.append(f"{first}.")
    if loss:
        lost = "never lose" if loss.bears == "no" else f"lose at most {loss.number:,} of"
        about = "" if first else f" of {names}"
        parts.append(f"We {lost} what we have acknowledged{about}.")
    return " ".join(parts) or f"{names}: we keep the clauses below."


def _weakest(answers: Sequence[Answer]) -> Answer | None:
    """Return the answer that holds for all, None where one of them is promised nothing."""
    if any(one.bears == "yes" for one in answers):
        return None
    return max(answers, key=lambda one: (one.bears == "some", one.number))


def _seconds(answer: Answer) -> int:
    return 1 if answer.bears == "no" else max(1, answer.number)


def _outage(journey: Journey, answer: Answer) -> ClauseDraft:
    share = _STRICT if answer.bears == "no" else 1 - Decimal(answer.number) / _MINUTES
    return ClauseDraft(
        text=f"{journey.name} works, minute by minute",
        dimension=Dimension.OUTAGE,
        target=_below_one(share),
        budgeting=Budgeting.TIMESLICES,
        slice_minutes=1,
        slice_target=Decimal("0.95"),
        tolerance=_bears(answer, f"{count(answer.number, 'minute')} in 28 days"),
        journey=journey,
    )


def _error(journey: Journey, answer: Answer) -> ClauseDraft:
    share = _STRICT if answer.bears == "no" else 1 - Decimal(answer.number) / 1000
    return ClauseDraft(
        text=f"{journey.name} goes through at the first try",
        dimension=Dimension.ERROR,
        target=_below_one(share),
        tolerance=_bears(answer, f"{answer.number:,} of 1,000 attempts"),
        journey=journey,
    )


def _delay(journey: Journey, answer: Answer) -> ClauseDraft:
    seconds = _seconds(answer)
    return ClauseDraft(
        text=f"{journey.name} is done in time",
        kind=ClauseKind.FRESHNESS,
        dimension=Dimension.DELAY,
        target=Decimal("0.99"),
        threshold_ms=seconds * 1000,
        tolerance=_bears(answer, count(seconds, "second")),
        journey=journey,
    )


def _loss(journey: Journey, answer: Answer) -> ClauseDraft:
    most = 0 if answer.bears == "no" else answer.number
    return ClauseDraft(
        text=f"{journey.name}: what we acknowledged is not lost",
        kind=ClauseKind.INVARIANT,
        dimension=Dimension.LOSS,
        max_count=most,
        tolerance=_bears(answer, f"{most:,} in 28 days"),
        journey=journey,
    )


def _bears(answer: Answer, words: str) -> str:
    return "none" if answer.bears == "no" else f"up to {words}"


def _below_one(share: Decimal) -> Decimal:
    return min(max(round(share, 6), Decimal(0)), Decimal("0.999999"))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
