"""`/api/v1/customers`: customers for programs, read page by page, put whole, imported from CSV.

A body is read exactly as a file's lines are: the same columns, the same reasons.
"""

import base64
import binascii
import hashlib
import io
from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.models import ApiKey, Scope
from apps.customers import exporting, sheet
from apps.customers.applying import carry_out
from apps.customers.columns import CONTACT, CUSTOMER, JOURNEY, KEY, RULE
from apps.customers.models import Customer
from apps.customers.planning import BAD, SAME, Plan, plan

MOST_ON_A_PAGE = 200
LISTS = {
    "contacts": ("contact", CONTACT),
    "rules": ("rule", RULE),
    "journeys": ("journey", JOURNEY),
}
NUMBERS = frozenset(
    {
        "end_users_count",
        "bears_outage_minutes",
        "bears_delay_seconds",
        "bears_loss_count",
        "position",
    }
)
YES_NO = frozenset({"archived", "do_not_contact", "enabled"})
MOST_JSON = 2**20


class Refusal(Exception):
    """The request is not answered; `status` says why to a program, the words to a person."""

    def __init__(self, status: int, code: str, message: str, hint: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint, self.more = (
            status,
            code,
            message,
            hint,
            more,
        )


class KeyView(APIView):  # type: ignore[misc]  # DRF brings no types
    """An address for keys: no session, no cookie; errors in the API's one form."""

    authentication_classes: Sequence[Any] = ()
    permission_classes: Sequence[Any] = ()
    parser_classes: Sequence[Any] = ()  # each address reads its body itself, with its own limits
    renderer_classes = (JSONRenderer,)
    key: ApiKey

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002  (DRF's signature)
        """Answer JSON whatever is asked for."""
        return JSONRenderer(), JSONRenderer.media_type

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let only keys pass that may read, or manage when something is written."""
        super().initial(request, *args, **kwargs)
        if request.method is not None and request.method.lower() not in self.http_method_names:
            return
        writes = request.method not in {"GET", "HEAD", "OPTIONS"}
        scopes = [Scope.MANAGE] if writes else [Scope.READ, Scope.MANAGE]
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal(401, "no_key", "There is no API key", "Send Authorization: Bearer KEY.")
        now = timezone.now()
        for scope in scopes:
            if key := ApiKey.objects.authenticate(token.strip(), scope=scope, now=now):
                self.key = key
                return
        raise Refusal(
            401, "bad_key", f"This API key is not known, is revoked, or may not {scopes[0]}",
            f"Ask an administrator for a key with the scope {scopes[0]}.",
        )  # fmt: skip

    def handle_exception(self, exc: Exception) -> HttpResponse:
        """Word every error in the one form."""
        if isinstance(exc, Refusal):
            found = exc
        elif isinstance(exc, Http404):
            found = Refusal(404, "not_found", "There is no such customer", "Check the id.")
        elif isinstance(exc, APIException):
            found = Refusal(
                exc.status_code, str(exc.get_codes()), str(exc.detail), "See the documentation."
            )
        elif isinstance(exc, UnreadablePostError):
            found = Refusal(400, "cut_off", "The body ended before its end", "Send it again.")
        elif isinstance(exc, DatabaseError | InterfaceError):
            found = Refusal(
                503,
                "unavailable",
                "The database did not take it; nothing was applied",
                "Send it again later.",
            )
        else:
            raise exc
        answer = _json(
            {
                "error": {"code": found.code, "message": found.message, "hint": found.hint},
                **found.more,
            },
            found.status,
        )
        if found.status == 401:
            answer["WWW-Authenticate"] = 'Bearer realm="customers"'
        if found.status == 503:
            answer["Retry-After"] = "5"
        if found.status == 405:
            answer["Allow"] = ", ".join(self.allowed_methods)
        return answer


class Customers(KeyView):
    """`/api/v1/customers`."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: Request) -> HttpResponse:
        """List customers by id of ours, a page at a time; `next` is the cursor of the next page."""
        limit = request.GET.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit[:4]) <= MOST_ON_A_PAGE:
            raise Refusal(400, "bad_limit", "The limit cannot be read", f"1 to {MOST_ON_A_PAGE}.")
        most = int(limit)
        rows = Customer.objects.filter(pk__gt=_after(request.GET.get("cursor", "")))
        if tag := request.GET.get("tag"):
            rows = rows.filter(tags__contains=[tag.replace("\0", "")])
        found = list(rows.order_by("pk").values_list("pk", flat=True)[: most + 1])
        told = _as_json(found[:most])
        more = found[most - 1] if len(found) > most else None
        return _json({"customers": told, "next": _cursor(more) if more else None})

    def post(self, request: Request) -> HttpResponse:
        """Make a customer."""
        body = _object(request)
        name = body.get("external_id")
        if not isinstance(name, str) or not name.strip():
            raise Refusal(
                422,
                "no_external_id",
                "A customer needs an external_id",
                "Send the id that you know it by.",
            )
        if Customer.objects.filter(external_id=name.strip().replace("\0", "")).exists():
            raise Refusal(
                409, "exists", "There is a customer with this external_id", "PUT changes it."
            )
        return self._put(body)

    def _put(self, body: dict[str, Any]) -> HttpResponse:
        entries, places = _entries(body)
        target = f"key {self.key.name}"
        done = carry_out(lambda: entries, user=None, now=timezone.now(), target=target, whole=True)
        if done.counts[BAD]:
            raise Refusal(
                422, "bad_values", "Some values cannot be taken; nothing was applied", "See errors.",
                errors=_errors(done, places),
            )  # fmt: skip
        told = _as_json([done.accounts[0].row.pk])[0]
        answer = _json(told, 201 if done.accounts[0].new else 200)
        answer["ETag"] = _tag(told)
        answer["Location"] = reverse("customers_api:one", args=[told["external_id"]])
        return answer


class OneCustomer(Customers):
    """`/api/v1/customers/<external_id>`."""

    http_method_names = ["get", "head", "put"]

    def get(self, request: Request, external_id: str = "") -> HttpResponse:
        """Return a customer with all that belongs to it, and its ETag."""
        told = self._told(external_id)
        tag = _tag(told)
        same = tag in _tags(request.headers.get("If-None-Match", ""))
        answer = HttpResponse(status=304) if same else _json(told)
        answer["ETag"] = tag
        return answer

    def put(self, request: Request, external_id: str) -> HttpResponse:
        """Make or change the customer: what the body names, to what it says; again, it changes nothing."""
        body = _object(request)
        if str(body.get("external_id", external_id)).strip() != external_id:
            raise Refusal(
                422,
                "other_id",
                "The body names another external_id",
                "Leave it out, or send the same.",
            )
        if wanted := _tags(request.headers.get("If-Match", "")):
            try:
                tag = _tag(self._told(external_id))
            except Http404:
                tag = ""
            if tag not in wanted and not ("*" in wanted and tag):
                raise Refusal(
                    412,
                    "changed",
                    "It is not as it was when you read it",
                    "GET it again, and decide anew.",
                )
        return self._put(body | {"external_id": external_id})

    def _told(self, external_id: str) -> dict[str, Any]:
        row = Customer.objects.filter(external_id=external_id.replace("\0", "")).first()
        if row is None:
            raise Http404
        return _as_json([row.pk])[0]


class Import(KeyView):
    """`/api/v1/customers/import`."""

    http_method_names = ["post"]

    def post(self, request: Request) -> HttpResponse:
        """Take in a CSV file; `?dry_run=1` only says what would change. Good lines go in, bad ones are named."""
        most = min(sheet.MOST_BYTES, settings.PORTAL_MAX_BODY)
        raw = _body(request, most, "Send it in several files, or upload it in the console.")
        dry = request.GET.get("dry_run", "0") not in {"0", "", "false", "no"}
        now = timezone.now()
        try:
            if dry:
                done = plan(sheet.read(io.BytesIO(raw)), now=now)
            else:
                done = carry_out(
                    lambda: sheet.read(io.BytesIO(raw)),
                    user=None,
                    now=now,
                    target=f"key {self.key.name}",
                )
        except sheet.UnreadableSheet as problem:
            raise Refusal(422, "unreadable", problem.message, problem.hint) from problem
        return _json(
            {
                "dry_run": dry,
                "counts": done.counts,
                "errors": [one.as_json() for one in done.lines if one.outcome == BAD],
                "lines": [one.as_json() for one in done.lines if one.outcome not in {BAD, SAME}]
                if dry
                else [],
            }
        )


def _errors(done: Plan, places: list[str]) -> list[dict[str, str]]:
    return [
        {"in": place, "column": line.column, "reason": line.reason, "hint": line.hint}
        for place, line in zip(places, done.lines, strict=True)
        if line.outcome == BAD
    ]


def _body(request: Request, most: int, hint: str) -> bytes:
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


def _object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(_body(request, MOST_JSON, "Import a file instead."))
    except orjson.JSONDecodeError as problem:
        raise Refusal(400, "invalid_json", "The body is no JSON", "Send an object.") from problem
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body is no JSON object", "Send an object.")
    return body


def _entries(body: dict[str, Any]) -> tuple[list[sheet.Entry], list[str]]:
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


def _as_json(pks: list[int]) -> list[dict[str, Any]]:
    """Return the customers as the API tells them, from the same rows as an export."""
    told: list[dict[str, Any]] = []
    for row in exporting.rows(Customer.objects.filter(pk__in=pks)):
        record = row["record"]
        if record == "customer":
            fields: dict[str, Any] = {
                one.name: _value(one.name, row.get(one.name, "")) for one in (*KEY, *CUSTOMER)
            }
            fields["tags"] = [tag for tag in row["tags"].split(", ") if tag]
            told.append(fields | {name: [] for name in LISTS})
        else:
            name = next(name for name, (kind, _) in LISTS.items() if kind == record)
            told[-1][name].append(
                {one.name: _value(one.name, row.get(one.name, "")) for one in LISTS[name][1]}
            )
    return told


def _value(name: str, cell: str) -> Any:
    if name in NUMBERS:
        return int(cell) if cell else None
    if name in YES_NO:
        return cell == "yes"
    return cell


def _tag(told: dict[str, Any]) -> str:
    return f'"{hashlib.sha256(orjson.dumps(told)).hexdigest()[:32]}"'


def _tags(header: str) -> list[str]:
    return [one.strip().removeprefix("W/") for one in header.split(",") if one.strip()]


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(str(pk).encode()).decode().rstrip("=")


def _after(cursor: str) -> int:
    try:
        pk = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode() if cursor else "0"
    except (binascii.Error, ValueError):
        pk = ""
    if not pk.isdecimal() or not pk.isascii() or int(pk[:20]) >= 2**63:
        raise Refusal(400, "bad_cursor", "This cursor is not ours", "Begin without one.")
    return int(pk)


def _json(told: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(
        orjson.dumps(told),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


customers = login_not_required(Customers.as_view())
one_customer = login_not_required(OneCustomer.as_view())
imports = login_not_required(Import.as_view())
