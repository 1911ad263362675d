"""What an answer says: customers as JSON, their ETags, and the cursors between pages."""

import base64
import binascii
import hashlib
from typing import Any

import orjson

from apps.customers import exporting
from apps.customers.api.keys import Refusal
from apps.customers.columns import CONTACT, CUSTOMER, JOURNEY, KEY, RULE
from apps.customers.models import Customer

#: What a customer has lists of -> (the record of a file's line, its columns).
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


def as_json(pks: list[int]) -> list[dict[str, Any]]:
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


def tag_of(told: dict[str, Any]) -> str:
    """Return the ETag of a customer as it is told."""
    return f'"{hashlib.sha256(orjson.dumps(told)).hexdigest()[:32]}"'


def tags_in(header: str) -> list[str]:
    """Return the ETags that a header names."""
    return [one.strip().removeprefix("W/") for one in header.split(",") if one.strip()]


def cursor_to(pk: int) -> str:
    """Return the cursor of the page that begins after this id of ours."""
    return base64.urlsafe_b64encode(str(pk).encode()).decode().rstrip("=")


def after(cursor: str) -> int:
    """Return the id that a cursor's page begins after; raise Refusal for one that is not ours."""
    try:
        pk = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode() if cursor else "0"
    except (binascii.Error, ValueError):
        pk = ""
    if not pk.isdecimal() or not pk.isascii() or int(pk[:20]) >= 2**63:
        raise Refusal(400, "bad_cursor", "This cursor is not ours", "Begin without one.")
    return int(pk)
