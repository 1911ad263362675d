"""The audit log: read, filtered, taken along, and checked."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import chain, queries
from apps.accounts.access import PortalRequest, allowed
from apps.accounts.forms import AuditFilter
from apps.accounts.models import AuditCheck, AuditEvent, How
from apps.accounts.views.common import see
from apps.core.http import render_partial

READ = "audit.read"

COLUMNS = (
    "position",
    "at",
    "person",
    "name",
    "action",
    "target",
    "before",
    "after",
    "address",
    "agent",
    "digest",
)
#: Rows that an export reads at once.
CHUNK = 2_000


@allowed(READ)
@require_safe
def log(request: PortalRequest) -> HttpResponse:
    """Show who did what, the newest first."""
    form = AuditFilter(request.GET)
    wishes = form.wishes()
    page = Paginator(queries.audit_log(**wishes), 50).get_page(request.GET.get("page"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "page": page,
        "form": form,
        "wishes": wishes,
        "filtered": any(wishes.values()),
        "names": queries.names_of(page.object_list),
        "checked": AuditCheck.objects.select_related("by").order_by("-pk").first(),
        "query": query.urlencode(),
        "now": timezone.now(),
    }
    return render_partial(request, "accounts/audit.html", "results", context)


@allowed(READ)
@require_POST
def check(request: PortalRequest) -> HttpResponse:
    """Verify the log now."""
    chain.check(how=How.PAGE, now=timezone.now(), by=request.user)
    return see("audit")


@allowed(READ)
@require_safe
def export_csv(request: PortalRequest) -> StreamingHttpResponse:
    """Give the filtered log as CSV, row by row."""
    writer = csv.writer(_Echo())
    head: list[str] = [writer.writerow(COLUMNS)]
    rows = (writer.writerow([_cell(row[name]) for name in COLUMNS]) for row in _rows(request))
    return _download(_chain(head, rows), "text/csv; charset=utf-8", "audit.csv")


@allowed(READ)
@require_safe
def export_ndjson(request: PortalRequest) -> StreamingHttpResponse:
    """Give the filtered log as one JSON object a line."""
    rows = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in _rows(request))
    return _download(rows, "application/x-ndjson", "audit.ndjson")


def _download(rows: Iterable[str], kind: str, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(rows, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


def _chain(*parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        yield from part


def _rows(request: PortalRequest) -> Iterator[dict[str, Any]]:
    wishes = AuditFilter(request.GET).wishes()
    for event in queries.audit_log(**wishes).iterator(chunk_size=CHUNK):
        yield _plain(event)


def _plain(event: AuditEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "at": event.at.isoformat(),
        "person": event.user.email if event.user else None,
        "name": event.user.name if event.user else None,
        "action": event.action,
        "target": event.target,
        "before": event.before,
        "after": event.after,
        "address": event.address,
        "agent": event.agent,
        "digest": event.digest,
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)
    text = str(text)
    # A spreadsheet takes a cell that begins so for a formula.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class _Echo:
    """Where csv writes: it hands the line back."""

    def write(self, line: str) -> str:
        return line
