"""The audit log holds together: what a superuser changes or takes out behind its back is found."""

import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.accounts import chain, jobs
from apps.accounts.models import AuditCheck, AuditEvent, AuditHead, User
from apps.accounts.whereabouts import Whereabouts, at
from tests.factories import NOW, make_user

pytestmark = pytest.mark.django_db


def commit():
    """Run what the database does as a transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def behind_its_back(*statements):
    """Do as a superuser can: with the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for sql in statements:
            cursor.execute(sql)
        cursor.execute("SET session_replication_role = DEFAULT")


@pytest.fixture
def log():
    ada = make_user("Ada", role="admin")
    for number in range(1, 6):
        AuditEvent.note(
            at=NOW + timedelta(seconds=number, microseconds=7),
            user=ada if number % 2 else None,
            action="thing.change",
            target=f"thing:{number}",
            before={"b": 1.50, "a": ["é", None, True]} if number > 1 else None,
            after={"name": 'a"b\\c\n\u2028😀', "big": 12345678901234567890},
        )
    with at(Whereabouts("2001:db8::7", "Firefox 😀")):
        AuditEvent.note(at=NOW, user=ada, action="thing.end", target="thing:6", before="x", after=0)
    commit()
    return list(AuditEvent.objects.order_by("position"))


def test_every_row_has_its_place_and_verifies(log):
    assert [event.position for event in log] == [1, 2, 3, 4, 5, 6]
    assert len({event.digest for event in log}) == 6
    found = chain.verify()
    assert found.ok
    assert (found.rows, found.digest) == (6, log[-1].digest)
    assert "Each of the 6 rows" in found.said


@pytest.mark.parametrize(
    "change",
    [
        "action = 'thing.other'",
        "target = 'thing:33'",
        "at = at + interval '1 microsecond'",
        "user_id = NULL",
        "before = '{}'",
        "after = NULL",
        "address = '192.0.2.1'",
        "agent = 'x'",
        "digest = repeat('a', 64)",
    ],
)
def test_a_changed_row_is_found_and_named(log, change):
    behind_its_back(f"UPDATE accounts_auditevent SET {change} WHERE position = 3")  # noqa: S608

    found = chain.verify()

    assert not found.ok
    assert found.said.startswith(f"Row 3 (number {log[2].pk}, ")
    assert found.position == 2


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("position = 1", "Row 1 is missing."),
        ("position IN (3, 4)", "Rows 3 to 4 are missing."),
        ("position = 6", "Row 6 is missing, at the end of the log."),
        ("position > 0", "Rows 1 to 6 are missing, at the end of the log."),
    ],
)
def test_a_missing_row_is_found_and_named(log, gone, words):
    behind_its_back(f"DELETE FROM accounts_auditevent WHERE {gone}")  # noqa: S608

    assert chain.verify().said == words


def test_a_row_put_in_past_the_chain_is_found(log):
    behind_its_back(
        "INSERT INTO accounts_auditevent (at, action, target, agent, digest)"
        " VALUES (now(), 'x', 'x', '', '')"
    )

    assert "written past the chain" in chain.verify().said


def test_a_log_written_anew_from_its_middle_is_held_against_the_last_check(log):
    chain.check(how="command", now=NOW)
    behind_its_back("UPDATE accounts_auditevent SET action = 'x' WHERE position = 4")
    digest = log[2].digest
    for event in AuditEvent.objects.filter(position__gt=3).order_by("position"):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT accounts_audit_digest(%s, position, e) FROM accounts_auditevent e"
                " WHERE id = %s",
                [digest, event.pk],
            )
            digest = cursor.fetchone()[0]
        behind_its_back(
            f"UPDATE accounts_auditevent SET digest = '{digest}' WHERE id = {event.pk}"  # noqa: S608
        )
    AuditHead.objects.update(digest=digest)

    assert "The log up to row 6 was written anew" in chain.verify().said


