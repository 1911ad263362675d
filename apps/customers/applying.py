"""Write a plan in one go, and tell the audit log what was before and after."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.utils.text import slugify

from apps.accounts.models import AuditEvent, User
from apps.customers.columns import RESERVED
from apps.customers.models import Contact, Customer, CustomerJourney, IdentificationRule
from apps.customers.planning import BAD, CHANGED, NEW, Account, Plan, plan
from apps.customers.sheet import Entry

BATCH = 1000
AUDITED = 500  # changes in one line of the audit log
LOCK = 0x1A9081  # one import at a time


@transaction.atomic
def carry_out(
    read: Callable[[], Iterable[Entry]],
    *,
    user: User | None,
    now: datetime,
    target: models.Model | str,
    whole: bool = False,
) -> Plan:
    """Plan the entries against what stands now and write all good lines; `whole`: only if none is bad."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    done = plan(read(), now=now)
    if whole and done.counts[BAD]:
        return done
    _write(done)
    _audit(done, user=user, now=now, target=target)
    return done


def free_slug(name: str, taken: Callable[[str], bool]) -> str:
    """Return the name as it stands in addresses, numbered when it is taken."""
    base = slugify(name)[:90].strip("-_") or "customer"
    for number in itertools.count(1):
        slug = base if number == 1 else f"{base}-{number}"
        if slug not in RESERVED and not taken(slug):
            return slug
    raise AssertionError


def _write(done: Plan) -> None:
    good = [one for one in done.accounts if one.line and one.line.outcome != BAD]
    new = [one for one in good if one.new]
    _name(new)
    parents = {one: one.row.parent for one in new if one.row.parent}
    for one in parents:
        one.row.parent = None
    Customer.objects.bulk_create([one.row for one in new], batch_size=BATCH)
    for one, parent in parents.items():
        one.row.parent = parent
    _update(Customer, ((one.row, ["parent"]) for one in parents))
    changed = [one for one in good if one.line and one.line.outcome == CHANGED]
    for one in changed:
        one.row.parent = one.row.parent  # a new parent has its key only now
    _update(Customer, ((one.row, list(one.before)) for one in changed))
    for change in done.changes:
        change.row.customer = change.account.row
    for model in (Contact, IdentificationRule, CustomerJourney):
        mine = [one for one in done.changes if isinstance(one.row, model)]
        manager: Any = model._default_manager  # noqa: SLF001  (Django documents it)
        manager.bulk_create([one.row for one in mine if one.line.outcome == NEW], batch_size=BATCH)
        _update(model, ((one.row, list(one.before)) for one in mine if one.before))


def _name(new: list[Account]) -> None:
    unnamed = [one for one in new if not one.row.slug]
    if not unnamed:
        return
    taken = set(Customer.objects.values_list("slug", flat=True)) | {one.row.slug for one in new}
    highest: dict[str, int] = {}
    for one in unnamed:
        base = slugify(one.row.name)[:90].strip("-_") or "customer"
        slug = base
        while slug in RESERVED or slug in taken:
            highest[base] = highest.get(base, 1) + 1
            slug = f"{base}-{highest[base]}"
        one.row.slug = slug
        taken.add(slug)


def _update(model: type[models.Model], rows: Iterable[tuple[models.Model, list[str]]]) -> None:
    """Write each row's own fields; rows that change the same fields go together."""
    together: dict[tuple[str, ...], list[models.Model]] = defaultdict(list)
    for row, fields in rows:
        together[tuple(sorted(fields))].append(row)
    manager: Any = model._default_manager  # noqa: SLF001  (Django documents it)
    for names, same in together.items():
        if names:
            manager.bulk_update(same, names, batch_size=500)


def _audit(done: Plan, *, user: User | None, now: datetime, target: models.Model | str) -> None:
    counts = done.counts
    if counts[CHANGED] + counts[NEW] == 0:
        return
    AuditEvent.note(at=now, user=user, action="customers.import", target=target, after=counts)
    notes = [
        (f"customer {one.row.slug}", one.before, _said(one))
        for one in done.accounts
        if one.line and one.line.outcome in {CHANGED, NEW}
    ]
    notes += [(f"{one.line.record} {one.line.who}", one.before, one.after) for one in done.changes]
    for start in range(0, len(notes), AUDITED):
        some = notes[start : start + AUDITED]
        AuditEvent.note(
            at=now,
            user=user,
            action="customers.import.lines",
            target=target,
            before={who: before for who, before, _ in some if before},
            after={who: after for who, _, after in some},
        )


def _said(one: Account) -> dict[str, Any]:
    names = one.before or [name for name in one.values if name != "archived"]
    return {name: str(getattr(one.row, name, "") or "") for name in names}
