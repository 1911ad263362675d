"""OpenSLO: each file imported or refused by line and reason; a version written and read again says the same."""

import contextlib
from decimal import Decimal
from io import StringIO
from pathlib import Path
from time import monotonic

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import AuditEvent
from apps.catalog.models import Service
from apps.tenets import actions, queries
from apps.tenets.content import content_of
from apps.tenets.models import Clause, TenetVersion, VersionState
from apps.tenets.openslo.checking import check
from apps.tenets.openslo.drafting import UnableToImport, make_drafts
from apps.tenets.openslo.writing import export
from tests.factories import (
    NOW,
    make_customer,
    make_journey,
    make_operation,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db

FILES = Path(__file__).parents[1] / "data" / "openslo"
GOOD = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: writes
  displayName: Writes
spec:
  description: Writes go through.
  service: shop
  indicator:
    metadata: {name: writes}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Any, spec: {query: good}}}
        total: {metricSource: {type: Any, spec: {query: total}}}
  timeWindow:
    - duration: 28d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
"""
SECRET = "hunter2hunter2"


@pytest.fixture
def alice():
    return make_user()


@pytest.mark.parametrize(
    ("file", "refused"),
    [
        ("budgeting-method/occurences-slo.yaml", None),
        ("budgeting-method/ratio-timeslices.yaml", None),
        ("budgeting-method/timeslices-slo.yaml", (27, "a small m means minutes")),
        ("treat-low-traffic-as-equally-important/timeslices-slo.yaml", None),
    ],
)
def test_every_example_of_openslo_is_imported_or_refused_with_the_reason(alice, file, refused):
    report = check((FILES / file).read_text())
    if refused:
        [problem] = [one for one in report.problems if one.error]
        assert problem.line == refused[0]
        assert refused[1] in problem.text
        return
    [made] = make_drafts(report=report, user=alice, now=NOW, kind="business", add_services=True)
    assert made.version.state == VersionState.DRAFT
    assert made.version.clauses.count() == 1
    again = check(export(queries.versions_of(made.version.tenet).get()))
    assert not again.refused
    [same] = make_drafts(report=again, user=alice, now=NOW)
    assert not same.changed


def test_all_examples_are_tried():
    assert len(list(FILES.rglob("*.yaml"))) == 4


@pytest.mark.parametrize(
    ("was", "now", "line", "words"),
    [
        ("name: writes\n", "name: Writes\n", 4, "RFC 1123"),
        ("name: writes\n", f"name: {'a' * 64}\n", 4, "RFC 1123"),
        ("openslo/v1", "openslo/v1alpha", 1, "other words than v1"),
        ("openslo/v1", "openslo.com/v2alpha", 1, "not settled"),
        ("openslo/v1", "sloth.dev/v1", 1, "Write openslo/v1"),
        ("good: {metricSource: {type: Any, spec: {query: good}}}", "good: 3", 14, "metricSource"),
        ("spec: {query: good}", "spec: good", 14, "metricSource.spec is a map"),
        ("      ratioMetric:\n", "      thresholdMetric: 1\n      other:\n", 12, "metricSource"),
        ("counter: true", "raw: {metricSource: {}}", 13, "or raw alone"),
        ("  timeWindow", "  alertPolicies: page\n  timeWindow", 16, "alertPolicies is a list"),
        ("isRolling: true", "isRolling: yes", 18, "true or false"),
        ("  name: writes\n", "  name: writes\n  labels: {team: {a: b}}\n", 5, "“team” is text"),
        ("kind: SLO", "kind: Pet", 2, "none of OpenSLO"),
        ("target: 0.999", "target: 1", 21, "below 1"),
        ("target: 0.999", "target: .nan", 21, "below 1"),
        ("target: 0.999", "targetPercent: 100", 21, "below 100"),
        ("target: 0.999", "target: 0.9\n      targetPercent: 90", 21, "either target or"),
        ("target: 0.999", "displayName: x", 21, "either target or"),
        ("target: 0.999", "target: 0.9999999", 21, "six decimals"),
        ("target: 0.999", "target: 0.9\n      timeSliceWindow: 1m", 22, "Only Timeslices"),
        ("target: 0.999", "target: 0.9\n      compositeWeight: 2", 22, "composite"),
        ("target: 0.999", "target: 0.9\n      indicatorRef: a", 22, "composite"),
        ("Occurrences", "Sometimes", 19, "budgetingMethod"),
        ("Occurrences", "Timeslices", 21, "timeSliceWindow"),
        ("28d", "28x", 17, "duration"),
        ("28d", "1M", 17, "rolling window"),
        ("isRolling: true", "isRolling: false", 17, "calendar"),
        (
            "28d\n      isRolling: true",
            "1M\n      calendar: {timeZone: Mars/One}",
            18,
            "IANA",
        ),
        ("service: shop", "service: [a]", 8, "service is text"),
        ("  service: shop\n", "", 7, "spec.service is missing"),
        ("Writes go through.", "x" * 1051, 7, "1,050"),
        ("total: {", "totals: {", 13, "good and total"),
        ("        total:", "        good:", 15, "twice"),
        ("metadata: {name: writes}", "metadata: *nothing", 10, "no YAML"),
        ("counter: true", "counter: !!python/object:os.system x", 13, "no tags"),
        ("spec: {query: good}", "spec: {password: x1}", 14, "secret"),
        ("type: Any, spec: {query: good}", "type: Any, spec: {u: 'http://a:b@c/'}", 14, "password"),
        ("  indicator:\n", "  indicatorRef: none\n  other:\n", 9, "no such SLI"),
        ("apiVersion", "\tapiVersion", 1, "no YAML"),
        ("Writes go through.", '"a\\0b"', 7, "NUL"),
        ("Writes go through.", '"a\\ud800b"', 7, ""),
    ],
)
def test_what_is_wrong_is_said_with_its_line(was, now, line, words):
    assert was in GOOD
    report = check(GOOD.replace(was, now, 1))
    assert report.refused
    assert any(one.line == line and words in one.text for one in report.problems), report.problems


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n---\n",
        "a",
        "- a",
        "[" * 1000,
        "a: " * 500,
        "x" * 300_000,
        "\x01",
        "&a [*a]",
        "{? [a] : b}",
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "---\n" * 300,
        "apiVersion: openslo/v1\nkind: SLO",
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: []\nspec: 3",
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {objectives: [1], timeWindow: 3}",
    ],
)
def test_no_text_breaks_the_reader(text):
    report = check(text)
    assert report.refused
    assert not report.tenets


def paths(value, path=()):
    yield path
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in steps:
            yield from paths(one, (*path, name))


WRONG = [None, True, -0.5, 10**25, "yes", "x" * 2000, [[1]], {"a": {"b": 1}}]
FULL = GOOD.replace("isRolling: true", "calendar: {startTime: 2026-01-01 00:00:00, timeZone: UTC}")
TIMED_SLO = (
    GOOD[: GOOD.index("      ratio")]
    + "      thresholdMetric: {metricSource: {metricSourceRef: a}}\n"
    + "  budgetingMethod: Timeslices\n  alertPolicies: [a]\n  objectives:\n"
    + "    - {op: lt, value: 5, targetPercent: 99, timeSliceTarget: 0.9, timeSliceWindow: 1m}\n"
)


OURS = """writes
  labels: {a: b}
  annotations:
    crp.example/kind: freshness
    crp.example/within: "true"
    crp.example/min-events: "5"
    crp.example/review-by: "2030-01-01"
    crp.example/review-every-months: "6"
    crp.example/unit: ms
    crp.example/audience: public
    crp.example/always: "true"
