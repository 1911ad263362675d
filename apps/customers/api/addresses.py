"""The addresses: the list, one customer, the import."""

import io
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import timezone
from rest_framework.request import Request

from apps.customers import sheet
from apps.customers.api.bodies import as_entries, as_errors, read_body, read_object
from apps.customers.api.keys import KeyView, Refusal, answer_json
from apps.customers.api.telling import after, as_json, cursor_to, tag_of, tags_in
from apps.customers.applying import carry_out
from apps.customers.models import Customer
from apps.customers.planning import BAD, SAME, plan

MOST_ON_A_PAGE = 200


class Customers(KeyView):
    """`/api/v1/customers`."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: Request) -> HttpResponse:
        """List customers by id of ours, a page at a time; `next` is the cursor of the next page."""
        limit = request.GET.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit[:4]) <= MOST_ON_A_PAGE:
            raise Refusal(400, "bad_limit", "The limit cannot be read", f"1 to {MOST_ON_A_PAGE}.")
        most = int(limit)
        rows = Customer.objects.filter(pk__gt=after(request.GET.get("cursor", "")))
        if tag := request.GET.get("tag"):
            rows = rows.filter(tags__contains=[tag.replace("\0", "")])
        found = list(rows.order_by("pk").values_list("pk", flat=True)[: most + 1])
        told = as_json(found[:most])
        more = found[most - 1] if len(found) > most else None
        return answer_json({"customers": told, "next": cursor_to(more) if more else None})

    def post(self, request: Request) -> HttpResponse:
        """Make a customer."""
        body = read_object(request)
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
        entries, places = as_entries(body)
        target = f"key {self.key.name}"
        done = carry_out(lambda: entries, user=None, now=timezone.now(), target=target, whole=True)
        if done.counts[BAD]:
            raise Refusal(
                422, "bad_values", "Some values cannot be taken; nothing was applied", "See errors.",
                errors=as_errors(done, places),
            )  # fmt: skip
        told = as_json([done.accounts[0].row.pk])[0]
        answer = answer_json(told, 201 if done.accounts[0].new else 200)
        answer["ETag"] = tag_of(told)
        answer["Location"] = reverse("customers_api:one", args=[told["external_id"]])
        return answer


class OneCustomer(Customers):
    """`/api/v1/customers/<external_id>`."""

    http_method_names = ["get", "head", "put"]

    def get(self, request: Request, external_id: str = "") -> HttpResponse:
        """Return a customer with all that belongs to it, and its ETag."""
        told = self._told(external_id)
        tag = tag_of(told)
        same = tag in tags_in(request.headers.get("If-None-Match", ""))
        answer = HttpResponse(status=304) if same else answer_json(told)
        answer["ETag"] = tag
        return answer

    def put(self, request: Request, external_id: str) -> HttpResponse:
        """Make or change the customer: what the body names, to what it says; again, it changes nothing."""
        body = read_object(request)
        if str(body.get("external_id", external_id)).strip() != external_id:
            raise Refusal(
                422,
                "other_id",
                "The body names another external_id",
                "Leave it out, or send the same.",
            )
        if wanted := tags_in(request.headers.get("If-Match", "")):
            try:
                tag = tag_of(self._told(external_id))
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
        return as_json([row.pk])[0]


class Import(KeyView):
    """`/api/v1/customers/import`."""

    http_method_names = ["post"]

    def post(self, request: Request) -> HttpResponse:
        """Take in a CSV file; `?dry_run=1` only says what would change. Good lines go in, bad ones are named."""
        most = min(sheet.MOST_BYTES, settings.PORTAL_MAX_BODY)
        raw = read_body(request, most, "Send it in several files, or upload it in the console.")
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
        return answer_json(
            {
                "dry_run": dry,
                "counts": done.counts,
                "errors": [one.as_json() for one in done.lines if one.outcome == BAD],
                "lines": [one.as_json() for one in done.lines if one.outcome not in {BAD, SAME}]
                if dry
                else [],
            }
        )


customers = login_not_required(Customers.as_view())
one_customer = login_not_required(OneCustomer.as_view())
imports = login_not_required(Import.as_view())
