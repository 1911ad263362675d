"""What nginx, Apache and Envoy wrote with our snippets (`drill senders`): counts equal what was sent."""

import pytest

from apps.accounts.models import ApiKey, Scope
from tests.telemetry.test_ingest import DATA, ingest, rows

pytestmark = pytest.mark.django_db(transaction=True)

SENDERS = DATA / "senders"
COUNTS = (
    "count(*) FILTER (traffic = 0), count(*) FILTER (traffic = 0 AND outcome = 1),"
    " count(*) FILTER (traffic = 0 AND outcome = 2), count(*) FILTER (traffic = 2)"
)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        # an error page that says 200 hides 6 failures, where the log does not tell what the upstream said
        ("nginx_ingress.log", (65, 17, 5, 3)),
        ("nginx_marked.log", (65, 11, 5, 3)),
        ("apache.log", (54, 14, 0, 3)),
    ],
)
def test_logs(name, counts, capsys):
    [report] = ingest(SENDERS / name, capsys=capsys)

    assert report["whole"]
    assert not report["rejected"]
    assert rows(COUNTS) == [counts]


def test_access_log_of_envoy_over_otlp(client):
    _, token = ApiKey.objects.issue(name="edge", scopes=[Scope.INGEST])
    for body in sorted(SENDERS.glob("envoy_logs_*.bin")):
        for _ in range(2):  # a body that comes again changes nothing
            answer = client.post(
                "/v1/logs",
                body.read_bytes(),
                content_type="application/x-protobuf",
                headers={"Authorization": f"Bearer {token}"},
            )
            assert (answer.status_code, answer.content) == (200, b"")

    assert rows(COUNTS) == [(59, 11, 5, 3)]
    # each request has its session, its key and its id
    assert rows("count(DISTINCT actor), count(DISTINCT key), count(DISTINCT request)")[0][0] == 1
