"""Who looked at what people did: reading leaves a line too, where it is request by request."""

from datetime import datetime, timedelta

from django.db import models, transaction

from apps.accounts.models import AuditEvent, User
from apps.customers.models import Customer

NOTED_EVERY = timedelta(hours=1)
"""One line per person, incident or window, and customer in this time, however often the page is opened."""

_ACTION = "impact.attempts"


def note_attempts_seen(
    *, of: models.Model, user: User, customer: Customer | None, now: datetime
) -> AuditEvent | None:
    """Note that `user` looked at single requests of an incident or a window.

    Those of one customer, or of all that they may see. Returns the line, None where one of the last hour says
    so already.
    """
    whose = customer.slug if customer else "all" if user.is_staff else "theirs"
    noted = AuditEvent.objects.filter(
        action=_ACTION,
        target=AuditEvent.target_of(of),
        user_id=user.pk,
        at__gt=now - NOTED_EVERY,
        after={"requests_of": whose},
    )
    if noted.exists():
        return None
    with transaction.atomic():
        # A page loaded twice at once is noted once.
        User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        if noted.exists():
            return None
        return AuditEvent.note(
            at=now,
            user=user,
            action=_ACTION,
            target=of,
            after={"requests_of": whose},
        )
