"""The pages' bytes, from facts alone: the same facts give the same bytes."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from apps.core.accent import accent_of_settings
from apps.guidance import errors
from apps.guidance.queries import KINDS
from apps.incidents.models import State
from apps.statuspage.queries import HISTORY, HIT_GRADES, Facts, Incident, Reader, error_advice
from apps.statuspage.store import VALID_FOR, File

# The line that says how old a page is stands between these. Whoever serves the page may write it anew.
FRESHNESS = re.compile(rb"<!--freshness-->.*?<!--/freshness-->", re.DOTALL)
OTHER = "other"  # the file of advice on codes that nobody wrote about
_WORKS, _FAILS, _RECOVERS = "working", "failing", "recovering"


def files(facts: Facts) -> Iterator[File]:
    """Yield every file of a generation."""
    public = facts.public
    yield File("public/index.html", index(facts, public), gzipped=True)
    yield File("public/index.json", _json(summary(facts)), gzipped=True)
    yield File("public/status.css", stylesheet(), gzipped=True)
    for incident in public:
        yield File(f"public/i/{incident.reference}.html", history(facts, incident), gzipped=True)
    for reader in facts.readers:
        yield File(f"customers/{reader.pk}.html", index(facts, facts.for_reader(reader), reader))
    yield File(
        "customers/kinds.json", _json({str(reader.pk): reader.kind for reader in facts.readers})
    )
    for code in (*facts.advices.codes, OTHER):
        yield File(f"errors/{code}.json", _json(_errors(facts, code)))


def index(facts: Facts, incidents: list[Incident], reader: Reader | None = None) -> bytes:
    """Return the status page; with a reader, theirs: *For you* is in it, and it is not for others."""
    live = [incident for incident in incidents if incident.live]
    past = [
        incident
        for incident in incidents
        if not incident.live and incident.over_at > facts.now - HISTORY
    ]
    calm_since = max(
        (incident.over_at for incident in incidents if not incident.live), default=None
    )
    return _html(
        "statuspage/index.html",
        facts,
        live=live,
        past=past,
        calm_since=calm_since,
        services=_services(facts),
        reader=reader,
        for_you=_for_you(facts, incidents, reader) if reader else None,
        history_days=HISTORY.days,
        # A customer's page is only ever served by us, who write this line; so it changes with its facts alone.
        freshness=mark_safe("") if reader else as_of(facts.now),
    )


def history(facts: Facts, incident: Incident) -> bytes:
    """Return the page of one incident: all that we published about it."""
    return _html(
        "statuspage/incident.html",
        facts,
        incident=incident,
        freshness=as_of(facts.now) if incident.live else mark_safe(""),
    )


def summary(facts: Facts) -> dict[str, Any]:
    """Return the same facts as JSON."""
    public = facts.public
    return {
        "name": settings.PORTAL_NAME,
        "url": f"{settings.PORTAL_URL}/",
        "generated_at": _moment(facts.now),
        "valid_until": _moment(facts.now + VALID_FOR),
        "state": "problem" if any(incident.live for incident in public) else "calm",
        "services": [{"name": name, "state": state} for name, state in _services(facts)],
        "incidents": [_incident(incident) for incident in public],
    }


def unpublished() -> bytes:
    """Return the page that stands in until the first render."""
    return render_to_string(
        "statuspage/unpublished.html",
        {"name": settings.PORTAL_NAME, "css": style_address()},
    ).encode()


def as_of(moment: datetime) -> SafeString:
    """Return the line of a page that is as fresh as it should be."""
    return format_html(
        '<p class="freshness">As of <time datetime="{}">{}</time></p>',
        _moment(moment),
        f"{moment.astimezone(UTC):%H:%M} UTC, {_day(moment)}",
    )


def stale_since(moment: datetime) -> SafeString:
    """Return the line of a page that nobody renews."""
    return format_html(
        '<p class="freshness freshness-stale"><strong>We cannot refresh this page since'
        ' <time datetime="{}">{}</time>.</strong> What it says was right then and may have changed.</p>',
        _moment(moment),
        f"{moment.astimezone(UTC):%H:%M} UTC, {_day(moment)}",
    )


@cache
def stylesheet() -> bytes:
    """Return the one stylesheet of these pages, complete in itself."""
    found = finders.find("css/status.css")
    shared = Path(found).read_text(encoding="utf-8") if isinstance(found, str) else ""
    accent = accent_of_settings()
    own = accent.css if accent else ""
    return f"{shared}\n{render_to_string('statuspage/page.css')}{own}".encode()


def style_address() -> str:
    """Return the stylesheet's address, which changes with what is in it."""
    return f"/status.css?v={hashlib.sha256(stylesheet()).hexdigest()[:8]}"


