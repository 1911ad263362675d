"""What a rules file declares: the format of a log, and what a status does not tell, through each door."""

import json

import pytest
from django.core.management import CommandError, call_command
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps.accounts.models import ApiKey, Scope
from apps.telemetry.formats import declared
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.rules import BadRules, load
from tests.telemetry.test_ingest import ingest, rows

pytestmark = pytest.mark.django_db(transaction=True)

LINES = [
    r'web-1|22/Nov/2026:20:14:37 +0000|203.0.113.7|"POST /orders HTTP/1.1"|502, 200|200|0.250|"a \"b\""|k1',
    r'web-1|22/Nov/2026:20:14:38 +0000|203.0.113.8|"GET /orders/7 HTTP/1.1"|503|200|0.010|"curl/8"|-',
    r'web-1|22/Nov/2026:20:14:39 +0000|203.0.113.9|"GET /orders/8 HTTP/1.1"|-|499|0.010|"x"|k3',
    r"nonsense | in between",
    r'web-1|22/Nov/2026:20:14:40 +0000|203.0.113.9|"GET /orders/9 HTTP/1.1"|200|402|0.010|"x"|k4',
]
NGINX = (
    "log_format own '$hostname|$time_local|$remote_addr|\"$request\"|$upstream_status|$status|'\n"
    "               '$request_time|\"$http_user_agent\"|$http_idempotency_key';"
)
REGEX = (
    r"[^|]+\|(?P<time_local>[^|]+)\|(?P<remote_addr>[^|]+)\|\"(?P<request>[^|]*)\"\|(?P<upstream_status>[^|]*)"
    r"\|(?P<status>\d+)\|(?P<request_time>[\d.]+)\|\".*\"\|(?P<key>\S+)"
)
FOUND = [(200, 0, 250), (402, 0, 10), (499, 2, 10), (503, 1, 10)]


def written(tmp_path, text, name="rules.toml"):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "how",
    [
        f"pattern = '''{NGINX}'''",
        f"regex = '''{REGEX}'''\ntime = '%d/%b/%Y:%H:%M:%S %z'",
        f"regex = '''{REGEX}'''",
    ],
)
def test_a_declared_format_is_read(tmp_path, capsys, how):
    log = tmp_path / "own.log"
    log.write_text(
        "\n".join(LINES)
    )  # the last line is all there, if only its key could not be longer

    [report] = ingest(log, capsys=capsys, rules=written(tmp_path, f"[format]\n{how}"))

    assert report["recognised"] == "log of a declared pattern"
    assert (report["stored"], report["reasons"]) == (3, {declared.NO_MATCH: 1})
    assert report["cut_off"].startswith("web-1|22/Nov/2026:20:14:40")
    log.write_text("\n".join(LINES) + "\n")
    [report] = ingest(log, capsys=capsys, rules=written(tmp_path, f"[format]\n{how}"))
    assert (report["stored"], report["already_there"]) == (1, 3)
    # tried twice and served in the end; masked by an error page; left; not paid
    assert sorted(rows("status, outcome, latency_ms")) == FOUND
    assert rows("min(ts), count(key)") == [(1795378477000, 3)]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("pattern = '$remote_addr$status [$time_local]'", "nothing stands between $remote_addr and $status"),
        ("pattern = 'no variable'", "there is no variable in it"),
        ("pattern = '$remote_addr [$time_local]'", "how a request ended"),
        (r"regex = '(?P<status>\d+) (?P<path>\S+)'", "no group of it is a time"),
        (r"regex = '(?P<time>\S+) (?P<status>\d+) (a|b)'", "a group without a name"),
        (r"regex = '(?P<time>\S+) (?P<status>\d+)(?=x)'", "look-around"),
        (r"regex = '(?P<time>(\S+)'", "line 2: [format] regex: "),
        (r"regex = '(?P<time>\S+) (?P<status>\d+) \1'", "back-references"),
        ("regex = '(?P<time>.+) (?P<status>.+)'\ntime = '%d %H:%M'", "does not say year"),
        ("regex = '(?P<time>.+) (?P<status>.+)'\ntime = '%Q'", "cannot be read"),
        ("regex = 'a'\npattern = 'b'", "either a pattern or a regex"),
        ("time = '%Y'", "either a pattern or a regex"),
        ("patern = 'b'", "[format] has no key patern"),
        (f"regex = '(?P<time>.+) (?P<status>.+){'x' * 5000}'", "longer than 4,000"),
    ],
)  # fmt: skip
def test_a_broken_pattern_is_refused_in_words(tmp_path, form, said):
    with pytest.raises(BadRules) as refused:
        load(tmp_path / written(tmp_path, f"[format]\n{form}\n"))
    assert said in str(refused.value)


def test_no_pattern_is_slow_by_backtracking(monkeypatch):
    names = FieldNames()
    evil = r"(?P<time>(?:(?:a+)+)+) (?P<status>(?:\d+)*)"
    assert (
        declared.slowness(f"^(?:{declared.checked(evil, time_format='', names=names).regex})$")
        < declared.SLOW
    )
    monkeypatch.setattr(declared, "SLOW", 0.0)
    with pytest.raises(declared.BadPattern, match="ms for each KiB"):
        declared.checked(evil, time_format="", names=names)


