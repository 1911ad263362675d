"""Lines about customers themselves: which customer each is about, and what it would make of it."""

from typing import Any

from apps.accounts.models import User
from apps.customers.models import Customer
from apps.customers.planning import parents
from apps.customers.planning.comparing import settle
from apps.customers.planning.known import Known, chunks
from apps.customers.planning.plans import BAD, Account, Line


class Accounts:
    """The customers that lines are about, in the lines' order."""

    def __init__(self, known: Known, now: Any) -> None:
        self.known = known
        self.now = now
        self.found: list[Account] = []

    def plan(self, rows: list[tuple[Line, dict[str, Any]]]) -> list[Account]:
        """Return whom the good lines are about, the rows as they are wanted; bad lines are refused."""
        for line, values in rows:
            if line.record == "customer":
                self._customer(line, values)
        self._managers()
        parents.hang(self.found, self.known)
        self._compare()
        return self.found

    def _customer(self, line: Line, values: dict[str, Any]) -> None:
        account = self.known.account(values)
        named = values.get("slug")
        if account is None and named and (other := self.known.by_slug.get(named)):
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
        self.found.append(account)
        if account.new:
            self._bring(account, line)

    def _bring(self, account: Account, line: Line) -> None:
        for needed in ("name", "kind"):
            if not account.values.get(needed):
                line.refuse(
                    needed, f"A new customer needs a {needed}", "Write it, or check the id."
                )
        if account.row.external_id:
            self.known.by_id[account.row.external_id] = account
        if account.row.slug:
            self.known.by_slug[account.row.slug] = account

    def _managers(self) -> None:
        wanted = {
            one.values["account_manager"].lower()
            for one in self.found
            if one.values.get("account_manager")
        }
        known: dict[str, User] = {}
        for some in chunks(sorted(wanted)):
            known |= {
                user.email.lower(): user
                for user in User.objects.filter(email__in=some, is_active=True)
                if user.can("customer.own")
            }
        for one in self.found:
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

    def _compare(self) -> None:
        for one in self.found:
            line = one.line
            if line is None or line.outcome == BAD:
                continue
            wanted = self._wanted(one)
            settle(line, one.row, wanted, one.before, new=one.new)

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
