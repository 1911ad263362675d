"""`/metrics`: to whom it answers, that both formats are what they say, and that the figures are true."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import ApiKey, Scope
from apps.core.metrics import OPEN, Family, by_label, counter, exposition, gauge
from apps.telemetry import actions, arrivals
from apps.telemetry.models import Total
from tests.factories import make_incident

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)")


def parsed(text: str, *, openly: bool = False) -> dict[str, float]:
    """Read an exposition as strictly as both formats are written down; return samples by name and labels."""
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    if openly:
        assert lines.pop() == "# EOF"
    found: dict[str, float] = {}
    seen: set[str] = set()
    family, kind = "", ""
    for line in lines:
        if line.startswith("# HELP "):
            family, _, help_ = line[7:].partition(" ")
            assert re.fullmatch(_NAME, family)
            assert help_
            assert family not in seen  # all lines of a family stand together
            seen.add(family)
            kind = ""
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family
            assert kind in {"gauge", "counter"}
            assert openly == (not family.endswith("_total")) or kind == "gauge"
        else:
            assert kind
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert name == (f"{family}_total" if openly and kind == "counter" else family)
            key = f"{name}{{{labels}}}" if labels else name
            assert key not in found
            found[key] = float(value)
    return found


def test_what_is_written_is_what_the_formats_say():
    odd = 'a"b\\c\nd'
    families = [
        counter("a", "One.\nTwo \\ three.", 3),
        by_label("b", "what", {odd: 1.5, "": 2}, "B."),
        gauge("c", "None.", None),
        Family("d", "gauge", "Small.", (({}, 1e-7), ({"x": "y"}, -2))),
    ]
    for openly in (False, True):
        text = exposition(families, form=OPEN) if openly else exposition(families)
        assert parsed(text, openly=openly) == {
            "a_total": 3.0,
            'b{what="a\\"b\\\\c\\nd"}': 1.5,
            'b{what=""}': 2.0,
            "d": 1e-7,
            'd{x="y"}': -2.0,
        }


@pytest.fixture
def scrape(client, db):
    _, token = ApiKey.objects.issue(name="prometheus", scopes=[Scope.METRICS])

    def get(accept: str = "", *, token: str = token):
        return client.get(
            "/metrics",
            headers={"Authorization": f"Bearer {token}"} | ({"Accept": accept} if accept else {}),
        )

    return get


@pytest.mark.parametrize("scope", [Scope.INGEST, Scope.READ, Scope.MANAGE])
def test_only_a_key_that_may_scrape_is_answered(scrape, client, scope):
    _, other = ApiKey.objects.issue(name="other", scopes=[scope])
    for answer in (
        client.get("/metrics"),
        scrape(token=other),
        scrape(token="é\x00"),
        scrape(token=""),
    ):
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="metrics"'
        assert b"portal_" not in answer.content
    _, own = ApiKey.objects.issue(name="own", scopes=[Scope.METRICS])
    assert (
        client.get("/api/v1/customers", headers={"Authorization": f"Bearer {own}"}).status_code
        == 401
    )
    body = b'{"ts":"2026-11-22T10:29:00Z","status":200}\n'
    sent = client.post(
        "/api/v1/events", body, "application/x-ndjson", headers={"Authorization": f"Bearer {own}"}
    )
    assert sent.status_code == 401


def test_the_format_is_the_one_that_is_asked_for(scrape):
    plain = "text/plain; version=0.0.4; charset=utf-8"
    openly = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    for accept, said in {
        "": plain,
        "*/*": plain,
        "text/plain": plain,
        "text/html,*/*;q=0.1": plain,
        "image/png": plain,
        PROMETHEUS_2: openly,
        "application/openmetrics-text; version=1.0.0": openly,
    }.items():
        answer = scrape(accept)
        assert answer.status_code == 200
        assert answer["Content-Type"] == said, accept
        assert parsed(answer.text, openly=said == openly)["portal_incidents_open"] == 0


def test_the_figures_are_true_counted_or_not(scrape):
    key, _ = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])

    def deliver(at, *events):
        body = b"".join(
            json.dumps({"ts": at.isoformat(), "status": 200} | one).encode() + b"\n"
            for one in events
        )
        actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=at)

    make_incident()
    with time_machine.travel(NOW + timedelta(seconds=30), tick=False):
        deliver(NOW, {}, {"user_agent": "kube-probe/1.30"}, {"ts": "never"})
        before = parsed(scrape().text)
        arrivals.count()
        after = parsed(scrape().text)
        deliver(NOW, {"path": "/other"})
        more = parsed(scrape().text)
    assert before["portal_batches_uncounted"] == 1
    assert after["portal_batches_uncounted"] == 0
    totals = {name: n for name, n in before.items() if "_total" in name}
    assert totals == {name: n for name, n in after.items() if "_total" in name}
    assert totals["portal_events_total"] == 2
    assert totals["portal_batches_total"] == 1
    assert totals['portal_events_set_apart_total{what="probe"}'] == 1
    assert (
        sum(n for name, n in totals.items() if name.startswith("portal_events_rejected_total")) == 1
    )
    assert more["portal_events_total"] == 3
    assert after["portal_event_lag_seconds"] == 30
    assert after["portal_segments"] == 1
    assert after["portal_segment_bytes"] > 1000
    assert after["portal_disk_free_bytes"] > after["portal_disk_kept_free_bytes"] >= 0
    assert after["portal_unnamed_ratio"] == 1
    assert after['portal_sources{state="flowing"}'] == 1
    assert after['portal_sources{state="quiet"}'] == 0
    assert after["portal_incidents_open"] == 1
    assert after["portal_outbox_waiting"] == 0
    assert after['portal_impact_runs{state="queued"}'] == 0


def test_labels_and_queries_do_not_grow(scrape):
    key, _ = ApiKey.objects.issue(name="secret-customer", scopes=[Scope.INGEST])

    def asked():
        with CaptureQueriesContext(connection) as queries:
            found = scrape()
        return len(queries), found.text

    scrape()  # notes that the key was used
    few = many = 0
    for n in range(5):
        body = f'{{"ts":"2026-11-22T10:29:00Z","status":200,"service":"s{n}","path":"/p{n}"}}\n'.encode()
        actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=NOW)
        few = few or asked()[0]
    Total.objects.bulk_create(
        Total(name=f"rejected: not {n} fields as the header has", n=1) for n in range(40)
    )
    Total.objects.bulk_create(Total(name=f"rejected: {'x' * n}", n=1) for n in range(1, 40))
    arrivals.count()
    many, text = asked()
    assert few == many <= 25
    for word in ("secret-customer", "s1", "/p1"):
        assert word not in text
    of = [name.partition("{")[0] for name in parsed(text)]
    assert max(len(list(same)) for _, same in groupby(of)) <= 21
    assert (
        parsed(text)['portal_events_rejected_total{reason="not N fields as the header has"}'] == 40
    )