"""


@pytest.mark.parametrize(
    "text",
    [
        FULL + "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop}\n",
        TIMED_SLO.replace("writes\n", OURS, 1),
    ],
)
def test_a_wrong_type_anywhere_is_answered(alice, text):
    assert not check(text).refused
    lines = text.count("\n") * 9
    for path in paths(list(yaml.safe_load_all(text))):
        for wrong in WRONG:
            documents = list(yaml.safe_load_all(text))
            place = documents
            for step in path[:-1]:
                place = place[step]
            if path:
                place[path[-1]] = wrong
            report = check(yaml.safe_dump_all(documents))
            assert all(0 < one.line < lines and one.text for one in report.problems)
            with contextlib.suppress(UnableToImport):
                made = make_drafts(
                    report=report, user=alice, now=NOW, kind="business", add_services=True, dry=True
                )
                assert made, (path, wrong)


def test_a_file_full_of_mistakes_is_answered_soon_and_briefly(client, alice):
    began = monotonic()
    report = check(GOOD + "    - {target: 2, op: 1}\n" * 3000)
    assert monotonic() - began < 20
    assert len(report.problems) == 201
    assert "And 2,800 more" in report.problems[-1].text
    assert report.problems[0].line == 22
    client.force_login(alice)
    answer = client.post(
        reverse("tenets:import"), {"text": GOOD + "    - {target: 2}\n" * 4000, "do": "check"}
    )
    assert answer.status_code == 422
    assert answer.text.count("is a number from 0") == 200


def test_words_stay_as_they_are_written(alice):
    text = GOOD.replace("displayName: Writes", "displayName: Yes\n  labels: {a: on, b: 1.10}")
    text = text.replace("Writes go through.", "0123")
    [made] = make_drafts(
        report=check(text), user=alice, now=NOW, kind="business", add_services=True
    )
    assert made.version.promise == "0123"
    assert made.version.clauses.get().text == "Yes"
    assert "a: 'on'" in export(queries.versions_of(made.version.tenet).get())


@given(st.text(max_size=300))
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_text_is_answered(text):
    check(text)
    check(GOOD.replace("Writes go through.", text))


def test_references_are_found_in_the_file_wherever_they_stand(alice):
    sli = GOOD[GOOD.index("    spec:\n      ratio") : GOOD.index("  timeWindow")]
    text = GOOD.replace(
        GOOD[GOOD.index("  indicator:") : GOOD.index("  timeWindow")], "  indicatorRef: good\n"
    )
    text += "---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {name: good}\n" + sli.replace(
        "    spec", "spec", 1
    ).replace("      ratio", "  ratio", 1)
    text += "---\napiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop, displayName: The shop}\n"
    text += "---\napiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: {name: a}\nspec: {x: 1}\n"
    report = check(text)
    assert [one.text for one in report.problems if one.error] == []
    assert any("AlertPolicy a" in one.text for one in report.problems)
    [made] = make_drafts(report=report, user=alice, now=NOW, kind="business", add_services=True)
    assert Service.objects.get().name == "The shop"
    written = export(queries.versions_of(made.version.tenet).get())
    assert "kind: AlertPolicy" in written
    assert "query: total" in written


def test_a_secret_is_neither_kept_nor_shown(client, alice):
    text = GOOD + (
        "---\napiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: d}\n"
        f"spec:\n  type: CloudWatch\n  connectionDetails:\n    secretAccessKey: {SECRET}\n"
    )
    client.force_login(alice)
    for do in ("check", "make"):
        answer = client.post(
            reverse("tenets:import"),
            {"text": text, "kind": "business", "add_services": "on", "do": do},
        )
        assert answer.status_code == 422
        assert SECRET not in answer.text
        assert "secretAccessKey" in answer.text
    assert not TenetVersion.objects.exists()
    assert not AuditEvent.objects.exists()


# There and back

TRAPS = [
    "yes", "No", "on", "~", "null", "007", "0x1F", "1e5", ".inf", "12:30", "2026-01-01", "a: b", "- a",
    "#a", "a #b", "&a", "*a", "!a", "|", ">", "%YAML", "---", "...", "<<", "=", "'", '"', "a\nb",
    "a\n\n b", "a\r\nb", "\u2028a", "a\u0085b", "\ufeffa", "🫖", "אב", "a\tb", "{a}", "x" * 300,
    "two words " * 29,
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(TRAPS),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60
    ),
).filter(lambda text: text.strip())
MAYBE = st.one_of(st.just(""), WORDS)
SHARES = st.integers(0, 999_999).map(lambda n: Decimal(n) / 1_000_000)
WINDOWS = st.one_of(
    st.fixed_dictionaries(
        {"window_count": st.integers(1, 999), "window_unit": st.sampled_from("mhdw")}
    ),
    st.fixed_dictionaries(
        {
            "window_count": st.integers(1, 99),
            "window_unit": st.sampled_from("dwMQY"),
            "window_zone": st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
            "window_start": st.sampled_from(["", "2026-01-01 00:00:00"]),
        }
    ),
)
SLICES = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "budgeting": st.just("timeslices"),
            "slice_minutes": st.integers(1, 999_999),
            "slice_target": st.integers(1, 1_000_000).map(lambda n: Decimal(n) / 1_000_000),
        }
    ),
    st.fixed_dictionaries(
        {"budgeting": st.just("ratio_timeslices"), "slice_minutes": st.integers(1, 9999)}
    ),
)
MEASURES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"threshold_ms": st.integers(1, 2**31 - 1)}),
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["lt", "lte", "gt", "gte"]),
            "value": st.integers(-(10**19), 10**19).map(lambda n: Decimal(n) / 1_000_000),
            "unit": st.sampled_from(["", "ms", "MB"]),
        }
    ),
)
HEARD = st.fixed_dictionaries(
    {
        "text": WORDS,
        "tolerance": MAYBE,
        "consequence": MAYBE,
        "min_events": st.integers(0, 10**6),
        "about": st.sampled_from(["", "journey", "operation"]),
    }
)
ANY = ["outage", "error", "delay", "loss", "duplicate", "staleness"]


def joined(*parts):
    return st.tuples(HEARD, WINDOWS, *parts).map(
        lambda dicts: {k: v for d in dicts for k, v in d.items()}
    )


BUDGETS = joined(
    SLICES,
    MEASURES,
    st.fixed_dictionaries({"target": SHARES, "dimension": st.sampled_from(ANY)}),
)
INVARIANTS = joined(
    MEASURES,
    st.fixed_dictionaries(
        {
            "kind": st.just("invariant"),
            "max_count": st.integers(0, 2**31 - 1),
            "dimension": st.sampled_from(ANY),
        }
    ),
)
TIMED = joined(
    SLICES,
    st.sampled_from(
        [("freshness", "delay"), ("notice", "communication"), ("recovery", "outage")]
    ).map(lambda pair: {"kind": pair[0], "dimension": pair[1]}),
    st.fixed_dictionaries(
        {"target": st.one_of(st.none(), SHARES), "threshold_ms": st.integers(1, 2**31 - 1)}
    ),
)


@given(
    promise=WORDS,
    rationale=MAYBE,
    audience=st.sampled_from(["public", "class", "named", "internal"]),
    drafts=st.lists(st.one_of(BUDGETS, INVARIANTS, TIMED), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_there_and_back_says_the_same(promise, rationale, audience, drafts):
    from django.db import transaction

    with transaction.atomic():
        user, shop = make_user(), make_service()
        placed = make_operation(shop)
        subjects = {"journey": make_journey(shop, "Purchase", placed), "operation": placed}
        acme = make_customer()
        tenet = actions.create_tenet(
            slug="orders", name="Orders", service=shop, kind="business", user=user, now=NOW
        )
        clauses = []
        for draft in drafts:
            about = draft["about"]
            subject = {about: subjects[about]} if about else {}
            columns = {name: value for name, value in draft.items() if name != "about"}
            clauses.append(actions.ClauseDraft(**columns, **subject))
        version = actions.draft_version(
            tenet=tenet,
            promise=promise,
            rationale=rationale,
            audience=audience,
            customers=[acme] if audience == "named" else [],
            clauses=clauses,
            user=user,
            now=NOW,
        )
        written = export(queries.versions_of(tenet).get())
        before = content_of(TenetVersion.objects.get())
        Clause.objects.all().delete()
        version.customers.clear()
        version.delete()
        tenet.delete()

        report = check(written)
        assert not report.refused, (report.problems, written)
        [made] = make_drafts(report=report, user=user, now=NOW)
        assert content_of(made.version) == before, written
        transaction.set_rollback(True)


# Pages


def test_from_paste_to_draft(client, alice):
    client.force_login(alice)
    address = reverse("tenets:import")
    assert client.get(address).status_code == 200
    refused = client.post(address, {"text": GOOD, "do": "check"})
    assert refused.status_code == 422
    assert "to which kind of customer" in refused.text
    fields = {"text": GOOD, "kind": "business", "add_services": "on"}
    checked = client.post(address, {**fields, "do": "check"})
    assert checked.status_code == 200
    assert "would be drafted as version 1" in checked.text
    assert not TenetVersion.objects.exists()
    assert not Service.objects.exists()
    made = client.post(address, {**fields, "do": "make"})
    assert (made.status_code, made["Location"]) == (303, "/console/tenets/writes/")
    assert TenetVersion.objects.get().state == VersionState.DRAFT
    assert client.get(made["Location"]).status_code == 200
    again = client.post(address, {**fields, "do": "make"}, follow=True)
    assert "says the same already" in again.text
    other = client.post(address, {**fields, "text": GOOD.replace("0.999", "0.99"), "do": "make"})
    assert other.status_code == 422
    assert "has a draft already" in other.text
    file = client.get(reverse("tenets:openslo", args=["writes", 1]))
    assert file["Content-Type"].startswith("application/yaml")
    assert not check(file.text).refused


@pytest.mark.parametrize(
    "fields", [{}, {"text": "a\0b"}, {"kind": "pets", "text": "x"}, {"text": " "}]
)
def test_an_import_that_cannot_be_comes_back(client, alice, fields):
    client.force_login(alice)
    assert client.post(reverse("tenets:import"), fields).status_code == 422


def test_the_command_says_file_line_and_reason(alice, tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("0.999", "2"))
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("openslo", "check", str(good), str(bad), stdout=out, stderr=err)
    assert failed.value.returncode == 1
    assert f"{bad}:21: target is a number" in err.getvalue()
    assert "good.yaml" not in err.getvalue()
    call_command(
        "openslo", "import", str(good), "--as", alice.email, "--kind", "business", "--add-services",
        stdout=out, stderr=err,
    )  # fmt: skip
    assert "draft: writes v1" in out.getvalue()
    written = StringIO()
    call_command("openslo", "export", "writes", stdout=written)
    assert "kind: SLO" in written.getvalue()
    with pytest.raises(CommandError) as failed:
        call_command("openslo", "export", "nothing", stdout=out)
    assert failed.value.returncode == 2