def _html(template: str, facts: Facts, **context: Any) -> bytes:
    return render_to_string(
        template,
        {
            "name": settings.PORTAL_NAME,
            "url": settings.PORTAL_URL,
            "css": style_address(),
            "now": facts.now,
            **context,
        },
    ).encode("utf-8", "replace")


def _services(facts: Facts) -> list[tuple[str, str]]:
    """Return each public service and how it is, by what we published."""
    states = dict.fromkeys(facts.services, _WORKS)
    for incident in facts.public:
        if incident.live:
            state = _RECOVERS if incident.state == State.MONITORING else _FAILS
            for name in incident.services:
                if states.get(name) != _FAILS:
                    states[name] = state
    return list(states.items())


def _for_you(facts: Facts, incidents: list[Incident], reader: Reader) -> dict[str, Any]:
    """Return what *For you* says: what is going on, then what hit them before."""
    now: list[dict[str, Any]] = [
        {"incident": incident, "hit": hit, "measured": incident.pk in facts.measured}
        for incident, hit in ((one, reader.hits.get(one.pk)) for one in incidents)
        if incident.live
    ]
    # Whom we saw unharmed needs no advice; whom we did not see may.
    harmed = any(hit is None or hit.grade != "not_hit" for hit in (row["hit"] for row in now))
    before = [
        {"incident": incident, "hit": hit}
        for incident in incidents
        if not incident.live
        and (hit := reader.hits.get(incident.pk))
        and hit.grade in HIT_GRADES
        and incident.over_at > facts.now - HISTORY
    ]
    return {
        "now": now,
        "before": before,
        "advice": facts.advices.about("5xx", reader.kind) if harmed else None,
        # Its words are of something that fails right now.
        "still_fails": any(row["incident"].state != State.MONITORING for row in now),
    }


def _errors(facts: Facts, code: str) -> dict[str, Any]:
    pages = {}
    for kind in KINDS:
        advice, status = error_advice(facts, code, kind)
        pages[kind] = errors.build(
            advice,
            known=list(facts.problems),
            name=settings.PORTAL_NAME,
            url=settings.PORTAL_URL,
            status=status,
        ).as_json()
    return pages


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "reference": incident.reference,
        "url": f"{settings.PORTAL_URL}/i/{incident.reference}",
        "title": incident.title,
        "state": incident.state,
        "live": incident.live,
        "services": list(incident.services),
        "cannot": incident.cannot or None,
        "advice": incident.advice or None,
        "started_at": _moment(incident.started_at),
        "known_since": _moment(incident.since),
        "ended_at": None if incident.live else _moment(incident.over_at),
        "next_update_at": _moment(incident.last.next_update_at) if incident.live else None,
        "next_update_late": incident.late,
        "updates": [
            {
                "at": _moment(word.at),
                "state": word.state,
                "text": word.text,
                "advice": word.advice or None,
            }
            for word in incident.words
        ],
    }


def _json(data: dict[str, Any]) -> bytes:
    return orjson.dumps(data)


def _moment(value: datetime | None) -> str | None:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if value else None


def _day(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y}"
