"""What a file or a body would change: every line new, changed, the same, or bad, and why. Nothing here writes."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.models import User
from apps.customers import columns
from apps.customers.columns import Unreadable
from apps.customers.models import Contact, Customer, CustomerJourney, IdentificationRule
from apps.customers.sheet import Entry, readable

CHUNK = 5000
NEW, CHANGED, SAME, BAD = "new", "changed", "same", "bad"
OUTCOMES = (NEW, CHANGED, SAME, BAD)
Model = Customer | Contact | IdentificationRule | CustomerJourney


@dataclass
class Line:
    """What becomes of one line."""

    number: int
    record: str
    who: str
    outcome: str = ""
    fields: list[str] = field(default_factory=list)
    column: str = ""
    reason: str = ""
    hint: str = ""

    def refuse(self, column: str, reason: str, hint: str) -> None:
        """Name the line as bad; the first reason stands."""
        if self.outcome != BAD:
            self.outcome, self.column, self.reason, self.hint = BAD, column, reason, hint
            self.fields = []

    def as_json(self) -> dict[str, Any]:
        """Return the line as the API and the command tell it."""
        told: dict[str, Any] = {
            "line": self.number,
            "record": self.record,
            "id": self.who,
            "outcome": self.outcome,
        }
        if self.outcome == BAD:
            return told | {"column": self.column, "reason": self.reason, "hint": self.hint}
        return told | ({"fields": self.fields} if self.fields else {})


@dataclass(eq=False)
class Account:
    """A customer that lines are about: one that is there, or one that the file brings."""

    row: Customer
    new: bool = False
    line: Line | None = None
    values: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it is there, or will be."""
        return not self.new or (self.line is not None and self.line.outcome != BAD)


@dataclass(eq=False)
class Change:
    """A contact, rule or journey that a line makes or changes."""

    line: Line
    account: Account
    row: Contact | IdentificationRule | CustomerJourney
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass
class Plan:
    """All lines, and what they would write."""

    lines: list[Line] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines there are of each outcome."""
        found = Counter(line.outcome for line in self.lines)
        return {outcome: found[outcome] for outcome in OUTCOMES}


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the values in lists that a query can hold."""
    listed = list(values)
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


def plan(entries: Iterable[Entry], *, now: Any) -> Plan:
    """Return what the entries would change, against what stands in the database now."""
    return _Planner(now).plan(entries)


