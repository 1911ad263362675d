"""`manage.py events`: what is stored is checked, mended, exported and said."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from apps.accounts.models import ApiKey, AuditEvent, Scope
from apps.customers.models import Attribute, IdentificationRule
from apps.telemetry import actions, jobs, queries
from apps.telemetry.meaning.hashing import KeyedHash
from apps.telemetry.models import Segment
from apps.telemetry.resolve.identities import hashed
from portal import env
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
ALWAYS = (-(2**62), 2**62)


def event(hour: float, **more) -> dict:
    ts = (START + timedelta(hours=hour)).isoformat()
    return {"ts": ts, "service": "shop", "operation": "Pay", "status": 200, "user": "u1"} | more


def take_in(*events: dict, key=None) -> None:
    key = key or ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]
    body = b"".join(json.dumps(one).encode() + b"\n" for one in events)
    actions.accept_events(
        body=body, key=key, idempotency_key="", form="ndjson", now=START + timedelta(days=2)
    )


@pytest.fixture
def stored(db):
    make_customer("Acme")
    take_in(*(event(hour, customer="acme" if hour % 2 else None) for hour in range(6)))


def said(capsys, *arguments: str) -> str:
    call_command("events", *arguments)
    return capsys.readouterr().out


def test_what_is_wrong_is_named_and_repaired_and_nothing_is_deleted(stored, capsys):
    assert "6 files are what the catalogue says." in said(capsys, "verify")
    assert "Nothing is broken." in said(capsys, "repair")

    root = Path(settings.EVENTS_DIR)
    flipped, missing, cut, other, rows = Segment.objects.order_by("pk")[:5]
    data = bytearray((root / flipped.path).read_bytes())
    data[4:60] = bytes(56)
    (root / flipped.path).write_bytes(data)
    (root / missing.path).unlink()
    (root / cut.path).write_bytes((root / cut.path).read_bytes()[:-9])
    Segment.objects.filter(pk=other.pk).update(sha256="0" * 64)
    Segment.objects.filter(pk=rows.pk).update(rows=2)
    orphan = (root / rows.path).with_name("left.parquet")
    orphan.write_bytes(b"half")
    os.utime(orphan, (0, 0))

    with pytest.raises(CommandError, match="5 of 6"):
        call_command("events", "verify")
    told = capsys.readouterr().out
    for one, what in (
        (flipped, "SHA-256"),
        (missing, "missing"),
        (cut, "instead of"),
        (other, "SHA-256"),
        (rows, "holds 1 events, the catalogue says 2"),
    ):
        assert what in told.split(one.path)[1].split("\n")[0]
    assert f"{orphan.relative_to(root)}: nothing names it" in told

    told = said(capsys, "repair")
    assert told.count("1 events taken up, 0 lost") == 1
    assert told.count("1 events taken up, 1 lost") == 1
    assert told.count("0 events taken up, 1 lost") == 3
    assert "6 files" not in said(capsys, "verify")
    assert len(list((root / "aside").iterdir())) == 4
    assert orphan.exists()
    assert sum(pq.read_metadata(path).num_rows for path in queries.segments(*ALWAYS)) == 3
    assert AuditEvent.objects.filter(action="events.repair").count() == 5
    jobs.sweep(now=START + timedelta(days=9))
    assert len(list((root / "aside").iterdir())) == 4


def test_stats(stored, capsys):
    jobs.count_customers()
    found = json.loads(said(capsys, "stats", "--json"))
    assert (found["events"], found["files"], found["hours"], found["days"]) == (6, 6, 6, 1)
    assert found["bytes_per_event"] == round(found["bytes"] / 6, 2)
    assert (found["hours_to_merge"], found["small_files_waiting"]) == (0, 0)
    take_in(event(0.1), event(0.2), key=ApiKey.objects.get())
    assert "1 merges." in said(capsys, "compact", "--grace", "0")
    assert len(list(settings.EVENTS_DIR.rglob("*.parquet"))) == 6
    assert "bytes per event" in said(capsys, "stats")


def test_export(stored, capsys, tmp_path):
    out = tmp_path / "events.ndjson"
    window = ("--from", "2026-11-18T10:00:00Z", "--to", "2026-11-18T13:30:00Z")
    call_command("events", "export", *window, "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["ts"][11:13] for row in rows] == ["10", "11", "12"]
    assert rows[0] | {"actor": ""} == {
        "ts": "2026-11-18T10:30:00.000Z",
        "customer": "acme",
        "actor": "",
        "actor_kind": "end_user",
        "service": "shop",
        "operation": "Pay",
        "outcome": "ok",
        "status": 200,
        "latency_ms": None,
        "traffic": "customers",
    }
    call_command(
        "events", "export", *window, "--customer", "acme", "--format", "parquet",
        "--out", str(tmp_path / "events.parquet"),
    )  # fmt: skip
    assert pq.read_table(tmp_path / "events.parquet").num_rows == 2
    assert "3 events." in capsys.readouterr().err
    call_command("events", "erase", "--customer", "acme", "--user", "u1", "--at-once")
    assert "3 events are erased; the files they were in are gone" in capsys.readouterr().out
    call_command("events", "export", *window, "--out", str(out))
    assert [json.loads(line)["customer"] for line in out.read_text().splitlines()] == [None]
    for wrong, why in (
        (("--from", "2026-11-18", "--to", "x"), "is no time"),
        ((*window, "--customer", "nobody"), "no customer"),
        ((*window, "--format", "parquet"), "--out"),
        ((*window, "--out", "/nowhere/x"), "cannot be written"),
        (("--from", "2026-11-18T10:00:00Z", "--to", "2026-11-18T09:00:00Z"), "before"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("events", "export", *wrong)


def test_a_new_key_keeps_the_old_one_for_erasures_and_rules(
    stored, settings, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("PORTAL_ACTOR_KEY", raising=False)
    settings.PORTAL_HOME = tmp_path
    old = settings.PORTAL_ACTOR_KEY
    said(capsys, "rotate")
    new = (tmp_path / "actor-key").read_bytes()
    assert new != old
    assert (tmp_path / "actor-keys-old").read_bytes().split()[0] == old
    assert (tmp_path / "actor-key").stat().st_mode & 0o777 == 0o600

    settings.PORTAL_ACTOR_KEY = new
    settings.PORTAL_ACTOR_KEYS = [new, *env.kept_secrets("X", tmp_path / "actor-keys-old")]
    assert [new, old] == settings.PORTAL_ACTOR_KEYS
    # A rule that named an API key by its hash goes on naming it.
    number = KeyedHash(old).one("api_key", "key-4711-secret")
    IdentificationRule.objects.create(
        customer=make_customer("Globex"),
        attribute=Attribute.API_KEY,
        value=hashed("key-4711-secret", number),
        position=1,
    )
    take_in(event(40, api_key="key-4711-secret"), key=ApiKey.objects.get())
    assert {
        one["customer"] for one in pq.read_table(queries.segments(*ALWAYS)[-1]).to_pylist()
    } == {IdentificationRule.objects.get().customer_id}