def test_a_log_cut_short_with_its_end_moved_is_held_against_the_last_check(log):
    chain.check(how="command", now=NOW)
    behind_its_back("DELETE FROM accounts_auditevent WHERE position > 4")
    AuditHead.objects.update(position=4, digest=log[3].digest)

    assert chain.verify().said == "Rows 5 to 6 are missing, at the end of the log."


def test_nobody_brings_a_place_or_a_digest_along(log):
    made = AuditEvent.objects.create(
        at=NOW, action="x", target="x", position=99, digest="f" * 64, user=None
    )
    commit()

    made.refresh_from_db()
    assert made.position == 7
    assert chain.verify().ok


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditevent SET digest = 'x'",
        "UPDATE accounts_auditevent SET position = position + 10",
        "UPDATE accounts_auditcheck SET ok = true",
        "DELETE FROM accounts_auditcheck",
    ],
)
def test_links_and_checks_are_append_only_too(log, sql):
    chain.check(how="command", now=NOW)
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def test_a_row_of_this_transaction_cannot_be_given_a_digest_by_hand():
    AuditEvent.note(at=NOW, user=None, action="x", target="x")
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE accounts_auditevent SET digest = repeat('f', 64), position = 1")


def test_the_command_names_what_is_broken_and_fails(log):
    out = StringIO()
    call_command("audit", "verify", stdout=out)
    assert "Each of the 6 rows" in out.getvalue()

    behind_its_back("DELETE FROM accounts_auditevent WHERE position = 2")
    with pytest.raises(CommandError, match="Row 2 is missing"):
        call_command("audit", "verify")
    assert list(AuditCheck.objects.order_by("pk").values_list("ok", flat=True)) == [True, False]


def test_the_worker_checks_once_a_day(log):
    jobs.sweep(now=NOW)
    jobs.sweep(now=NOW + timedelta(hours=23))
    assert AuditCheck.objects.count() == 1
    jobs.sweep(now=NOW + timedelta(hours=25))
    assert AuditCheck.objects.filter(how="daily", ok=True).count() == 2


@pytest.mark.django_db(transaction=True)
def test_writers_at_once_make_one_chain():
    ada = make_user("Ada", role="admin")
    first, second = make_user("First"), make_user("Second")
    failed = []

    def write(one, other):
        # Each holds a row that the other wants after its first line of the log: no deadlock comes of it.
        try:
            for number in range(15):
                with transaction.atomic():
                    User.objects.select_for_update().get(pk=min(one.pk, other.pk))
                    AuditEvent.note(at=NOW, user=ada, action="x", target=f"x:{number}")
                    User.objects.select_for_update().get(pk=max(one.pk, other.pk))
                    AuditEvent.note(at=NOW, user=ada, action="y", target=f"y:{number}")
                with transaction.atomic():
                    AuditEvent.note(at=NOW, user=ada, action="z", target=f"z:{number}")
                    User.objects.select_for_update().get(pk=one.pk)
        except Exception as error:  # noqa: BLE001
            failed.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=write, args=pair) for pair in [(first, second), (second, first)] * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert AuditEvent.objects.count() == 4 * 45
    found = chain.verify()
    assert found.ok, found.said
    assert found.rows == 180


@pytest.mark.django_db(transaction=True)
def test_what_was_written_before_there_was_a_chain_is_chained_by_the_migration():
    executor = MigrationExecutor(connection)
    latest = executor.loader.graph.leaf_nodes("accounts")
    executor.migrate([("accounts", "0003_invitations_sessions_and_ends_of_keys")])
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO accounts_auditevent (at, action, target, after, agent)"
                " SELECT now(), 'old', 'x:' || n, jsonb_build_object('n', n), ''"
                " FROM generate_series(1, 7) n"
            )
    finally:
        MigrationExecutor(connection).migrate(latest)

    assert AuditEvent.objects.filter(action="old", position=None).count() == 0
    found = chain.verify()
    assert found.ok, found.said
    assert found.rows == 7