def test_a_log_that_is_not_as_declared_is_refused(tmp_path, capsys):
    log = tmp_path / "a.log"
    log.write_text("something else\n")
    with pytest.raises(CommandError):
        call_command(
            "ingest", str(log), rules=written(tmp_path, f"[format]\npattern = '''{NGINX}'''")
        )
    assert "None of the first 1 lines is as the pattern" in capsys.readouterr().err


OUTCOMES = """
[[outcomes]]
outcome = "failed"
status = [200]
field = "x-error-code"
is_not = ["none"]

[[outcomes]]
outcome = "failed"
operation = "POST /orders"
status = [402]

[[outcomes]]
outcome = "ok"
service = "search"
status = [503]

[[outcomes]]
outcome = "failed"
field = "code"
is = [51, "declined"]
"""
EVENTS = [
    ({"status": 200}, 0),
    ({"status": 200, "x-error-code": "E7"}, 1),
    ({"status": 200, "x-error-code": "none"}, 0),
    ({"status": 200, "x-error-code": ""}, 0),
    ({"status": 404, "x-error-code": "E7"}, 0),
    ({"status": 402, "method": "POST", "path": "/orders"}, 1),
    ({"status": 402, "method": "POST", "path": "/carts"}, 0),
    ({"status": 503, "service": "search"}, 0),
    ({"status": 503, "service": "shop"}, 1),
    ({"status": 200, "code": 51}, 1),
    ({"status": 200, "code": 52}, 0),
    ({"status": 200, "code": "declined"}, 1),
    ({"status": 499, "code": 51}, 2),
]


def events():
    stamp = "2026-11-22T20:00:{:02}Z"
    return [{"ts": stamp.format(n), **event} for n, (event, _) in enumerate(EVENTS)]


def outcomes():
    return [outcome for _, outcome in sorted(rows("ts, outcome"))]


WANTED = [wanted for _, wanted in EVENTS]


def test_declared_outcomes_in_files(tmp_path, capsys):
    rules = written(tmp_path, OUTCOMES)
    log = tmp_path / "events.ndjson"
    log.write_text("".join(json.dumps(one) + "\n" for one in events()))
    ingest(log, capsys=capsys, rules=rules)
    assert outcomes() == WANTED


def test_declared_outcomes_in_an_access_log(tmp_path, capsys):
    rules = written(tmp_path, OUTCOMES)
    log = tmp_path / "access.log"
    line = '203.0.113.7 - - [22/Nov/2026:20:14:{:02} +0000] "GET /a HTTP/1.1" 200 2 "-" "Mozilla" x_error_code="{}"\n'
    log.write_text(
        "".join(line.format(n, value) for n, value in enumerate(["-", "E7", "none"] * 10))
    )
    ingest(log, capsys=capsys, rules=rules)
    assert outcomes() == [0, 1, 0] * 10


def test_declared_outcomes_over_http(tmp_path, client, settings):
    settings.PORTAL_RULES = written(tmp_path, OUTCOMES)
    _, token = ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])
    given = {"headers": {"Authorization": f"Bearer {token}"}}
    for body, kind in (
        ("".join(json.dumps(one) + "\n" for one in events()), "application/x-ndjson"),
        (json.dumps(events()), "application/json"),
    ):
        assert client.post("/api/v1/events", body, content_type=kind, **given).status_code == 200
    assert [outcome for _, outcome in sorted(rows("ts, outcome"))[::2]] == WANTED

    export = ExportTraceServiceRequest()
    spans = export.resource_spans.add().scope_spans.add().spans
    for n, code in enumerate(("51", "7")):
        span = spans.add(
            kind=2, start_time_unix_nano=(1795300000 + n) * 10**9, span_id=bytes([n + 1] * 8)
        )
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="code").value.string_value = code
    answer = client.post(
        "/v1/traces", export.SerializeToString(), content_type="application/x-protobuf", **given
    )
    assert answer.status_code == 200
    assert sorted(rows("ts, outcome"))[:2] == [(1795300000000, 1), (1795300001000, 0)]

    settings.PORTAL_RULES = written(tmp_path, "[[outcomes]]\n", "broken.toml")
    answer = client.post(
        "/api/v1/events", b'{"ts": 1, "status": 200}\n', content_type="text/plain", **given
    )
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "rules file" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[outcomes]]\noutcome = 'bad'", "failed, ok or client_abort"),
        ("[[outcomes]]\noutcome = 'failed'", "would fit every request"),
        ("[[outcomes]]\noutcome = 'failed'\nis = ['x']", "need a field"),
        ("[[outcomes]]\noutcome = 'failed'\nfield = 'status'", "write status = [...]"),
        ("[[outcomes]]\noutcome = 'failed'\nfield = 'ts'", "is a time"),
        ("[[outcomes]]\noutcome = 'failed'\nstatus = 200", "a list of statuses"),
        ("outcomes = 3", "under [[outcomes]]"),
    ],
)
def test_a_broken_outcome_rule_is_refused_in_words(tmp_path, text, said):
    with pytest.raises(BadRules) as refused:
        load(tmp_path / written(tmp_path, text))
    assert said in str(refused.value)
