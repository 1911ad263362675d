"""The database's last word is lost, or is no: no event is lost, none doubled, no file is missing."""

import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import ApiKey, Scope
from apps.telemetry.models import Batch, Segment
from tests.telemetry.test_ingest import REAL, ingest, rows

pytestmark = pytest.mark.django_db(transaction=True)

LOG = REAL / "nginx_timed.log"
EVENT = b'{"ts": "2026-11-22T22:00:00Z", "service": "shop", "operation": "Pay", "status": 200}\n'


class LosesTheAnswer:
    """Stands before PostgreSQL; passes the COMMIT of a batch on, and hangs up instead of answering."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        given = connection.get_connection_params()
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{given['host']}/.s.PGSQL.{given['port']}")
        self._hang_up = False
        back = threading.Thread(target=self._answers, args=(server, client), daemon=True)
        back.start()
        named = False
        with suppress(OSError), server, client:
            while said := client.recv(1 << 20):
                named |= b'INSERT INTO "telemetry_segment"' in said
                self._hang_up = named and b"COMMIT" in said and not self.lost
                server.sendall(said)
                if self._hang_up:
                    back.join(10)
                    return

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(1 << 20):
                if self._hang_up:
                    self.lost += 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(said)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy():
    """Put the proxy between Django and the database."""
    made = LosesTheAnswer()
    kept = connection.settings_dict
    if not kept["HOST"].startswith("/"):
        pytest.skip("PostgreSQL is not on a socket")
    real = connection.get_connection_params

    def through() -> dict[str, object]:
        return real() | {"host": "127.0.0.1", "port": str(made.port), "sslmode": "disable"}

    yield made, through
    connection.close()
    made.close()


@contextmanager
def answers_lost(monkeypatch, proxy):
    """Connect through the proxy, and directly again at the end."""
    made, through = proxy
    with monkeypatch.context() as patch:
        connection.close()
        patch.setattr(connection, "get_connection_params", through)
        yield made
        connection.close()
    assert made.lost == 1


def files() -> list[str]:
    return sorted(
        str(p.relative_to(settings.EVENTS_DIR)) for p in Path(settings.EVENTS_DIR).glob("dt=*/*/*")
    )


def named() -> list[str]:
    return sorted(Segment.objects.values_list("path", flat=True))


def test_ingest_keeps_the_files_of_a_commit_whose_answer_was_lost(proxy, monkeypatch, capsys):
    with answers_lost(monkeypatch, proxy), pytest.raises(CommandError):
        call_command("ingest", str(LOG), chunk_bytes=65536)
    said = capsys.readouterr().err

    assert "The database refused" in said
    assert Batch.objects.count() == 1
    assert set(named()) <= set(files())
    [report] = ingest(LOG, capsys=capsys)
    assert report["stored"] + report["already_there"] == 862
    assert rows("count(*)") == [(862,)]


def test_a_delivery_keeps_its_files_and_is_stored_once(proxy, monkeypatch, client):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    def send():
        return client.post(
            "/api/v1/events",
            EVENT,
            content_type="application/x-ndjson",
            headers={"Authorization": f"Bearer {token}"},
        )

    with answers_lost(monkeypatch, proxy):
        first = send()
    second = send()

    assert (first.status_code, first["Retry-After"]) == (503, "5")
    assert "Nothing was stored" not in first.json()["error"]["message"]
    assert (second.status_code, second.json()["duplicate"]) == (200, True)
    assert rows("count(*)") == [(1,)]
    assert named() == files()


@pytest.fixture
def refusing_commit():
    """Let the database refuse, at the very end, a batch that is not there yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN RAISE foreign_key_violation USING MESSAGE = 'its service is gone'; END $$;
               CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON telemetry_segment
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"""
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


def test_a_refused_commit_is_no_duplicate(refusing_commit, client, capsys):
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    with pytest.raises(CommandError):
        call_command("ingest", str(LOG))
    answer = client.post(
        "/api/v1/events",
        EVENT,
        content_type="application/x-ndjson",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert "The database refused: its service is gone" in capsys.readouterr().err
    assert answer.status_code == 503, answer.content
    assert not Batch.objects.exists()
    assert files() == []