class _Planner:
    def __init__(self, now: Any) -> None:
        self.now = now
        self.done = Plan()
        self.read: list[tuple[Line, dict[str, Any]]] = []
        self.by_id: dict[str, Account] = {}
        self.by_slug: dict[str, Account] = {}

    def plan(self, entries: Iterable[Entry]) -> Plan:
        for entry in entries:
            self._take(entry)
        good = [(line, values) for line, values in self.read if line.outcome != BAD]
        self._find_customers(good)
        for line, values in good:
            if line.record == "customer":
                self._customer(line, values)
        self._managers()
        self._parents()
        self._compare_customers()
        for record, work in (
            ("contact", self._contacts),
            ("rule", self._rules),
            ("journey", self._journeys),
        ):
            rows = [(line, values) for line, values in good if line.record == record]
            if rows:
                work(self._owned(rows))
        return self.done

    def _take(self, entry: Entry) -> None:
        cells = entry.cells
        who = (cells.get("external_id") or cells.get("slug") or "").strip()
        line = Line(entry.line, entry.record, readable(who[:200]))
        self.done.lines.append(line)
        if entry.trouble:
            line.refuse(*entry.trouble)
            return
        values, wrong = columns.read(entry.record, cells)
        for column, problem in wrong:
            line.refuse(column, problem.reason, problem.hint)
        if not who:
            line.refuse("external_id", "It is empty", "Write the id that you know the customer by.")
        self.read.append((line, values))

    def _find_customers(self, good: list[tuple[Line, dict[str, Any]]]) -> None:
        ids = {values.get("external_id") for _, values in good}
        slugs = {values.get("slug") for _, values in good}
        for _, values in good:
            parent = values.get("parent") or ""
            ids.add(parent)
            slugs.add(parent.removeprefix("slug:") if parent.startswith("slug:") else "")
        for wanted, column in ((ids, "external_id"), (slugs, "slug")):
            for some in chunks(sorted(filter(None, wanted))):
                for row in Customer.objects.filter(**{f"{column}__in": some}).select_related(
                    "parent", "account_manager"
                ):
                    self._know(Account(row))

    def _know(self, account: Account) -> None:
        if account.row.slug in self.by_slug:
            return
        if account.row.slug:
            self.by_slug[account.row.slug] = account
        if account.row.external_id:
            self.by_id[account.row.external_id] = account

    def _account(self, values: dict[str, Any]) -> Account | None:
        if external_id := values.get("external_id"):
            return self.by_id.get(external_id)
        return self.by_slug.get(values.get("slug", ""))

    # customers

    def _customer(self, line: Line, values: dict[str, Any]) -> None:
        account = self._account(values)
        named = values.get("slug")
        if account is None and named and (other := self.by_slug.get(named)):
            if other.row.external_id or other.line:
                line.refuse("slug", "Another customer has this address", "Leave the cell empty.")
                return
            account = other  # it has no external id yet: this is the one
        if account and account.line:
            line.refuse(
                "external_id",
                f"Line {account.line.number} is about this customer already",
                "Put everything into one line.",
            )
            return
        if account is None:
            row = Customer(external_id=values.get("external_id") or None, slug=named or "")
            account = Account(row, new=True)
        elif named and named != account.row.slug:
            line.refuse("slug", "This customer has another address", "Leave the cell empty.")
            return
        account.line, account.values = line, values
        self.done.accounts.append(account)
        if account.new:
            self._bring(account, line)

    def _bring(self, account: Account, line: Line) -> None:
        for needed in ("name", "kind"):
            if not account.values.get(needed):
                line.refuse(
                    needed, f"A new customer needs a {needed}", "Write it, or check the id."
                )
        if account.row.external_id:
            self.by_id[account.row.external_id] = account
        if account.row.slug:
            self.by_slug[account.row.slug] = account

    def _managers(self) -> None:
        wanted = {
            one.values["account_manager"].lower()
            for one in self.done.accounts
            if one.values.get("account_manager")
        }
        known: dict[str, User] = {}
        for some in chunks(sorted(wanted)):
            known |= {
                user.email.lower(): user
                for user in User.objects.filter(email__in=some, is_active=True)
                if user.can("customer.own")
            }
        for one in self.done.accounts:
            address = one.values.get("account_manager")
            if not address or one.line is None:
                continue
            if manager := known.get(address.lower()):
                one.values["account_manager"] = manager
            elif one.row.account_manager and one.row.account_manager.email == address.lower():
                one.values["account_manager"] = one.row.account_manager  # as it is
            else:
                one.line.refuse(
                    "account_manager",
                    "Nobody who may look after customers signs in with this address",
                    "Invite them first, or leave the cell empty.",
                )

    def _parents(self) -> None:
        for one in self.done.accounts:
            if (name := one.values.get("parent")) and one.line:
                self._hang(one, one.line, name)
        self._break_circles()
        self._lose_children()

    def _hang(self, one: Account, line: Line, name: str) -> None:
        parent = self.by_id.get(name)
        if parent is None and name.startswith("slug:"):
            parent = self.by_slug.get(name.removeprefix("slug:"))
        if parent is None:
            line.refuse(
                "parent", "This parent is not known", "Write the external_id of a customer."
            )
        else:
            one.values["parent"] = parent

    def _break_circles(self) -> None:
        hanging = [one for one in self.done.accounts if "parent" in one.values and one.line]
        if not any(isinstance(one.values["parent"], Account) for one in hanging):
            return
        stored = dict(Customer.objects.exclude(parent=None).values_list("pk", "parent_id"))
        found = True
        while found:
            found = False
            above: dict[Any, Any] = dict(stored)
            place: dict[Any, Line] = {}
            for one in hanging:
                if one.line and one.line.outcome != BAD:
                    place[_node(one)] = one.line
                    parent = one.values["parent"]
                    above[_node(one)] = _node(parent) if isinstance(parent, Account) else None
            for line in [place[key] for key in _in_circles(above) if key in place]:
                found = True
                line.refuse(
                    "parent", "It would be part of itself", "Name one that is not below it."
                )

    def _lose_children(self) -> None:
        """What hangs on a new customer that is not taken is not taken either."""
        below = defaultdict(list)
        for one in self.done.accounts:
            if isinstance(parent := one.values.get("parent"), Account):
                below[parent].append(one)
        lost = [one for one in below if not one.stands]
        while lost:
            for child in below.get(lost.pop(), []):
                if child.line and child.line.outcome != BAD:
                    child.line.refuse("parent", "The line of its parent is bad", "Mend that first.")
                    if child.new:
                        lost.append(child)

    def _compare_customers(self) -> None:
        for one in self.done.accounts:
            line = one.line
            if line is None or line.outcome == BAD:
                continue
            wanted = self._wanted(one)
            _settle(line, one.row, wanted, one.before, new=one.new)

    def _wanted(self, one: Account) -> dict[str, Any]:
        wanted = {
            name: value
            for name, value in one.values.items()
            if name not in {"slug", "archived", "parent"}
        }
        if not wanted.get("external_id"):
            wanted.pop("external_id", None)
        if "parent" in one.values:
            parent = one.values["parent"]
            wanted["parent"] = parent.row if isinstance(parent, Account) else None
        if wanted.get("account_manager") == "":
            wanted["account_manager"] = None
        if "archived" in one.values and one.values["archived"] != bool(one.row.archived_at):
            wanted["archived_at"] = self.now if one.values["archived"] else None
        return wanted

    # what belongs to customers

    def _owned(
        self, rows: list[tuple[Line, dict[str, Any]]]
    ) -> list[tuple[Line, Account, dict[str, Any]]]:
        """Pair each line with its customer; a line without one is bad."""
        found = []
        for line, values in rows:
            account = self._account(values)
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

    def _contacts(self, rows: list[tuple[Line, Account, dict[str, Any]]]) -> None:
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
            if not self._first(line, key, seen):
                continue
            self._change(line, account, row or Contact(), values, new=row is None)

    def _rules(self, rows: list[tuple[Line, Account, dict[str, Any]]]) -> None:
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
            if self._first(line, key, seen):
                line.who = f"{line.who} {key[0]} {key[1]}"[:300]
                self._change(line, account, row or IdentificationRule(), values, new=row is None)

    def _journeys(self, rows: list[tuple[Line, Account, dict[str, Any]]]) -> None:
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
            if self._first(line, key, seen):
                line.who = f"{line.who} {key[1]}"
                self._change(line, account, row, values, new=row.pk is None)

    def _first(self, line: Line, key: Any, seen: dict[Any, int]) -> bool:
        if line.outcome == BAD:
            return False
        if key in seen:
            line.refuse("", f"It says what line {seen[key]} says", "Take one of them out.")
            return False
        seen[key] = line.number
        return True

    def _change(
        self, line: Line, account: Account, row: Any, values: dict[str, Any], *, new: bool
    ) -> None:
        if not new and "email" in values:
            values = {k: v for k, v in values.items() if k != "email"} | (
                {} if values["email"].lower() == row.email.lower() else {"email": values["email"]}
            )
        before: dict[str, Any] = {}
        _settle(line, row, values, before, new=new)
        if line.outcome in {NEW, CHANGED}:
            after = {name: _plain(getattr(row, name)) for name in before or values}
            self.done.changes.append(Change(line, account, row, before, after))


