"""What hangs on what: each parent that a line names is found, and nothing is part of itself."""

from collections import defaultdict
from typing import Any

from apps.customers.models import Customer
from apps.customers.planning.known import Known
from apps.customers.planning.plans import BAD, Account, Line


def hang(accounts: list[Account], known: Known) -> None:
    """Put the parent in place of its name in each account's values, or refuse the line."""
    for one in accounts:
        if (name := one.values.get("parent")) and one.line:
            _hang(one, one.line, name, known)
    _break_circles(accounts)
    _lose_children(accounts)


def _hang(one: Account, line: Line, name: str, known: Known) -> None:
    parent = known.by_id.get(name)
    if parent is None and name.startswith("slug:"):
        parent = known.by_slug.get(name.removeprefix("slug:"))
    if parent is None:
        line.refuse("parent", "This parent is not known", "Write the external_id of a customer.")
    else:
        one.values["parent"] = parent


def _break_circles(accounts: list[Account]) -> None:
    hanging = [one for one in accounts if "parent" in one.values and one.line]
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
            line.refuse("parent", "It would be part of itself", "Name one that is not below it.")


def _lose_children(accounts: list[Account]) -> None:
    """What hangs on a new customer that is not taken is not taken either."""
    below = defaultdict(list)
    for one in accounts:
        if isinstance(parent := one.values.get("parent"), Account):
            below[parent].append(one)
    lost = [one for one in below if not one.stands]
    while lost:
        for child in below.get(lost.pop(), []):
            if child.line and child.line.outcome != BAD:
                child.line.refuse("parent", "The line of its parent is bad", "Mend that first.")
                if child.new:
                    lost.append(child)


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
