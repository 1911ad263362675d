"""The answer to `GET /errors/<code>`: built from advice, filled in per request. No database, no Django request.

`build` makes what is the same for everybody; `answer` adds what is not: when to try again (spread
at random, so that those who failed together do not come back together), the request id, the status.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from django.template.loader import render_to_string
from django.utils.html import escape

from apps.core.accent import accent_of_settings
from apps.customers.models import Kind
from apps.guidance.codes import is_status, is_well_formed
from apps.guidance.models import Advice
from apps.guidance.queries import Problem

FORMATS = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
}
_CODE, _WAIT, _REQUEST = "%%code%%", "%%wait%%", "%%request%%"
_REQUEST_PART = re.compile(r"<!--request-->.*?<!--/request-->", re.DOTALL)
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")


class BadQuestion(ValueError):
    """The address asks for something that cannot be; the message says what."""


@dataclass(frozen=True, kw_only=True)
class ErrorPage:
    """One code's answer to one kind of customer, in every format, before it is filled in."""

    status: int  # 200, or 404 where we have nothing on the code
    html: str
    text: str
    data: dict[str, Any]
    wait: tuple[int, int] | None  # seconds from, to

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ErrorPage":
        """Return the page that was written with `as_json`."""
        return cls(**{**data, "wait": tuple(data["wait"]) if data["wait"] else None})


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a request asks for."""

    code: str
    kind: str  # "" for anyone
    format: str
    request_id: str
    status: int | None  # answer with this status instead of our own


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def question(environ: Mapping[str, Any], *, code: str, kind: str = "") -> Question:
    """Read what is asked from a WSGI environ (Django's `request.META`).

    `kind` is whom we take the asker for when they do not say. Without a code in the path, a proxy
    that answers errors with this page names it in X-Original-Status. Raises BadQuestion.
    """
    try:
        query = parse_qs(
            environ.get("QUERY_STRING", ""), keep_blank_values=False, max_num_fields=20
        )
    except ValueError:
        raise BadQuestion("The address has too many parameters.") from None
    original = str(environ.get("HTTP_X_ORIGINAL_STATUS", ""))
    code = code or original
    if not is_well_formed(code):
        raise BadQuestion("An error code is up to 60 letters, digits, hyphens and underscores.")
    kind = query.get("kind", [kind])[0]
    if kind and kind not in Kind.values:
        raise BadQuestion(f"“kind” is one of {', '.join(Kind.values)}.")
    wanted = query.get("format", [""])[0] or _preferred(str(environ.get("HTTP_ACCEPT", "")))
    if wanted not in FORMATS:
        raise BadQuestion(f"“format” is one of {', '.join(FORMATS)}.")
    request_id = query.get("request_id", [""])[0] or str(environ.get("HTTP_X_REQUEST_ID", ""))
    status = None
    if query.get("keep_status") == ["1"]:
        status = next((int(name) for name in (original, code) if is_status(name)), None)
    return Question(
        code=code,
        kind=kind,
        format=wanted,
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else "",
        status=status,
    )


def build(
    advice: Advice, *, known: list[Problem] | None, name: str, url: str, status: int = 200
) -> ErrorPage:
    """Return the page of one advice. `known` is None when we cannot say what is known just now.

    `name` and `url` are the portal's; links are absolute, since another site may show the page.
    """
    wait = None
    if advice.retry_from_s is not None and advice.retry_to_s is not None:
        wait = (advice.retry_from_s, advice.retry_to_s)
    context = {
        "advice": advice,
        "known": known,
        "name": name,
        "url": url,
        "wait": wait,
        "style": style(),
        "code": _CODE,
        "wait_token": _WAIT,
        "request_token": _REQUEST,
    }
    data = {
        "code": "",
        "kind": advice.kind or None,
        "title": advice.title,
        "what_happened": advice.what_happened,
        "what_to_do": advice.what_to_do,
        "tell_your_customers": advice.tell_your_customers or None,
        "retry_after_seconds": None,
        "request_id": None,
        "known": None if known is None else [_problem(problem, url) for problem in known],
        "status_page": f"{url}/",
    }
    return ErrorPage(
        status=status,
        html=render_to_string("guidance/error.html", context),
        text=render_to_string("guidance/error.txt", context),
        data=data,
        wait=wait,
    )


def answer(page: ErrorPage, asked: Question) -> Answer:
    """Return `page` filled in for one request."""
    wait = None
    if page.wait is not None:
        low, high = page.wait
        wait = low + secrets.randbelow(high - low + 1)
    if asked.format == "json":
        body = json.dumps(
            {
                **page.data,
                "code": asked.code,
                "retry_after_seconds": wait,
                "request_id": asked.request_id or None,
            },
            ensure_ascii=False,
        )
    else:
        body = _filled(page.html if asked.format == "html" else page.text, asked, wait)
    headers = list(_headers(asked.format))
    if wait is not None:
        headers.append(("Retry-After", str(wait)))
    return Answer(
        status=asked.status or page.status,
        headers=tuple(headers),
        body=body.encode("utf-8", "replace"),
    )


def refusal(problem: BadQuestion) -> Answer:
    """Return the 400 for a question that cannot be."""
    return Answer(status=400, headers=_headers("text"), body=f"{problem}\n".encode())


def words(seconds: int) -> str:
    """Return a wait as people say it."""
    if seconds == 1:
        return "1 second"
    return f"{seconds} seconds" if seconds < 180 else f"{round(seconds / 60)} minutes"


@cache
def style() -> str:
    """Return the style of the page; it travels inside it, since nothing else may be up."""
    found = render_to_string("guidance/error.css").strip()
    if accent := accent_of_settings():
        found += f":root{{--accent:light-dark({accent.light.accent},{accent.dark.accent})}}"
    return found


@cache
def content_security_policy() -> str:
    """Return a policy that allows our one style, by its hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


def _headers(wanted: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", FORMATS[wanted]),
        ("Content-Language", "en"),
        # Each answer carries its own second to come back at.
        ("Cache-Control", "no-store"),
        ("Vary", "Accept, Cookie"),
        # Applications on other origins show this at the moment of the error.
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Expose-Headers", "Retry-After"),
        ("Content-Security-Policy", content_security_policy()),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Robots-Tag", "noindex"),
    )


def _filled(template: str, asked: Question, wait: int | None) -> str:
    safe = escape if asked.format == "html" else str
    if not asked.request_id:
        template = _REQUEST_PART.sub("", template)
    if asked.format == "text":
        template = template.replace("<!--request-->", "").replace("<!--/request-->", "")
    return (
        template.replace(_WAIT, "" if wait is None else words(wait))
        .replace(_CODE, safe(asked.code))
        .replace(_REQUEST, safe(asked.request_id))
    )


def _problem(problem: Problem, url: str) -> dict[str, Any]:
    def moment(value: datetime | None) -> str | None:
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else None

    return {
        "reference": problem.reference,
        "title": problem.title,
        "since": moment(problem.since),
        "next_update_at": moment(problem.next_update_at),
        "url": f"{url}/i/{problem.reference}",
    }


def _preferred(accept: str) -> str:
    """Return the format that an Accept header likes best; a page where it does not say."""
    offered = {"text/html": "html", "application/json": "json", "text/plain": "text"}
    best, best_q = "html", 0.0
    for part in accept.split(",")[:20]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        q = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    q = float(parameter[2:])
                except ValueError:
                    q = 0.0
        if name in offered and q > best_q:
            best, best_q = offered[name], q
    return best
