"""The words of a draft: this customer's own numbers, what we know, what helps them now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from apps.accounts.models import User
from apps.analytics.story import Voice, title_for_them
from apps.customers.models import Customer, Kind
from apps.guidance.models import Advice
from apps.impact.models import CustomerImpact
from apps.impact.telling import to_them
from apps.incidents.models import Incident, State, Update
from apps.outreach.content import clock, one_line, span
from apps.outreach.models import Purpose

UTC = ZoneInfo("UTC")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a draft is written from."""

    incident: Incident
    customer: Customer
    impact: CustomerImpact | None
    update: Update | None
    advice: Advice | None
    sender: User | None
    language: str  # of who will read it
    zone: str


def subject(facts: Facts) -> str:
    """Return the subject. It stays the same through the incident, so that mails make one thread."""
    return one_line(f"[{facts.incident.reference}] {facts.incident.title}")[:200]


def text(facts: Facts, *, purpose: str) -> str:
    """Return the message as Markdown that reads well as plain text."""
    parts = [_opening(facts, purpose=purpose), *_numbers(facts), *_known(facts)]
    if purpose == Purpose.IMPACT:
        parts += _advice(facts)
    parts.append(_close(facts))
    return "\n\n".join(part for part in parts if part)


def _opening(facts: Facts, *, purpose: str) -> str:
    incident, where = facts.incident, facts.zone
    title = one_line(incident.title)
    day = f"{incident.started_at.astimezone(UTC):%A %-d %B}"
    end = incident.ended_at or incident.resolved_at
    if end is None:
        return f"since {clock(incident.started_at, where)} on {day} we have a problem: {title}."
    when = _period(incident.started_at, end, where)
    if purpose == Purpose.RESOLUTION:
        return f"it is fixed: {title}. It lasted from {when} on {day}."
    now = "It seems to be over; we are watching." if incident.is_live else "It is over."
    return f"from {when} on {day} we had a problem: {title}. {now}"


def _period(begin: datetime, end: datetime, where: str) -> str:
    if begin.astimezone(UTC).date() == end.astimezone(UTC).date():
        return span(begin, end, where)
    return f"{clock(begin, where)} until {end.astimezone(UTC):%-d %B}, {clock(end, where)}"


def _numbers(facts: Facts) -> list[str]:
    if facts.impact is None or not facts.impact.story:
        return []
    told = to_them(
        facts.impact.result.get("facts"),
        facts.impact.story,
        language=facts.language,
        zone=facts.zone,
    )
    lines = "\n".join(f"- {one_line(sentence)}" for sentence in told.sentences)
    so_far = facts.incident.is_live and facts.incident.ended_at is None
    return [_heading(title_for_them(Voice.of(told.language), so_far=so_far)), lines]


def _known(facts: Facts) -> list[str]:
    update = facts.update
    if update is None or update.published_at is None:
        return []
    parts = [_heading(f"What we know, as of {clock(update.published_at, facts.zone)}")]
    parts.append(update.text.strip())
    if update.advice.strip():
        parts.append(update.advice.strip())
    return parts


def _advice(facts: Facts) -> list[str]:
    advice = facts.advice
    if advice is None:
        return []
    what_to_do = advice.what_to_do.strip()
    if advice.retry_from_s is not None:
        what_to_do += (
            f" Wait between {advice.retry_from_s} and {advice.retry_to_s} seconds before you try again,"
            " each client a different time."
        )
    parts = [_heading("What you can do now"), what_to_do]
    # Its words are of something that fails right now.
    fails = facts.incident.ended_at is None and facts.incident.state != State.MONITORING
    if fails and facts.customer.kind == Kind.BUSINESS and advice.tell_your_customers.strip():
        quoted = "\n".join(f"> {line}" for line in advice.tell_your_customers.strip().splitlines())
        parts += [_heading("What you can tell your customers"), quoted]
    return parts


def _close(facts: Facts) -> str:
    lines = []
    update = facts.update
    if facts.incident.is_live and update is not None and update.next_update_at:
        when = clock(update.next_update_at, facts.zone)
        lines.append(
            f"The next word from us comes by {when}, and stands here: <{settings.PORTAL_URL}/>"
        )
    else:
        lines.append(f"All that we publish about it is here: <{settings.PORTAL_URL}/>")
    lines.append("If this does not match what you see, please answer this message.")
    name = facts.sender.name if facts.sender else settings.PORTAL_NAME
    return "\n\n".join(lines) + f"\n\n{one_line(name)}"


def _heading(words: str) -> str:
    return f"{words}\n{'-' * len(words)}"
