"""From lines to a plan: read each, then settle customers, then what belongs to them."""

from collections.abc import Iterable
from typing import Any

from apps.customers import columns
from apps.customers.planning.accounts import Accounts
from apps.customers.planning.belongings import plan_belongings
from apps.customers.planning.known import Known
from apps.customers.planning.plans import BAD, Line, Plan
from apps.customers.sheet import Entry, readable


def plan(entries: Iterable[Entry], *, now: Any) -> Plan:
    """Return what the entries would change, against what stands in the database now."""
    done = Plan()
    read: list[tuple[Line, dict[str, Any]]] = []
    for entry in entries:
        line, values = _read(entry)
        done.lines.append(line)
        read.append((line, values))
    good = [(line, values) for line, values in read if line.outcome != BAD]
    known = Known()
    known.find(good)
    done.accounts = Accounts(known, now).plan(good)
    done.changes = plan_belongings(good, known)
    return done


def _read(entry: Entry) -> tuple[Line, dict[str, Any]]:
    """Return the line of an entry and the values in its cells; one that cannot be read is refused."""
    cells = entry.cells
    who = (cells.get("external_id") or cells.get("slug") or "").strip()
    line = Line(entry.line, entry.record, readable(who[:200]))
    if entry.trouble:
        line.refuse(*entry.trouble)
        return line, {}
    values, wrong = columns.read(entry.record, cells)
    for column, problem in wrong:
        line.refuse(column, problem.reason, problem.hint)
    if not who:
        line.refuse("external_id", "It is empty", "Write the id that you know the customer by.")
    return line, values
