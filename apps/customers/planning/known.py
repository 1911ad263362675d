"""The customers that lines can be about: those that stand, and those that the file brings."""

from collections.abc import Iterable, Iterator
from typing import Any

from apps.customers.models import Customer
from apps.customers.planning.plans import Account, Line

CHUNK = 5000


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the values in lists that a query can hold."""
    listed = list(values)
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


class Known:
    """Customers by the id that others know them by, and by the address that we gave them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Account] = {}
        self.by_slug: dict[str, Account] = {}

    def find(self, good: list[tuple[Line, dict[str, Any]]]) -> None:
        """Look up whom the lines are about, and the parents that they name."""
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

    def account(self, values: dict[str, Any]) -> Account | None:
        """Return whom the values are about; None when nobody knows."""
        if external_id := values.get("external_id"):
            return self.by_id.get(external_id)
        return self.by_slug.get(values.get("slug", ""))
