"""What may be proposed to say in public, from a snapshot's facts: pure, and never a fact for staff only.

A sentence of the story is public when its basis is on the list below and at least five people stand
behind every number it breaks down. Sentences that name a customer, tell our gaps or our losses stay inside.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from apps.analytics.results import CLASSES
from apps.analytics.story import K_ANONYMOUS
from apps.impact.telling import to_everybody
from apps.incidents.models import Incident, State

MOST_SENTENCES = 3

_WHAT_WE_DO = {
    State.INVESTIGATING: "We are looking for the cause.",
    State.REOPENED: "It has come back, and we are looking for the cause.",
    State.IDENTIFIED: "We know the cause and are working on it.",
    State.MONITORING: "A fix is in place, and we are watching that it holds.",
    State.RESOLVED: "It works again.",
}


def proposed_text(incident: Incident, *, state: str, result: Mapping[str, Any] | None) -> str:
    """Return a first wording of an update: what customers cannot do, what is known, what we do."""
    over = state in {State.MONITORING, State.RESOLVED}
    cannot = incident.cannot.rstrip(".")
    opening = f"Some customers {'could not' if over else 'cannot'} {cannot}." if cannot else ""
    if not opening:
        opening = f"{incident.title.rstrip('.')}."
    facts = list(public_sentences(result))[:MOST_SENTENCES] if result else []
    return "\n\n".join(
        part for part in (opening, " ".join(facts), _WHAT_WE_DO.get(State(state), "")) if part
    )


def public_sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences of a snapshot's story that everybody may read."""
    sentences = to_everybody(result)
    if sentences is not None:
        yield from sentences
        return
    told = list(_public_as_kept(result))
    yield from told
    requests = result.get("requests") or {}
    if not told and _enough(requests.get("failed")):
        yield (
            f"Between {_clock(result, 'from')} and {_clock(result, 'to')} UTC,"
            f" {requests['failed']:,} of {requests['total']:,} requests failed."
        )


def _public_as_kept(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield them from a snapshot that was taken before facts were kept."""
    story, basis = result.get("story") or [], result.get("story_basis") or []
    if len(story) == len(basis):
        for sentence, based_on in zip(story, basis, strict=True):
            if _is_public(str(based_on), result):
                yield str(sentence)


def _is_public(basis: str, result: Mapping[str, Any]) -> bool:
    if basis == "requests.failed":
        return _enough((result.get("requests") or {}).get("failed"))
    if basis == "actors.hit":
        actors = result.get("actors") or {}
        hit, total = actors.get("hit") or 0, actors.get("total") or 0
        # "9 of 10 met a failure" tells of the one who did not.
        return _enough(hit) and (hit == total or _enough(total - hit))
    if basis in {"extra_wait_s", "attempts.retried"}:
        return _enough((result.get("people") or {}).get("retried"))
    if basis.startswith("journeys."):
        name = basis.removeprefix("journeys.")
        found = [one for one in result.get("journeys") or [] if one.get("name") == name]
        return bool(found) and _is_public_journey(found[0])
    return False


def _is_public_journey(journey: Mapping[str, Any]) -> bool:
    """Whether its name is one that we gave, and nobody can be made out in its numbers."""
    attempts, people = journey.get("attempts") or {}, journey.get("people") or {}
    return (
        bool(journey.get("declared"))
        and all(_enough(people.get(name)) for name in CLASSES if attempts.get(name))
        and all(_enough(blocked.get("actors")) for blocked in journey.get("blocked_at") or [])
    )


def _enough(people: object) -> bool:
    return isinstance(people, int) and people >= K_ANONYMOUS


def _clock(result: Mapping[str, Any], end: str) -> str:
    return f"{datetime.fromisoformat(result['window'][end]).astimezone(UTC):%H:%M}"
