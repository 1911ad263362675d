"""History cannot be rewritten: asked by SQL, as the application's own role."""

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEvent
from apps.impact.models import CustomerImpact
from apps.incidents.models import TimelineEvent
from apps.outreach.models import Delivery
from tests.access.world import make_access_world
from tests.factories import NOW

pytestmark = pytest.mark.django_db

REFUSED = [
    "UPDATE accounts_auditevent SET action = 'other'",
    "DELETE FROM accounts_auditevent",
    "UPDATE impact_impactsnapshot SET result = '{}'",
    "DELETE FROM impact_impactsnapshot",
    "UPDATE impact_customerimpact SET grade = 'not_hit'",
    "DELETE FROM impact_customerimpact",
    "UPDATE incidents_timelineevent SET text = 'other'",
    "DELETE FROM incidents_timelineevent",
    "UPDATE incidents_update SET text = 'other' WHERE published_at IS NOT NULL",
    "UPDATE incidents_update SET published_at = NULL WHERE published_at IS NOT NULL",
    "DELETE FROM incidents_update WHERE published_at IS NOT NULL",
    "UPDATE outreach_approval SET content_hash = 'other'",
    "DELETE FROM outreach_approval",
    "DELETE FROM outreach_delivery",
    "UPDATE outreach_delivery SET email = 'eve@example.com'",
    "UPDATE outreach_delivery SET state = 'queued'",
    "UPDATE outreach_delivery SET state = 'withdrawn'",
    "UPDATE outreach_delivery SET state = 'suppressed'",
    "UPDATE outreach_delivery SET state = 'failed'",
    "UPDATE outreach_delivery SET content_hash = 'other'",
    "UPDATE outreach_delivery SET accepted_at = now() + interval '1 hour'",
    "UPDATE tenets_tenetversion SET promise = 'other'",
    "UPDATE tenets_tenetversion SET state = 'draft'",
    "UPDATE tenets_tenetversion SET state = 'superseded', promise = 'other'",
    "DELETE FROM tenets_tenetversion",
    "UPDATE tenets_clause SET target = 0.5",
    "DELETE FROM tenets_clause",
    'INSERT INTO tenets_clause SELECT (jsonb_populate_record(c, \'{"id": 99, "position": 9}\')).* FROM tenets_clause c',
]


@pytest.fixture
def world():
    made = make_access_world()
    assert AuditEvent.objects.exists()
    assert CustomerImpact.objects.exists()
    assert TimelineEvent.objects.exists()
    for state in ("claimed", "submitting", "accepted"):
        Delivery.objects.update(state=state, accepted_at=NOW if state == "accepted" else None)
    with connection.cursor() as cursor:
        for state in ("in_review", "active"):
            cursor.execute("UPDATE tenets_tenetversion SET state = %s, valid_from = now()", [state])
    return made


@pytest.mark.parametrize("sql", REFUSED)
def test_what_was_said_and_done_stays(world, sql):
    with (
        pytest.raises(IntegrityError, match=r"append-only|only a draft's"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_what_may_still_become_of_an_accepted_mail(world):
    for state in ("delivered", "bounced", "replied"):
        with transaction.atomic():
            assert Delivery.objects.update(state=state, reply="250 ok") == 1
            transaction.set_rollback(True)
