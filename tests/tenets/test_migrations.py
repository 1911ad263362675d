"""Promises made before clauses had five kinds survive, still active and still unchangeable."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.tenets.content import sha256_of
from apps.tenets.models import TenetVersion

OLD, NEW = [("tenets", "0003_budgets_have_a_target")], [("tenets", "0006_seal_what_was_promised")]


@pytest.mark.django_db(transaction=True)
def test_what_was_promised_before_is_promised_after():
    MigrationExecutor(connection).migrate(OLD)
    try:
        with connection.cursor() as cursor:
            cursor.execute("""
                INSERT INTO catalog_service (slug, name, description, public, proposed)
                    VALUES ('shop', 'Shop', '', true, false);
                INSERT INTO tenets_tenet (slug, name, kind, service_id)
                    SELECT 'orders', 'Orders', 'business', id FROM catalog_service;
                INSERT INTO tenets_tenetversion (tenet_id, number, state, promise, rationale)
                    SELECT id, 1, 'draft', 'Orders go through.', '' FROM tenets_tenet;
                INSERT INTO tenets_clause (version_id, position, kind, dimension, text, target, window_days, min_events)
                    SELECT id, 1, 'budget', 'error', 'a', 0.99, 14, 20 FROM tenets_tenetversion
                    UNION ALL SELECT id, 2, 'invariant', 'loss', 'b', NULL, 28, 20 FROM tenets_tenetversion;
                UPDATE tenets_tenetversion SET state = 'active', valid_from = now();
            """)
    finally:
        MigrationExecutor(connection).migrate(NEW)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.kind, c.max_count, c.window_count, c.window_unit, v.state, v.audience"
            " FROM tenets_clause c JOIN tenets_tenetversion v ON v.id = c.version_id ORDER BY position"
        )
        assert cursor.fetchall() == [
            ("budget", None, 14, "d", "active", "class"),
            ("invariant", 0, 28, "d", "active", "class"),
        ]
        with pytest.raises(IntegrityError, match="only a draft's"), transaction.atomic():
            cursor.execute("UPDATE tenets_clause SET max_count = 1")
        version = TenetVersion.objects.get()
        assert version.content_sha256 == sha256_of(version)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute("UPDATE tenets_tenetversion SET content_sha256 = ''")