def _settle(
    line: Line, row: Model, wanted: dict[str, Any], before: dict[str, Any], *, new: bool
) -> None:
    """Set what is wanted on the row, note what it was, and say on the line what that makes it."""
    for name, value in wanted.items():
        old = getattr(row, name)
        if (old.strip() if isinstance(old, str) else old) != value:
            if not new:
                before[name] = _plain(old)
                line.fields.append("archived" if name == "archived_at" else name)
            setattr(row, name, value)
    line.outcome = NEW if new else CHANGED if line.fields else SAME


def _plain(value: Any) -> Any:
    """Return a value as the audit log keeps it."""
    if value is None or isinstance(value, bool | int | list | str):
        return value
    if isinstance(value, Customer):
        return value.slug
    return str(value)


def _node(account: Account) -> Any:
    return account if account.new else account.row.pk


def _in_circles(above: dict[Any, Any]) -> list[Any]:
    """Return the nodes that are above themselves."""
    done: set[Any] = set()
    found: list[Any] = []
    for start in above:
        path: dict[Any, int] = {}
        node = start
        while node is not None and node not in done and node not in path:
            path[node] = len(path)
            node = above.get(node)
        if node in path:
            found.extend(one for one, place in path.items() if place >= path[node])
        done.update(path)
    return found
