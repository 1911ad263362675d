"""What a body may say: read within its limit, turned into the lines that a file would have."""

from typing import Any

import orjson
from rest_framework.request import Request

from apps.customers import sheet
from apps.customers.api.keys import Refusal
from apps.customers.api.telling import LISTS
from apps.customers.columns import CUSTOMER, KEY
from apps.customers.planning import BAD, Plan

MOST_JSON = 2**20


def read_body(request: Request, most: int, hint: str) -> bytes:
    """Return the body's bytes; raise Refusal for one that is too long, in chunks, or cut off."""
    if "Transfer-Encoding" in request.headers:
        raise Refusal(
            411,
            "length_required",
            "The body comes in chunks, without its length",
            "Send Content-Length.",
        )
    raw: bytes = request._request.read(most + 1)  # noqa: SLF001  (DRF would read all of it)
    if len(raw) > most:
        raise Refusal(413, "too_large", f"A body may have {most >> 20} MiB", hint)
    length = request.headers.get("Content-Length") or "0"
    if length.isdecimal() and len(raw) < int(length[:20]):
        raise Refusal(
            400, "cut_off", "The body ended before its end; nothing was applied", "Send it again."
        )
    return raw


def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that the body is, or raise Refusal."""
    try:
        body = orjson.loads(read_body(request, MOST_JSON, "Import a file instead."))
    except orjson.JSONDecodeError as problem:
        raise Refusal(400, "invalid_json", "The body is no JSON", "Send an object.") from problem
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body is no JSON object", "Send an object.")
    return body


def as_entries(body: dict[str, Any]) -> tuple[list[sheet.Entry], list[str]]:
    """Turn a body into the lines that a file would have, and say where each stands in the body."""
    names = {one.name for one in (*KEY, *CUSTOMER)}
    for name in body:
        if name not in names and name not in LISTS:
            raise Refusal(
                422, "unknown_field", f"“{str(name)[:40]}” is not known",
                f"Fields are: {', '.join([*sorted(names), *LISTS])}.",
            )  # fmt: skip
    key = {"external_id": _cell(body["external_id"])}
    mine = {name: _cell(value) for name, value in body.items() if name in names}
    entries, places = [sheet.Entry(1, "customer", mine)], ["customer"]
    for name, (record, columns) in LISTS.items():
        given = body.get(name, [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise Refusal(422, "bad_list", f"{name} is no list of objects", "Send [{…}, …].")
        allowed = {one.name for one in columns}
        for number, one in enumerate(given):
            if extra := next((field for field in one if field not in allowed), None):
                raise Refusal(
                    422, "unknown_field", f"“{str(extra)[:40]}” is not known in {name}",
                    f"Fields are: {', '.join(sorted(allowed))}.",
                )  # fmt: skip
            cells = {field: _cell(value) for field, value in one.items()} | key
            entries.append(sheet.Entry(len(entries) + 1, record, cells))
            places.append(f"{name}[{number}]")
    return entries, places


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.12f}".rstrip("0").rstrip(".")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    raise Refusal(
        422, "bad_value", "A value is neither text nor number nor list of texts", "Mend it."
    )


def as_errors(done: Plan, places: list[str]) -> list[dict[str, str]]:
    """Return what was wrong with a body, each time with its place in it."""
    return [
        {"in": place, "column": line.column, "reason": line.reason, "hint": line.hint}
        for place, line in zip(places, done.lines, strict=True)
        if line.outcome == BAD
    ]
