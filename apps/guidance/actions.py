"""What staff do with advice."""

from datetime import datetime

from django.db import transaction

from apps.accounts.models import AuditEvent, User
from apps.core.nudge import nudge
from apps.guidance.codes import MAX_WAIT_S, is_well_formed
from apps.guidance.models import Advice

_TOLD = (
    "title",
    "what_happened",
    "what_to_do",
    "tell_your_customers",
    "retry_from_s",
    "retry_to_s",
)


class InvalidAdvice(ValueError):
    """The advice cannot be kept as it is; the message says why."""


def save_advice(
    *,
    by: User,
    now: datetime,
    code: str,
    kind: str = "",
    title: str,
    what_happened: str,
    what_to_do: str,
    tell_your_customers: str = "",
    retry_from_s: int | None = None,
    retry_to_s: int | None = None,
) -> Advice:
    """Write the advice on `code` for `kind` of customer ("" for anyone), in place of any before it.

    It shows on the error page with the next render. Raises InvalidAdvice.
    """
    if not is_well_formed(code):
        raise InvalidAdvice("A code is up to 60 letters, digits, hyphens and underscores.")
    if (retry_from_s is None) != (retry_to_s is None):
        raise InvalidAdvice("Give both ends of the wait, or neither.")
    if retry_from_s and retry_to_s and not 1 <= retry_from_s <= retry_to_s <= MAX_WAIT_S:
        raise InvalidAdvice("The wait is from 1 second to a day, the shorter end first.")
    if 0 in {retry_from_s, retry_to_s}:
        raise InvalidAdvice("The wait is at least one second.")
    with transaction.atomic():
        before = Advice.objects.select_for_update().filter(code=code, kind=kind).first()
        advice, _ = Advice.objects.update_or_create(
            code=code,
            kind=kind,
            defaults={
                "title": title,
                "what_happened": what_happened,
                "what_to_do": what_to_do,
                "tell_your_customers": tell_your_customers,
                "retry_from_s": retry_from_s,
                "retry_to_s": retry_to_s,
                "author": by,
                "updated_at": now,
            },
        )
        AuditEvent.note(
            at=now,
            user=by,
            action="guidance.save",
            target=advice,
            before=before and {name: getattr(before, name) for name in _TOLD},
            after={"code": code, "kind": kind, **{name: getattr(advice, name) for name in _TOLD}},
        )
        nudge("statuspage.render")
    return advice
