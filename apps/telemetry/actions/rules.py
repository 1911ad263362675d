"""What people do with identification rules. They apply to requests that come in from then on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from apps.accounts.models import AuditEvent, User
from apps.customers.models import Attribute, Customer, IdentificationRule
from apps.telemetry.catalogue import RULE_ORDER
from apps.telemetry.resolve.checks import BadValue, normal

#: Which permission it takes to see the rules, and to change them.
READ, EDIT = "rule.read", "rule.edit"

STEP = 10
LAST_PLACE = 2**31 - 1 - STEP

#: What may tell actors apart.
ACTOR_FROM = (
    *(Attribute.USER, Attribute.API_KEY, Attribute.OAUTH_CLIENT),
    *(Attribute.CUSTOMER, Attribute.NETWORK),
)


class UnableToKeepRule(Exception):
    """The rule cannot be like this; the message says why, `field` what it is about."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class RuleDraft:
    """If `attribute` of a request matches `value`, it is the customer's."""

    customer: Customer
    attribute: str
    value: str
    actor_from: str = ""
    note: str = ""
    enabled: bool = True
    place: int | None = None  # in the list, from 1; None = last, or where it is


@transaction.atomic
def create_rule(*, draft: RuleDraft, user: User, now: datetime) -> IdentificationRule:
    """Put a rule into the list."""
    _permit(user)
    order = _locked()
    rule = _kept(IdentificationRule(), draft)
    rule.position = _end(order)
    _save(rule, force_insert=True)
    if draft.place is not None:
        order.insert(min(draft.place - 1, len(order)), rule)
        _number(order)
    AuditEvent.note(at=now, user=user, action="rule.create", target=rule, after=_facts(rule))
    return rule


@transaction.atomic
def change_rule(*, rule: int, draft: RuleDraft, user: User, now: datetime) -> IdentificationRule:
    """Change what a rule says, and where it stands if a place is given."""
    _permit(user)
    order = _locked()
    one = _of(order, rule)
    before = _facts(one)
    _save(_kept(one, draft))
    if draft.place is not None:
        order.remove(one)
        order.insert(min(draft.place - 1, len(order)), one)
        _number(order)
    if _facts(one) != before:
        AuditEvent.note(
            at=now, user=user, action="rule.change", target=one, before=before, after=_facts(one)
        )
    return one


@transaction.atomic
def move_rule(*, rule: int, up: bool, user: User, now: datetime) -> IdentificationRule:
    """Let a rule be asked one place earlier or later; at the end of the list, nothing changes."""
    _permit(user)
    order = _locked()
    one = _of(order, rule)
    place = order.index(one)
    other = place - 1 if up else place + 1
    if 0 <= other < len(order):
        order[place], order[other] = order[other], order[place]
        _number(order)
        AuditEvent.note(
            at=now,
            user=user,
            action="rule.move",
            target=one,
            before={"place": place + 1},
            after={"place": other + 1},
        )
    return one


@transaction.atomic
def switch_rule(*, rule: int, enabled: bool, user: User, now: datetime) -> IdentificationRule:
    """Switch a rule on or off; it keeps its place."""
    _permit(user)
    one = _of(_locked(), rule)
    if one.enabled != enabled:
        one.enabled = enabled
        one.save(update_fields=["enabled"])
        AuditEvent.note(
            at=now,
            user=user,
            action="rule.switch",
            target=one,
            before={"enabled": not enabled},
            after={"enabled": enabled},
        )
    return one


@transaction.atomic
def delete_rule(*, rule: int, user: User, now: datetime) -> None:
    """Take a rule out of the list. What it has identified stays identified."""
    _permit(user)
    one = _of(_locked(), rule)
    AuditEvent.note(at=now, user=user, action="rule.delete", target=one, before=_facts(one))
    one.delete()


def _permit(user: User) -> None:
    if not user.can(EDIT):
        raise UnableToKeepRule(
            "Your role does not change rules. Ask an incident lead or a liaison."
        )


def _locked() -> list[IdentificationRule]:
    """Return all rules in the order in which they are asked, so that nobody else reorders them meanwhile."""
    return list(IdentificationRule.objects.select_for_update().order_by(*RULE_ORDER))


def _of(order: list[IdentificationRule], pk: int) -> IdentificationRule:
    found = next((rule for rule in order if rule.pk == pk), None)
    if found is None:
        raise IdentificationRule.DoesNotExist
    return found


def _end(order: list[IdentificationRule]) -> int:
    if order and order[-1].position > LAST_PLACE:
        _number(order)
    return order[-1].position + STEP if order else STEP


def _number(order: list[IdentificationRule]) -> None:
    changed = []
    for place, rule in enumerate(order, 1):
        if rule.position != place * STEP:
            rule.position = place * STEP
            changed.append(rule)
    IdentificationRule.objects.bulk_update(changed, ["position"], batch_size=1_000)


def _kept(rule: IdentificationRule, draft: RuleDraft) -> IdentificationRule:
    if draft.attribute not in Attribute.values:
        raise UnableToKeepRule("Choose what of a request the rule looks at.", "attribute")
    if draft.actor_from and draft.actor_from not in ACTOR_FROM:
        raise UnableToKeepRule("Choose what tells people apart from the list.", "actor_from")
    try:
        value = normal(draft.attribute, draft.value)
    except BadValue as problem:
        raise UnableToKeepRule(str(problem), "value") from problem
    if len(value) > 300:
        raise UnableToKeepRule("A value has at most 300 characters.", "value")
    rule.customer = draft.customer
    rule.attribute = draft.attribute
    rule.value = value
    rule.actor_from = draft.actor_from
    rule.note = draft.note.strip()
    rule.enabled = draft.enabled
    return rule


def _save(rule: IdentificationRule, *, force_insert: bool = False) -> None:
    same = IdentificationRule.objects.filter(attribute=rule.attribute, value=rule.value)
    taken = same.exclude(pk=rule.pk).select_related("customer").first()
    if taken is None:
        try:
            with transaction.atomic():
                rule.save(force_insert=force_insert)
        except IntegrityError:
            taken = same.select_related("customer").first()  # somebody was faster
            if taken is None:
                raise
        else:
            return
    off = "" if taken.enabled else ", although it is switched off"
    raise UnableToKeepRule(
        f"There is a rule for this already: it names {taken.customer.name}{off}. Change that one.",
        "value",
    )


def _facts(rule: IdentificationRule) -> dict[str, Any]:
    return {
        "customer": rule.customer_id,
        "attribute": rule.attribute,
        "value": rule.value,
        "actor_from": rule.actor_from,
        "note": rule.note,
        "enabled": rule.enabled,
        "position": rule.position,
    }
