"""History cannot be rewritten: the audit log refuses changes, whatever code asks."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEvent
from tests.factories import NOW, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "sql", ["UPDATE accounts_auditevent SET action = 'other'", "DELETE FROM accounts_auditevent"]
)
def test_the_audit_log_is_append_only(sql):
    AuditEvent.note(at=NOW, user=make_user(), action="incident.declare", target="incident:1")

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
