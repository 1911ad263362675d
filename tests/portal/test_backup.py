"""An installation is backed up while it runs, and comes back elsewhere with all that it held, and nothing else."""

import json
import subprocess
import sys
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import ApiKey, AuditEvent, Scope
from apps.telemetry import actions, jobs
from apps.telemetry.models import Segment
from portal import backup
from tests.factories import make_customer, make_user
from tests.worker import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)


@contextmanager
def another_database():
    """Make an empty database on the server of this test; yield its address."""
    given = connection.get_connection_params()
    name = f"restored_{uuid.uuid4().hex[:12]}"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        place = environment()["DATABASE_URL"]
        yield place.replace(f"/{given['dbname']}?", f"/{name}?")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def manage(home: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(PORTAL_HOME=str(home), DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_backup_comes_back_elsewhere_and_a_broken_one_touches_nothing(settings, tmp_path, capsys):
    settings.PORTAL_HOME = tmp_path
    (tmp_path / "actor-key").write_text("the key of pseudonyms")
    make_user("Olga", role="admin")
    make_customer("Acme")
    key = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]
    AuditEvent.note(at=NOW, user=None, action="test", target="backup")
    body = b"".join(
        json.dumps(
            {
                "ts": (NOW - timedelta(hours=hour)).isoformat(),
                "status": 200,
                "service": "shop",
                "customer": "acme",
            }
        ).encode()
        + b"\n"
        for hour in range(4)
    )
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=NOW)
    replaced = Segment.objects.earliest("pk")
    Segment.objects.filter(pk=replaced.pk).update(deleted_at=NOW)

    folder = tmp_path / "copy"
    call_command("backup", str(folder))
    assert "3 events in 3 files, 3 of them linked" in capsys.readouterr().out
    with pytest.raises(CommandError, match="new folder"):
        call_command("backup", str(folder))
    # What the installation removes stays in the backup.
    Segment.objects.update(deleted_at=NOW)
    jobs.drop_replaced(now=NOW + jobs.GRACE)
    assert not list(settings.EVENTS_DIR.rglob("*.parquet"))

    file = next((folder / "events").rglob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(backup.BackupError, match="Nothing was touched"):
        backup.restore(folder, replace=True, now=NOW, say=print)
    file.write_bytes(whole)
    with pytest.raises(backup.BackupError, match="Give --replace"):
        backup.restore(folder, replace=False, now=NOW, say=print)
    with (
        psycopg.connect(environment()["DATABASE_URL"]),
        pytest.raises(backup.BackupError, match="stop the portal first"),
    ):
        backup.restore(folder, replace=True, now=NOW, say=print)
    assert not list(settings.EVENTS_DIR.rglob("*.parquet"))

    with another_database() as url:
        home = tmp_path / "elsewhere"
        done = manage(home, url, "restore", str(folder))
        assert done.returncode == 0, done.stdout
        assert "3 events in 3 files" in done.stdout
        assert (home / "actor-key").read_text() == "the key of pseudonyms"
        done = manage(home, url, "events", "verify")
        assert "3 files are what the catalogue says." in done.stdout
        assert len(list(home.rglob("*.parquet"))) == 3
        with psycopg.connect(url) as con:
            rows = [
                con.execute(f"SELECT {what}").fetchone()[0]
                for what in (
                    "count(*) FROM telemetry_segment",
                    "name FROM accounts_user",
                    "slug FROM customers_customer",
                    "count(*) FROM telemetry_batch",
                )
            ]
            assert rows == [3, "Olga", "acme", 1]
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
                con.execute("DELETE FROM accounts_auditevent")


def test_half_a_backup_is_none(tmp_path):
    with pytest.raises(backup.BackupError, match="no whole backup"):
        backup.restore(tmp_path, replace=False, now=NOW, say=print)
