"""Lines about what belongs to customers: contacts, rules and journeys."""

from typing import Any

from apps.customers import columns
from apps.customers.columns import Unreadable
from apps.customers.models import Contact, CustomerJourney, IdentificationRule
from apps.customers.planning.comparing import plain, settle
from apps.customers.planning.known import Known, chunks
from apps.customers.planning.plans import BAD, CHANGED, NEW, Account, Change, Line

Rows = list[tuple[Line, dict[str, Any]]]
Owned = list[tuple[Line, Account, dict[str, Any]]]


def plan_belongings(rows: Rows, known: Known) -> list[Change]:
    """Return what the lines change, contacts first, then rules, then journeys; bad lines are refused."""
    changes: list[Change] = []
    for record, work in (("contact", _contacts), ("rule", _rules), ("journey", _journeys)):
        mine = [(line, values) for line, values in rows if line.record == record]
        if mine:
            work(_owned(mine, known), changes)
    return changes


def _owned(rows: Rows, known: Known) -> Owned:
    """Pair each line with its customer; a line without one is bad."""
    found = []
    for line, values in rows:
        account = known.account(values)
        if account is None:
            line.refuse(
                "external_id",
                "No customer has this id",
                "Add a line for the customer to the file.",
            )
        elif not account.stands:
            number = account.line.number if account.line else 0
            line.refuse(
                "external_id", f"Its customer, line {number}, is bad", "Mend that line first."
            )
        else:
            rest = {k: v for k, v in values.items() if k not in {"external_id", "slug"}}
            found.append((line, account, rest))
    return found


def _contacts(rows: Owned, changes: list[Change]) -> None:
    stored: dict[Any, Contact] = {}
    for some in chunks({account.row.pk for _, account, _ in rows if account.row.pk}):
        for contact in Contact.objects.filter(customer__in=some):
            stored[contact.customer_id, contact.email.lower()] = contact
    seen: dict[Any, int] = {}
    for line, account, values in rows:
        address = values.get("email", "")
        key = (account.row.pk or account, address.lower())
        if not address:
            line.refuse("email", "It is empty", "Write the contact's address.")
            continue
        line.who = f"{line.who} {address}"
        row = stored.get(key)
        if row is None and not values.get("name"):
            line.refuse("name", "A new contact needs a name", "Write it.")
        if not _first(line, key, seen):
            continue
        _change(changes, line, account, row or Contact(), values, new=row is None)


def _rules(rows: Owned, changes: list[Change]) -> None:
    stored: dict[Any, IdentificationRule] = {}
    for some in chunks({values.get("value") or "" for _, _, values in rows}):
        for rule in IdentificationRule.objects.filter(value__in=some):
            stored[rule.attribute, rule.value] = rule
    seen: dict[Any, int] = {}
    for line, account, values in rows:
        key = (values.get("attribute", ""), values.get("value", ""))
        for name, given in zip(("attribute", "value"), key, strict=True):
            if not given:
                line.refuse(name, "It is empty", "Write what the rule looks at and for.")
        try:
            columns.rule_value(*key)
        except Unreadable as problem:
            line.refuse("value", problem.reason, problem.hint)
        row = stored.get(key)
        if row and row.customer_id != account.row.pk:
            line.refuse(
                "value", "A rule of another customer matches this", "Remove that rule first."
            )
        if _first(line, key, seen):
            line.who = f"{line.who} {key[0]} {key[1]}"[:300]
            _change(changes, line, account, row or IdentificationRule(), values, new=row is None)


def _journeys(rows: Owned, changes: list[Change]) -> None:
    stored: dict[Any, CustomerJourney] = {}
    for some in chunks({account.row.pk for _, account, _ in rows if account.row.pk}):
        for journey in CustomerJourney.objects.filter(customer__in=some):
            stored[journey.customer_id, journey.journey] = journey
    seen: dict[Any, int] = {}
    for line, account, values in rows:
        key = (account.row.pk or account, values.get("journey", ""))
        if not key[1]:
            line.refuse("journey", "It is empty", "Write the journey's name.")
        row = stored.get(key) or CustomerJourney()
        value = values.get("value", row.value)
        if value is not None and not values.get("currency", row.currency):
            line.refuse("currency", "A value needs a currency", "Write such as EUR.")
        if _first(line, key, seen):
            line.who = f"{line.who} {key[1]}"
            _change(changes, line, account, row, values, new=row.pk is None)


def _first(line: Line, key: Any, seen: dict[Any, int]) -> bool:
    if line.outcome == BAD:
        return False
    if key in seen:
        line.refuse("", f"It says what line {seen[key]} says", "Take one of them out.")
        return False
    seen[key] = line.number
    return True


def _change(
    changes: list[Change],
    line: Line,
    account: Account,
    row: Any,
    values: dict[str, Any],
    *,
    new: bool,
) -> None:
    if not new and "email" in values:
        values = {k: v for k, v in values.items() if k != "email"} | (
            {} if values["email"].lower() == row.email.lower() else {"email": values["email"]}
        )
    before: dict[str, Any] = {}
    settle(line, row, values, before, new=new)
    if line.outcome in {NEW, CHANGED}:
        after = {name: plain(getattr(row, name)) for name in before or values}
        changes.append(Change(line, account, row, before, after))
